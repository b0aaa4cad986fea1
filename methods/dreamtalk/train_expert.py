"""Trains the style-aware lip expert: which mouth and which speech belong together, given how this person speaks.

Pairs in sync and out of sync, binary cross-entropy of the cosine (arXiv 2312.09767). Half of the pairs out of sync take
the speech from elsewhere in the same clip, half from another clip. It judges in training only and is not shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.corpus import Corpus, drawn_clips, mouth_mesh
from thbench_methods.dreamtalk.lip_expert import LipExpert, MouthMesh, sync_loss
from thbench_methods.dreamtalk.motion import FEATURES_PER_FRAME, StyleClip
from torch import nn

from thbench.training import Recipe

if TYPE_CHECKING:
    import numpy as np
    from thbench_methods.dreamtalk.config import Config
    from torch import Tensor

RECIPE = Recipe(steps=1500, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.995, bfloat16=False)
BATCH = 48
LEAST_SHIFT = 3
"""Frames by which speech of the same clip is at least moved to be out of sync."""
ERROR = 0.1
"""Deviation of what is added to expression: generated mouths are not exact."""


class Batch(NamedTuple):
    """Mouths, the speech that belongs to them, and speech that does not."""

    expression: Tensor
    """Shape (N, frames, motion)."""
    right: Tensor
    """Shape (N, 2 frames, audio)."""
    wrong: Tensor
    """Shape (N, 2 frames, audio)."""
    style: StyleClip


class Expert(nn.Module):
    """The lip expert with the mesh that it sees mouths as."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.mesh: MouthMesh = mouth_mesh()
        self.judge = LipExpert(config.expert, config.sizes)

    def forward(self, expression: Tensor, features: Tensor, style: StyleClip) -> Tensor:
        """Return the cosine (N,) of expression (N, frames, motion) and speech features (N, 2 frames, audio)."""
        cosine: Tensor = self.judge(self.mesh(expression), features, style)
        return cosine

    def pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the cosines (N,) of mouths with the speech that belongs to them, and with the one that does not."""
        code = self.judge.style(batch.style)
        mouth = self.judge.embed_mouth(self.mesh(batch.expression), code)
        right, wrong = (
            F.cosine_similarity(mouth, self.judge.embed_speech(heard, code)) for heard in (batch.right, batch.wrong)
        )
        return right, wrong


@dataclass
class ExpertTask:
    """Tells pairs in sync from pairs out of sync."""

    network: Expert
    corpus: Corpus

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw as many pairs of either kind."""
        return draw(self.corpus, rng, BATCH)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy, and how many pairs are told right."""
        noisy = batch.expression + ERROR * torch.randn_like(batch.expression)
        right, wrong = self.network.pairs(batch._replace(expression=noisy))
        loss = (sync_loss(right, torch.ones_like(right)) + sync_loss(wrong, torch.zeros_like(wrong))).mean() / 2
        told = ((right > 0.5).float().mean() + (wrong < 0.5).float().mean()) / 2
        return {"loss": loss, "told": told, "above": (right > wrong).float().mean()}


def draw(corpus: Corpus, rng: np.random.Generator, count: int) -> Batch:
    """Draw mouths with speech in sync and out of sync."""
    frames = corpus.config.expert.frames
    clips, first = drawn_clips(rng, corpus, count, frames)
    within = corpus.stretch(clips, first, frames, rng)
    others, elsewhere = drawn_clips(rng, corpus, count, frames)
    span = corpus.frames - frames + 1
    shift = torch.from_numpy(rng.integers(LEAST_SHIFT, span - LEAST_SHIFT + 1, size=count))
    same = torch.arange(count) % 2 == 0
    wrong_clip = torch.where(same, clips, torch.where(others == clips, (others + 1) % len(corpus), others))
    wrong_first = torch.where(same, (first + shift) % span, elsewhere)
    rows = FEATURES_PER_FRAME * wrong_first[:, None] + torch.arange(FEATURES_PER_FRAME * frames)
    return Batch(within.expression, within.features, corpus.features[wrong_clip[:, None], rows], within.style)
