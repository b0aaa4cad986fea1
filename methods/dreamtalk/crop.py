"""DreamTalk's portrait crop: a square around the face box, moved up a little.

Source: ali-vilab/dreamtalk, core/utils.py. The public code does not see a square that leaves the image on the right or
at the bottom, and stretches what is left; here all four sides count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.errors import MethodError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LIFT, ENLARGEMENT = 0.1, 0.4
"""How far the box moves up, in its heights, and how far the square reaches beyond it on each side, in its sides."""


def crop_box(face: ArrayLike, height: int, width: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom in whole pixels of the largest allowed square around a face.

    The square has 1.8 sides of the longer side of the face. When it leaves the portrait it shrinks around its centre.

    Args:
        face: Shape (4,): left, top, right, bottom in pixels.
        height: Of the portrait.
        width: Of the portrait.

    Raises:
        MethodError: The face lies so far outside that no square is left.
    """
    left, top, right, bottom = np.asarray(face, dtype=np.float64)
    lift = LIFT * (bottom - top)
    top, bottom = max(top - lift, 0.0), min(bottom - lift, float(height))
    centre = np.array([left + right, top + bottom]) / 2
    half = (0.5 + ENLARGEMENT) * max(right - left, bottom - top)
    half = min(half, *centre, *(np.array([width, height]) - centre))
    if half < 1:
        raise MethodError(
            f"the face box {left:.0f}, {top:.0f}, {right:.0f}, {bottom:.0f} leaves the portrait of {width} x {height} "
            "pixels; use a portrait in which the whole face is visible"
        )
    x, y = np.ceil(centre - half).astype(int)
    side = int(2 * half)
    return int(x), int(y), int(min(x + side, width)), int(min(y + side, height))


def crop(rgb: NDArray[np.uint8], face: ArrayLike, size: int = 256) -> NDArray[np.uint8]:
    """Return the crop (size, size, 3) of a portrait (height, width, 3)."""
    left, top, right, bottom = crop_box(face, *rgb.shape[:2])
    return np.asarray(cv2.resize(rgb[top:bottom, left:right], (size, size)), dtype=np.uint8)


def box_of(points68: ArrayLike) -> NDArray[np.float64]:
    """Return the box (4,) around the 68 landmarks (68, 2), brows to chin, which stands for a face detector's."""
    points = np.asarray(points68, dtype=np.float64)
    return np.concatenate((points.min(axis=0), points.max(axis=0)))
