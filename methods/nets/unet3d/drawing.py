"""Windows of still clips, as trainings of the small presets draw them: a portrait, frames, and frames before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.nets.unet3d.train import PORTRAITS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.nets.unet3d.train import LatentClips
    from torch import Tensor

FIRST = 0.3
"""Share of windows that begin at their portrait, as the first one of a video does."""


class Drawn(NamedTuple):
    """Which frames are shown; numbers of clips and of frames in them."""

    clips: NDArray[np.int64]
    """Shape (B,)."""
    portraits: NDArray[np.int64]
    """Shape (B,): frames of `PORTRAITS`."""
    frames: NDArray[np.int64]
    """Shape (B, F)."""
    before: NDArray[np.int64]
    """Shape (B, n): frames before the window, oldest first; of a window that begins a video the portrait, n times."""


def windows(rng: np.random.Generator, clips: LatentClips, count: int, length: int, past: int = 0) -> Drawn:
    """Draw windows of different clips.

    Args:
        rng: All randomness is of it.
        clips: Of the training.
        count: How many; all clips where there are fewer.
        length: Frames of each.
        past: Frames before each.
    """
    chosen, portraits = _chosen(rng, clips, count)
    begins = (rng.random(len(chosen)) < FIRST) & (portraits + length <= clips.frames)
    first = np.where(begins, portraits, rng.integers(past, clips.frames - length + 1, len(chosen)))
    before = np.where(begins[:, None], portraits[:, None], first[:, None] + np.arange(-past, 0))
    return Drawn(chosen, portraits, first[:, None] + np.arange(length), before)


def single_frames(rng: np.random.Generator, clips: LatentClips, count: int, each: int) -> Drawn:
    """Draw single frames of different clips, the same number of each.

    Args:
        rng: All randomness is of it.
        clips: Of the training.
        count: How many clips; all where there are fewer.
        each: Frames of each, which need not be different.
    """
    chosen, portraits = _chosen(rng, clips, count)
    frames = rng.integers(clips.frames, size=(len(chosen), each))
    return Drawn(chosen, portraits, frames, np.empty((len(chosen), 0), np.int64))


def latents_of(clips: LatentClips, chosen: NDArray[np.int64], frames: NDArray[np.int64]) -> Tensor:
    """Return latents (B, C, F, h, w) of frames (B, F) of clips (B,), float32."""
    return clips.latents[chosen[:, None], frames].float().transpose(1, 2)


def weights_of(clips: LatentClips, drawn: Drawn) -> Tensor:
    """Return how much the error of each cell counts, (B, 1, F, h, w), mean about 1."""
    return clips.weight[drawn.clips[:, None], drawn.frames].float().transpose(1, 2)


def lips_of(weight: Tensor) -> Tensor:
    """Return where the lips are, by how much errors count there, as `weight`, 1 inside."""
    return (weight > weight.amax() / 2).float()


def identities_of(clips: LatentClips, drawn: Drawn) -> Tensor:
    """Return the embeddings of the portraits, (B, E)."""
    return clips.identity[drawn.clips, np.searchsorted(PORTRAITS, drawn.portraits)]


def told(rows: Tensor, plain: int) -> Tensor:
    """Return rows (B, ...) of which the first `plain` are 0, as for clips that are told nothing."""
    kept = (torch.arange(len(rows)) >= plain).to(rows)
    return rows * kept.view(-1, *[1] * (rows.ndim - 1))


def _chosen(rng: np.random.Generator, clips: LatentClips, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    chosen = rng.choice(len(clips), min(count, len(clips)), replace=False)
    return chosen, rng.choice(PORTRAITS, len(chosen))
