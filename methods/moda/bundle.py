"""All that MoDA needs beside LivePortrait: diffusion network, statistics, speech encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.moda.motion import LAYOUT, Statistics, read_statistics
from thbench_methods.moda.networks import MotionDiffusion
from thbench_methods.nets.building import build
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.speech.hidden_layers import HiddenLayers
from torch import nn

from thbench.backbones.checkpoint import read_state_dict
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.moda.config import Config

FILE = Path(__file__).parent / "mini.safetensors"
PUBLISHED = {"diffusion": "net-200.pth", "statistics": "mean.pt", "speech": "chinese-hubert-base"}
"""Files of the authors, and the folder of the speech encoder."""
NULL_SEED = 42
"""Of the null feature of speech where the checkpoint lacks it, as the published inference draws it."""


class Bundle(nn.Module):
    """The network, and the statistics that normalise its motion."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.diffusion = MotionDiffusion(config.sizes)
        self.register_buffer("mean", torch.zeros(LAYOUT.size))
        self.register_buffer("std", torch.ones(LAYOUT.size))

    @property
    def statistics(self) -> Statistics:
        """Of the training data."""
        return Statistics(self.get_buffer("mean"), self.get_buffer("std"))

    def keep(self, statistics: Statistics) -> None:
        """Take over statistics."""
        self.get_buffer("mean").copy_(statistics.mean)
        self.get_buffer("std").copy_(statistics.std)


def load_mini(config: Config) -> tuple[Bundle, Callable[[NDArray[np.float32], int, float], torch.Tensor]]:
    """Load the shipped weights, strictly; the second result hears: samples, frames and rate to hidden layers.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    bundle = Bundle(config)
    load_weights(shipped(FILE), bundle)
    shipped(SPEECH_FILE)
    return bundle, load_speech_encoder().features


def load_published(config: Config) -> tuple[Bundle, Callable[[NDArray[np.float32], int, float], torch.Tensor]]:
    """Load the published checkpoints from the weights folder, strictly.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
        MissingExtraError: transformers is not installed.
    """
    paths = own_files("moda", PUBLISHED)
    state = read_state_dict(paths["diffusion"])
    if "null_audio_feat" not in state:
        generator = torch.Generator().manual_seed(NULL_SEED)
        state["null_audio_feat"] = torch.randn(1, 1, 1, 1, config.sizes.audio, generator=generator)
        state.setdefault("null_motion_feat", torch.zeros(1, 1, config.sizes.motion))
    bundle = Bundle(config)
    bundle.diffusion = build(lambda: MotionDiffusion(config.sizes), state, source=str(paths["diffusion"]))
    bundle.keep(read_statistics(paths["statistics"]))
    return bundle.eval(), HiddenLayers(paths["speech"]).features
