"""Trains the denoising network: clean expression of noisy one, and mouths that the lip expert finds in sync.

L = |m - E(m_t, t, speech, R)|^2 + 0.02 (-log P_sync), R a clip drawn from the same video, in one of ten cases the null
clip (arXiv 2312.09767; the weight is not published).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.corpus import Corpus, Stretch, drawn_clips
from thbench_methods.dreamtalk.lip_expert import sync_loss
from thbench_methods.dreamtalk.networks import Condition
from thbench_methods.dreamtalk.schedule import alpha_bars, betas

from thbench.training import Recipe

if TYPE_CHECKING:
    import numpy as np
    from thbench_methods.dreamtalk.networks import DiffusionNet
    from thbench_methods.dreamtalk.train_expert import Expert
    from torch import Tensor

RECIPE = Recipe(steps=3000, learning_rate=1e-3, warm_up=200, last_rate=0.02, average=0.998, bfloat16=False)
CLIPS, CHUNKS = 24, 2
"""Clips in a batch, and how many times the lip expert's frames of each."""
SYNC_WEIGHT = 0.02
NULL_SHARE = 0.1
"""Share of the clips whose style is the null clip."""


class Batch(NamedTuple):
    """Frames to make, what from, and whether without style."""

    stretch: Stretch
    unstyled: Tensor
    """Shape (N,), bool."""


@dataclass
class DenoiserTask:
    """Clean expression."""

    network: DiffusionNet
    corpus: Corpus
    expert: Expert
    """Trained; it stays as it is."""

    def __post_init__(self) -> None:
        self.signal = alpha_bars(betas(self.corpus.config.diffusion))
        self.expert.requires_grad_(False).eval()

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw consecutive frames of clips."""
        frames = CHUNKS * self.corpus.config.expert.frames
        clips, first = drawn_clips(rng, self.corpus, CLIPS, frames)
        unstyled = torch.from_numpy(rng.random(CLIPS) < NULL_SHARE)
        return Batch(self.corpus.stretch(clips, first, frames, rng), unstyled)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of clean expression, and cross-entropy of the lip expert."""
        expression, features, windows, style = batch.stretch
        time = torch.randint(1, len(self.signal), (len(expression),))
        signal = self.signal[time][:, None, None]
        noisy = signal.sqrt() * expression + (1 - signal).sqrt() * torch.randn_like(expression)
        codes = torch.where(
            batch.unstyled[:, None], self.network.null_style(), self.network.style(style.clip, style.length)
        )
        clean = self.network.net(noisy, time, Condition(self.network.content(windows), codes))
        error = F.mse_loss(clean, expression)
        chunks = [torch.cat(part.chunk(CHUNKS, dim=1)) for part in (clean, features)]
        again = type(style)(style.clip.repeat(CHUNKS, 1, 1), style.length.repeat(CHUNKS))
        cosine = self.expert(*chunks, again)
        sync = sync_loss(cosine, torch.ones_like(cosine)).mean()
        lower = list(self.corpus.config.sizes.lower_face)
        mouth = F.mse_loss(clean[..., lower].detach(), expression[..., lower])
        return {"loss": error + SYNC_WEIGHT * sync, "error": error, "mouth": mouth, "sync": sync}
