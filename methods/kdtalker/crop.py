"""KDTalker's portrait crop: the upright box around FFHQ's square.

Source: chaolongy/KDTalker, dataset_process/croper.py (from SadTalker). The public code bounds the lower edge by the
width of the image, where the height is meant; here it is the height.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.faces import ffhq_quad

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def crop_box(points68: ArrayLike, height: int, width: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom in whole pixels, within the portrait.

    Args:
        points68: Shape (68, 2), pixels.
        height: Of the portrait.
        width: Of the portrait.
    """
    upper_left, lower_left, lower_right, upper_right = ffhq_quad(points68)
    left, top = min(upper_left[0], lower_left[0]), min(upper_left[1], upper_right[1])
    right, bottom = max(lower_right[0], upper_right[0]), max(lower_left[1], lower_right[1])
    return int(max(left, 0)), int(max(top, 0)), int(min(right, width)), int(min(bottom, height))


def crop(rgb: NDArray[np.uint8], points68: ArrayLike, size: int = 256) -> NDArray[np.uint8]:
    """Return the crop (size, size, 3) of a portrait; where the box leaves the portrait it is cut, then stretched."""
    left, top, right, bottom = crop_box(points68, *rgb.shape[:2])
    return np.asarray(cv2.resize(rgb[top:bottom, left:right], (size, size)), dtype=np.uint8)
