"""All networks of X-Actor: the motion encoder, the actor with the statistics of its motion, the video generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.xactor.actor import ActorTransformer
from thbench_methods.xactor.encoder import MotionEncoder
from thbench_methods.xactor.renderer import VideoGenerator
from torch import nn

if TYPE_CHECKING:
    from thbench_methods.xactor.config import Config
    from torch import Tensor


class Acted(nn.Module):
    """Stage 1: the transformer, and what normalises its motion."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        motion = config.encoder.motion
        self.actor = ActorTransformer(config.actor, motion)
        self.register_buffer("mean", torch.zeros(motion))
        self.register_buffer("std", torch.ones(motion))

    def normalised(self, motion: Tensor) -> Tensor:
        """Return motion (..., motion), as encoded, of mean 0 and deviation 1 over the training data."""
        return (motion - self.mean) / self.std

    def restored(self, normalised: Tensor) -> Tensor:
        """Return motion (..., motion), as it is encoded: the way back."""
        return normalised * self.std + self.mean


class Rendering(nn.Module):
    """Stage 2: the motion encoder and the video generator, which are trained together."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = MotionEncoder(config.encoder)
        self.video = VideoGenerator(config)
