"""All networks of DreamTalk, from published or shipped files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.dreamtalk.faces import SPEAKER, driven
from thbench_methods.dreamtalk.mean_face import MeanFace
from thbench_methods.dreamtalk.motion import POSE
from thbench_methods.dreamtalk.networks import PREFIX, DiffusionNet
from thbench_methods.dreamtalk.style_predictor import StylePredictor
from thbench_methods.nets.building import build
from thbench_methods.nets.pirenderer import CellGenerator, FaceGenerator, Painted
from thbench_methods.nets.speech.encoder import SpeechEncoder
from torch import Tensor, nn

from thbench.backbones.checkpoint import read_state_dict
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.config import Config

_HERE = Path(__file__).parent
SPEAKING_FILE = _HERE / "mini.safetensors"
PREDICTOR_FILE = _HERE / "mini_style_predictor.safetensors"
RENDERER_FILE = _HERE / "mini_renderer.safetensors"
PUBLISHED = {
    "denoiser": "denoising_network.pth",
    "renderer": "renderer.pt",
    "speech": "wav2vec2-large-xlsr-53-english",
}
"""Files of the authors, and the folder of the speech encoder."""
FLOW_CELL = 2
"""Pixels along a side for which the mean face has one flow."""
TRACKS, TRACK_FRAMES = 32, 100
"""Pose tracks that come with the mini preset, and frames of each."""


class Speaking(nn.Module):
    """What makes expression of speech in the mini preset, and the pose tracks that go with it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.diffusion = DiffusionNet(config)
        self.speech = SpeechEncoder()
        self.register_buffer("tracks", torch.zeros(TRACKS, TRACK_FRAMES, POSE))

    @property
    def pose_tracks(self) -> Tensor:
        """Shape (tracks, frames, 9): of clips of the train split."""
        return self.get_buffer("tracks")


class Predicting(nn.Module):
    """The style predictor with the statistics of what goes in and out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.network = StylePredictor(config.predictor)
        for name, size in (("code", config.predictor.style), ("speaker", SPEAKER)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def keep(self, name: str, rows: Tensor) -> None:
        """Take over mean and deviation of training data (n, values), of `code` or of `speaker`."""
        self.get_buffer(f"{name}_mean").copy_(rows.mean(dim=0))
        self.get_buffer(f"{name}_std").copy_(rows.std(dim=0).clamp(min=1e-3))

    def normal(self, name: str, rows: Tensor) -> Tensor:
        """Return rows (n, values) with mean 0 and deviation 1 over the training data."""
        return (rows - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_std")

    def restored(self, name: str, rows: Tensor) -> Tensor:
        """Return normal rows (n, values) in their own units."""
        return rows * self.get_buffer(f"{name}_std") + self.get_buffer(f"{name}_mean")


class Renderer(nn.Module):
    """The mini renderer: PIRenderer's networks upon the flow of a mean face."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.radius, self.places = config.render_radius, config.portrait_size // FLOW_CELL
        self.face = MeanFace()
        self.generator = CellGenerator(
            {"coeff_nc": 2 * (config.sizes.motion + POSE), "layer": 1},
            {"base_nc": 24, "max_nc": 48, "encoder_layer": 3, "decoder_layer": 3},
            {"base_nc": 64, "max_nc": 96, "layer": 1, "num_res_blocks": 2},
            descriptor_nc=64,
            shared_nc=48,
            cell=config.cell,
        )

    def forward(self, image: Tensor, own: Tensor, windows: Tensor) -> Painted:
        """Render one frame for each window of motion.

        Args:
            image: Shape (N, 3, size, size), RGB in [-1, 1].
            own: Shape (N, values): coefficients of the portrait.
            windows: Shape (N, values, 2 radius + 1): driving coefficients around the frame to make.
        """
        coarse = self.face(own, windows[..., self.radius], self.places)
        rendered: Painted = self.generator(image, driven(windows, own), coarse.places, coarse.flow)
        return rendered


class Networks(NamedTuple):
    """All networks of the mini preset."""

    speaking: Speaking
    predicting: Predicting
    renderer: Renderer


def load_mini(config: Config, folder: Path = _HERE) -> Networks:
    """Load the shipped weights, strictly.

    Args:
        config: Of the preset.
        folder: Of another training's files.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    networks = Networks(Speaking(config), Predicting(config), Renderer(config))
    for network, file in zip(networks, (SPEAKING_FILE, PREDICTOR_FILE, RENDERER_FILE), strict=True):
        load_weights(shipped(folder / file.name), network)
    return networks


def load_published(config: Config) -> tuple[DiffusionNet, FaceGenerator, Path]:
    """Load the published checkpoints from the weights folder, strictly; the last result is the speech encoder's folder.

    `denoising_network.pth` may hold more than the denoising network, whose keys begin with `diff_net.`.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
    """
    paths = own_files("dreamtalk", PUBLISHED)
    everything = read_state_dict(paths["denoiser"], entry="model_state_dict")
    state = {key.removeprefix(PREFIX): value for key, value in everything.items() if key.startswith(PREFIX)}
    diffusion = build(lambda: DiffusionNet(config), state, source=str(paths["denoiser"]))
    drawn = read_state_dict(paths["renderer"], entry="net_G_ema")
    renderer = build(FaceGenerator, drawn, source=str(paths["renderer"]))
    return diffusion, renderer, paths["speech"]
