"""Degradations over time: frames held, frames lost, frames that shake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.validate.material import Video
from thbench.validate.picture import pixels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.validate.material import Material

    Image = NDArray[np.uint8]

KNOTS = 7
"""Knots along each side of a smooth displacement field."""
_MARGIN = 1
"""Knots beyond each edge, so that the field is as strong at the edges."""


def held(count: int, share: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Which frame is shown at each instant when a share of the frames repeats the one before.

    The frames held at a small share are among those held at a larger one; the first frame is never held.

    Args:
        count: Frames.
        share: In [0, 1].
        random: Chooses which.

    Returns:
        Shape (count,).
    """
    order = 1 + random.permutation(count - 1)
    shown = np.arange(count)
    shown[order[: round(share * (count - 1))]] = 0
    return np.maximum.accumulate(shown)


def kept(count: int, share: float) -> NDArray[np.int64]:
    """Which frames are left when a share is dropped at even distances; shape (round(count * (1 - share)),)."""
    left = max(1, round(count * (1 - share)))
    return np.asarray(np.floor(np.arange(left) * count / left), dtype=np.int64)


def shifted(frame: Image, right: float, down: float) -> Image:
    """Move a frame by any number of pixels (Lanczos, edges mirrored)."""
    matrix = np.array([[1, 0, right], [0, 1, down]], dtype=np.float64)
    size = (frame.shape[1], frame.shape[0])
    moved = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def warped(frame: Image, knots: NDArray[np.float32]) -> Image:
    """Bend a frame smoothly.

    Args:
        frame: Shape (height, width, 3).
        knots: Shape (n, n, 2): displacement in pixels, right and down, on a coarse grid over the frame and somewhat
            beyond; cubic in between.
    """
    height, width = frame.shape[:2]
    inner = (knots.shape[0] - 1) / (knots.shape[0] - 1 - 2 * _MARGIN)
    large = cv2.resize(knots, (round(width * inner), round(height * inner)), interpolation=cv2.INTER_CUBIC)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    field = large[top : top + height, left : left + width]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(frame, x - field[..., 0], y - field[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def repeats(material: Material, share: float) -> Video:
    """A share of the frames, chosen at random, shows the frame before again."""
    shown = held(len(material.frames), share, np.random.default_rng([material.seed, 2]))
    return Video([material.frames[i] for i in shown], material.audio)


def drops(material: Material, share: float) -> Video:
    """A share of the frames is lost at even distances: the picture runs fast and ends early, the sound does not."""
    return Video([material.frames[i] for i in kept(len(material.frames), share)], material.audio)


def jitter(material: Material, deviation: float) -> Video:
    """Every frame is moved at random by itself; `deviation` along each axis in pixels at 256."""
    steps = np.random.default_rng([material.seed, 3]).standard_normal((len(material.frames), 2))
    size = pixels_of(deviation, material.frames[0])
    frames = [shifted(f, *(size * step)) for f, step in zip(material.frames, steps, strict=True)]
    return Video(frames, material.audio)


def wobble(material: Material, deviation: float) -> Video:
    """Every frame is bent at random by itself, so that parts of the face move against each other; pixels at 256."""
    random = np.random.default_rng([material.seed, 4])
    size = pixels_of(deviation, material.frames[0])
    fields = (size * random.standard_normal((KNOTS, KNOTS, 2), dtype=np.float32) for _ in material.frames)
    return Video([warped(f, knots) for f, knots in zip(material.frames, fields, strict=True)], material.audio)
