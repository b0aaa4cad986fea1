"""All networks of PoseTalk. The authors published no weights; the small preset has its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.presets import shipped
from thbench_methods.dreamtalk.mean_face import MeanFace
from thbench_methods.posetalk.config import TRACK
from thbench_methods.posetalk.lips import Lips
from thbench_methods.posetalk.pose import PoseLatentDiffusion
from thbench_methods.posetalk.text import WordEncoder
from thbench_methods.posetalk.tracks import pose_of
from thbench_methods.posetalk.video import Coarse, CoarseNet, Guess, PortraitEnhancer, Refined, RefineNet
from torch import Tensor, nn

from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from thbench_methods.posetalk.config import Config
    from thbench_methods.posetalk.tracks import Own

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
        self.size = config.image_size
        self.register_buffer("unit", torch.ones(2 * len(TRACK)))
        self.face = MeanFace()
        self.lips = Lips(config.video.audio, config.video.radius)
        self.coarse = CoarseNet(config.video)
        self.refine = RefineNet(config.video)
        self.enhance = PortraitEnhancer(config.video)

    def told(self, windows: Tensor, own: Own) -> Tensor:
        """Return what the networks are told: the track as it is and as it differs from the portrait's, and sound.

        Args:
            windows: Shape (N, 8 + audio, frames): track and sound around each frame.
            own: Of each portrait.
        """
        track, audio = windows[:, : len(TRACK)], windows[:, len(TRACK) :]
        both = torch.cat((track, track - own.track[..., None]), dim=1) / self.unit[:, None]
        return torch.cat((both, audio), dim=1)

    @torch.no_grad()
    def guess(self, windows: Tensor, own: Own) -> Guess:
        """Return how a mean head would move, its lips left as they are; arguments as for `told`."""
        calm = torch.zeros_like(own.expression)
        portrait, driving = (torch.cat((calm, pose_of(track)), dim=1) for track in (own.track, middle_of(windows)))
        return Guess(*self.face(portrait, driving, self.size // 4))

    @torch.no_grad()
    def lip_guess(self, windows: Tensor, own: Own) -> Guess:
        """Return how the lips of a mean head would then move by what is said; arguments as for `told`."""
        pose, spoken = pose_of(middle_of(windows)), self.lips(windows[:, len(TRACK) :], own.expression)
        before, after = (torch.cat((expression, pose), dim=1) for expression in (own.expression, spoken))
        return Guess(*self.face(before, after, self.size // 2))

    def moved_head(self, portrait: Tensor, own: Own, windows: Tensor) -> Coarse:
        """Return the coarse frames; arguments as for `forward`."""
        coarse: Coarse = self.coarse(portrait, self.told(windows, own), self.guess(windows, own))
        return coarse

    def moved_lips(self, coarse: Tensor, own: Own, windows: Tensor) -> tuple[Refined, ...]:
        """Return the refined frames of coarse ones (N, 3, size, size); arguments as for `forward`."""
        refined: tuple[Refined, ...] = self.refine(coarse, self.told(windows, own), self.lip_guess(windows, own))
        return refined

    def forward(self, portrait: Tensor, own: Own, windows: Tensor) -> Drawn:
        """Draw one frame for each window.

        Args:
            portrait: Shape (N, 3, size, size), RGB in [-1, 1].
            own: Of each portrait.
            windows: Shape (N, 8 + audio, frames).
        """
        coarse = self.moved_head(portrait, own, windows)
        refined = self.moved_lips(coarse.image, own, windows)
        return Drawn(coarse, refined, self.enhance(refined[-1].image, portrait))


def middle_of(windows: Tensor) -> Tensor:
    """Return the track (N, 8) of the frames that windows (N, 8 + audio, frames) are around."""
    return windows[:, : len(TRACK), windows.shape[2] // 2]


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
