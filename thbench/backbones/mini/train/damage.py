"""Damage of known dose for training: what makes features of pictures and of clips move with quality.

Kinds are those of `thbench.validate`, doses are drawn from a continuum and patterns afresh, so that no clip is damaged
as a validation damages it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.validate.picture import blurred, compressed, noised
from thbench.validate.timing import KNOTS, shifted, warped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

PICTURE = ("blur", "noise", "jpeg")
"""Kinds of damage to single pictures."""
MOTION = ("shuffled", "held", "speed", "reversed", "jitter", "wobble")
"""Kinds of damage to the order and steadiness of pictures."""
_RANGE = {"blur": (0.3, 10.0), "noise": (1.0, 40.0), "jitter": (0.1, 3.0), "wobble": (0.1, 3.0)}
"""Smallest and largest dose, drawn evenly on a logarithmic scale; pixels at 256, levels of 255."""


def dose_of(kind: str, random: np.random.Generator) -> float:
    """Draw a dose above zero."""
    if kind in _RANGE:
        low, high = _RANGE[kind]
        return float(low * (high / low) ** random.random())
    if kind == "jpeg":
        return float(random.uniform(2, 95))
    return float(random.uniform(0.05, 1.0))


def told(kind: str, dose: float) -> float:
    """A dose as a target: about 0 to 1, and fine where the dose is small."""
    if kind in _RANGE:
        low, high = _RANGE[kind]
        return float(np.log1p(dose / low) / np.log1p(high / low))
    return dose / 100 if kind == "jpeg" else dose


def damaged(frames: list[Image], kind: str, dose: float, random: np.random.Generator) -> list[Image]:
    """Damage single pictures.

    Args:
        frames: Each (height, width, 3), RGB.
        kind: A name of `PICTURE`.
        dose: As in `thbench.validate.picture`.
        random: Draws the noise.
    """
    if kind == "blur":
        return [blurred(f, dose) for f in frames]
    if kind == "noise":
        return [noised(f, dose, random) for f in frames]
    return [compressed(f, dose) for f in frames]


def unsteady(frames: list[Image], kind: str, dose: float, random: np.random.Generator) -> list[Image]:
    """Shake (`jitter`) or bend (`wobble`) each picture by itself; the dose is in pixels at 256."""
    size = dose * min(frames[0].shape[:2]) / 256
    if kind == "jitter":
        return [shifted(f, *(size * random.standard_normal(2))) for f in frames]
    return [warped(f, size * random.standard_normal((KNOTS, KNOTS, 2), dtype=np.float32)) for f in frames]


def order_of(kind: str, dose: float, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Which frames are shown, counted from the first of the clip.

    Args:
        kind: `shuffled` (a share of the frames changes places), `held` (a share repeats the one before), `speed` (1 +
            dose times as fast; up to 2 * `count` frames are needed), `reversed`; any other kind changes nothing.
        dose: In (0, 1].
        count: Frames to show.
        random: Chooses which.
    """
    shown = np.arange(count)
    if kind == "shuffled":
        places = random.permutation(count)[: max(2, round(dose * count))]
        shown[places] = random.permutation(shown[places])
    elif kind == "held":
        held = 1 + random.permutation(count - 1)[: max(1, round(dose * (count - 1)))]
        shown[held] = 0
        shown = np.maximum.accumulate(shown)
    elif kind == "speed":
        shown = np.floor(shown * (1 + dose)).astype(np.int64)
    elif kind == "reversed":
        shown = shown[::-1].copy()
    return shown
