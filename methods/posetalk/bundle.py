"""All networks of PoseTalk. The authors published no weights; the small preset has its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.presets import shipped
from thbench_methods.dreamtalk.mean_face import MeanFace
from thbench_methods.posetalk.config import TRACK
from thbench_methods.posetalk.pose import PoseLatentDiffusion
from thbench_methods.posetalk.text import WordEncoder
from thbench_methods.posetalk.tracks import pose_of
from thbench_methods.posetalk.video import Coarse, CoarseNet, Guess, PortraitEnhancer, Refined, RefineNet
from torch import Tensor, nn

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from thbench_methods.posetalk.config import Config

_HERE = Path(__file__).parent
POSE_FILE = _HERE / "mini_pose.safetensors"
VIDEO_FILE = _HERE / "mini_video.safetensors"


class Posing(nn.Module):
    """What makes pose of text and sound."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.text = WordEncoder(config.pose.text)
        self.diffusion = PoseLatentDiffusion(config.pose)


class Drawn(NamedTuple):
    """Frames and what they were made from."""

    coarse: Coarse
    refined: tuple[Refined, ...]
    image: Tensor
    """Shape (N, 3, H, W), RGB, [-1, 1] and a little beyond."""


class Drawing(nn.Module):
    """What makes frames of a portrait, pose and sound: the three video networks, upon the flow of a mean head."""

    unit: Tensor
    """Shape (16,): deviation of a track's values, and of their steps from the portrait's, over the training data."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.side = config.image_size // 4
        self.register_buffer("unit", torch.ones(2 * len(TRACK)))
        self.face = MeanFace()
        self.coarse = CoarseNet(config.video)
        self.refine = RefineNet(config.video)
        self.enhance = PortraitEnhancer(config.video)

    def told(self, windows: Tensor, own: Tensor) -> Tensor:
        """Return what the networks are told: the track as it is and as it differs from the portrait's, and sound.

        Args:
            windows: Shape (N, 8 + audio, frames): track and sound around each frame.
            own: Shape (N, 8): pose and gaze of each portrait.
        """
        track, audio = windows[:, : len(TRACK)], windows[:, len(TRACK) :]
        both = torch.cat((track, track - own[..., None]), dim=1) / self.unit[:, None]
        return torch.cat((both, audio), dim=1)

    @torch.no_grad()
    def guess(self, windows: Tensor, own: Tensor) -> Guess:
        """Return how a mean head would move; arguments as for `told`."""
        middle = windows[:, : len(TRACK), windows.shape[2] // 2]
        calm = own.new_zeros(len(own), len(EXPRESSIONS))
        portrait, driving = (torch.cat((calm, pose_of(track)), dim=1) for track in (own, middle))
        return Guess(*self.face(portrait, driving, self.side))

    def forward(self, portrait: Tensor, own: Tensor, windows: Tensor) -> Drawn:
        """Draw one frame for each window.

        Args:
            portrait: Shape (N, 3, size, size), RGB in [-1, 1].
            own: Shape (N, 8).
            windows: Shape (N, 8 + audio, frames).
        """
        driving, guess = self.told(windows, own), self.guess(windows, own)
        coarse = self.coarse(portrait, driving, guess)
        refined = self.refine(coarse.image, driving, guess)
        return Drawn(coarse, refined, self.enhance(refined[-1].image, portrait))


class Networks(NamedTuple):
    """All networks of the small preset."""

    posing: Posing
    drawing: Drawing


def load_mini(config: Config) -> Networks:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    networks = Networks(Posing(config), Drawing(config))
    for network, file in zip(networks, (POSE_FILE, VIDEO_FILE), strict=True):
        load_weights(shipped(file), network)
    networks.drawing.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return networks
