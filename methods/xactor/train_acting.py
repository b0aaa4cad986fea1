"""Trains the actor on encoded motion by diffusion forcing, and its rival with a clean history, for the claim."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.training import About
from thbench_methods.xactor.config import MINI, Config, Objective
from thbench_methods.xactor.objective import drawn_levels, losses

from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.xactor.networks import Acted
    from torch import Tensor

RECIPE = Recipe(steps=2500, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
ABOUT = About(
    "X-Actor mini, stage 1: diffusion-forced actor",
    "Zhang et al., arXiv 2508.02944; beside a noise level for each chunk, sizes, schedule and objective are the"
    " project's own",
    "Squared error of clean motion latents of windows of 9 chunks, each noised to a level of its own, weighted by the"
    " clamped signal-to-noise ratio, and the same error of differences between frames; levels are sorted in half of the"
    " windows, in 30 % those before some chunk are as low as in sampling, sound is dropped in 10 %.",
    ("Motion latents are those of the mini motion encoder, of clips drawn with heads at rest.",),
)
BATCH = 10
CHUNKS = 9
"""Of a window: more than a chunk sees, so that several of them see as much as in use."""
FIRST = 0.3
"""Share of the windows whose first frame is their portrait, as it is when a video begins."""
PORTRAIT_ERROR = 0.05
"""Deviation of what is added to the normalised motion of the portrait, whose face is found by a network later on."""


class Batch(NamedTuple):
    """Windows."""

    motion: Tensor
    """Shape (B, frames, motion), normalised."""
    reference: Tensor
    """Shape (B, motion), normalised: of the portrait."""
    audio: Tensor
    """Shape (B, frames + 2 reach, layers, channels)."""
    silent: Tensor
    """Shape (B,), bool."""
    levels: Tensor
    """Shape (B, n)."""


@dataclass
class ActingTask:
    """Clean motion of windows of chunks."""

    network: Acted
    motion: Tensor
    """Shape (clips, frames, motion), as encoded."""
    speech: Tensor
    """Hidden layers (clips, frames, layers, channels)."""
    config: Config = MINI
    objective: Objective = field(default_factory=Objective)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw windows and their portraits."""
        sizes = self.config.actor
        length, count = CHUNKS * sizes.chunk, self.motion.shape[1]
        clips = rng.integers(len(self.motion), size=BATCH)
        first = rng.integers(count - length + 1, size=BATCH)
        references = np.where(rng.random(BATCH) < FIRST, first, rng.integers(count, size=BATCH))
        frames = first[:, None] + np.arange(length)
        around = first[:, None] + np.arange(-sizes.reach, length + sizes.reach)
        reference = self.network.normalised(self.motion[clips, references])
        return Batch(
            self.network.normalised(self.motion[clips[:, None], frames]),
            reference + PORTRAIT_ERROR * torch.randn_like(reference),
            self.speech[clips[:, None], around.clip(0, count - 1)].float(),
            torch.rand(BATCH) < self.objective.silent_share,
            drawn_levels(BATCH, length if self.objective.per_frame else CHUNKS, self.objective),
        )

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """See `objective.losses`."""
        condition = self.network.actor.condition(batch.reference, batch.audio, batch.silent)
        return losses(self.network.actor, batch.motion, condition, batch.levels, self.objective)
