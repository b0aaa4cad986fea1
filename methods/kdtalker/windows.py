"""Clips of any length from windows of 64 frames, chained by their last frame.

Source: arXiv 2503.12963; chaolongy/KDTalker, inference.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

WINDOW = 64
"""Frames that are generated at once."""

Padding = Literal["edge", "repeat-start"]
"""What is heard after the end of a clip whose length is no multiple of the window: its last feature, or its first ones.

The published inference appends the first ones, which lets the end of a clip listen to its beginning and fails on clips
shorter than the gap; `edge` does neither.
"""


def padded(audio: Tensor, window: int = WINDOW, padding: Padding = "edge") -> Tensor:
    """Return audio features (frames, d), at least one frame, lengthened to a multiple of the window.

    With `repeat-start` the first features are repeated as often as needed, where the published inference loses frames.
    """
    missing = -len(audio) % window
    if padding == "edge":
        return F.pad(audio.T, (0, missing), mode="replicate").T
    return audio[torch.arange(len(audio) + missing, device=audio.device) % len(audio)]


def chained(
    audio: Tensor,
    reference: Tensor,
    generate: Callable[[Tensor, Tensor], Tensor],
    *,
    window: int = WINDOW,
    padding: Padding = "edge",
) -> Tensor:
    """Generate a clip window by window.

    Args:
        audio: Shape (frames, d), one feature per frame.
        reference: Shape (m,), the portrait's own normalised motion, which starts the first window.
        generate: Audio of a window (window, d) and its reference (m,) to motion (window, m).
        window: Frames of a window.
        padding: What is heard after the end.

    Returns:
        Shape (frames, m).
    """
    if len(audio) == 0:
        return reference.new_empty(0, len(reference))
    parts: list[Tensor] = []
    for heard in torch.split(padded(audio, window, padding), window):
        parts.append(generate(heard, reference))
        reference = parts[-1][-1]
    return torch.cat(parts)[: len(audio)]
