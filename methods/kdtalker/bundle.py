"""All that KDTalker needs beside LivePortrait: denoiser, audio encoder, statistics; from published or shipped files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.kdtalker.motion import LAYOUT, Statistics, read_statistics
from thbench_methods.kdtalker.networks import PREFIX, SpatiotemporalTransformer
from thbench_methods.nets.building import build
from thbench_methods.nets.wav2lip_audio import AudioEncoder
from torch import nn

from thbench.backbones.checkpoint import read_state_dict
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from thbench_methods.kdtalker.config import Config

FILE = Path(__file__).parent / "mini.safetensors"
PUBLISHED = {"denoiser": "KDTalker.pth", "audio": "wav2lip.pth", "statistics": "norm.npz"}
"""Files of the authors."""


class Bundle(nn.Module):
    """The networks, and the statistics that normalise their motion."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        points = LAYOUT.sizes["exp"]
        self.denoiser = SpatiotemporalTransformer(config.sizes)
        self.audio = AudioEncoder(config.audio_widths)
        self.register_buffer("motion_mean", torch.zeros(LAYOUT.size))
        self.register_buffer("motion_std", torch.ones(LAYOUT.size))
        self.register_buffer("canonical_mean", torch.zeros(points))
        self.register_buffer("canonical_std", torch.ones(points))

    @property
    def statistics(self) -> Statistics:
        """Of the training data."""
        names = ("motion_mean", "motion_std", "canonical_mean", "canonical_std")
        return Statistics(*(self.get_buffer(name) for name in names))

    def keep(self, statistics: Statistics) -> None:
        """Take over statistics."""
        for name in ("motion_mean", "motion_std", "canonical_mean", "canonical_std"):
            self.get_buffer(name).copy_(getattr(statistics, name))


def load_mini(config: Config) -> Bundle:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: The file was not installed.
        WeightsMismatchError: It is damaged or of another network.
    """
    bundle = Bundle(config)
    load_weights(shipped(FILE), bundle)
    return bundle


def load_published(config: Config) -> Bundle:
    """Load the published checkpoints from the weights folder, strictly.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
    """
    paths = own_files("kdtalker", PUBLISHED)
    bundle = Bundle(config)
    state = read_state_dict(paths["denoiser"], entry="model", prefix=PREFIX)
    bundle.denoiser = build(lambda: SpatiotemporalTransformer(config.sizes), state, source=str(paths["denoiser"]))
    heard = AudioEncoder.select(read_state_dict(paths["audio"], entry="state_dict", prefix="module."))
    bundle.audio = build(lambda: AudioEncoder(config.audio_widths), heard, source=str(paths["audio"]))
    bundle.keep(read_statistics(paths["statistics"]))
    return bundle.eval()
