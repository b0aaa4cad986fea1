"""Temporal flicker: how much consecutive frames differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

PEAK = 255.0


def absolute_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """Return the exact sum of absolute differences of two uint8 arrays of equal shape."""
    return round(cv2.norm(a, b, cv2.NORM_L1))


def steadiness(mean_absolute_difference: float) -> float:
    """Return (255 - m) / 255 for the mean absolute difference m of consecutive frames; range [0, 1]."""
    return (PEAK - mean_absolute_difference) / PEAK


class FlickerObserver:
    """Compares each generated frame with the one before; holds that one frame."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._previous: NDArray[np.uint8] | None = None
        self._sum = 0.0
        self._pairs = 0
        self._resized: str | None = None

    def observe(self, moment: Moment) -> None:
        """Take in the generated frame of a moment."""
        previous, frame = self._previous, moment.generated.rgb
        self._previous = frame
        if previous is None:
            return
        if previous.shape != frame.shape:
            self._resized = (
                f"the size changes from {previous.shape[1]}x{previous.shape[0]} to {frame.shape[1]}x{frame.shape[0]}"
                f" at instant {moment.index}; give a video of one size"
            )
            return
        self._sum += absolute_difference(previous, frame) / frame.size
        self._pairs += 1

    def values(self, clip: ClipFacts) -> Values:
        """Return the mean over all pairs of consecutive frames."""
        return dict.fromkeys(self._wanted, self._value())

    def _value(self) -> float | Missing:
        if self._resized:
            return Missing(self._resized)
        if not self._pairs:
            return Missing("a single frame; flicker needs at least two")
        return steadiness(self._sum / self._pairs)
