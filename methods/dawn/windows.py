"""Clips that are too long to be denoised at once: overlapping windows, faded into each other.

Local attention makes memory grow linearly with the length; windows bound it. DAWN itself has none, and cuts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Window(NamedTuple):
    """Frames from `start` to before `stop`."""

    start: int
    stop: int


def windows(frames: int, window: int, overlap: int) -> tuple[Window, ...]:
    """Cover a clip with the fewest windows, all of one length and spread evenly.

    Args:
        frames: Length of the clip.
        window: Frames of a window; a shorter clip is one window of its own length.
        overlap: Least number of frames that neighbours share, below `window`.
    """
    if frames <= window:
        return (Window(0, frames),)
    gaps = math.ceil((frames - window) / (window - overlap))
    starts = [(frames - window) * number // gaps for number in range(gaps + 1)]
    return tuple(Window(start, start + window) for start in starts)


def joined(parts: Sequence[Tensor], covers: Sequence[Window]) -> Tensor:
    """Join the motion (N, 3, window, h, w) of overlapping windows, linearly faded over what they share."""
    whole = parts[0]
    for part, (start, _) in zip(parts[1:], covers[1:], strict=True):
        shared = whole.shape[2] - start
        share = torch.arange(1, shared + 1, dtype=part.dtype, device=part.device)[:, None, None] / (shared + 1)
        faded = torch.lerp(whole[:, :, start:], part[:, :, :shared], share)
        whole = torch.cat((whole[:, :, :start], faded, part[:, :, shared:]), dim=2)
    return whole
