"""All networks of X-Actor: the motion encoder, the actor with the statistics of its motion, the video generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.xactor.actor import ActorTransformer
from thbench_methods.xactor.config import PLACEMENT
from thbench_methods.xactor.encoder import NEUTRAL, MotionEncoder
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
        self.placed = config.placement
        self.actor = ActorTransformer(config.actor, config.motion)
        self.register_buffer("mean", torch.zeros(config.motion))
        self.register_buffer("std", torch.ones(config.motion))

    def normalised(self, motion: Tensor, placement: Tensor) -> Tensor:
        """Return motion vectors (..., m) of mean 0 and deviation 1 over the training data.

        Args:
            motion: Shape (..., motion), as encoded.
            placement: Shape (..., 3); left out where placement is not generated.
        """
        whole = torch.cat((motion, placement), dim=-1) if self.placed else motion
        return (whole - self.mean) / self.std

    def restored(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """Return motion (..., motion) and placement (..., 3) of normalised vectors; neutral if none is made."""
        whole = normalised * self.std + self.mean
        if self.placed:
            return whole[..., :-PLACEMENT], whole[..., -PLACEMENT:]
        return whole, neutral(whole)


class Rendering(nn.Module):
    """Stage 2: the motion encoder and the video generator, which are trained together."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = MotionEncoder(config.encoder)
        self.video = VideoGenerator(config)


def neutral(motion: Tensor) -> Tensor:
    """Return the placement (..., 3) of a head that stays where the portrait's is, for motion (..., m)."""
    return motion.new_tensor(NEUTRAL).expand(*motion.shape[:-1], PLACEMENT)
