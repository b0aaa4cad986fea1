"""Cropping a portrait for LivePortrait, and pasting frames back into it.

Source: KwaiVGI/LivePortrait, src/utils/crop.py and src/config/crop_config.py. The published crop uses 203 landmarks of
a network of its own; here it is the same rule on 68 points, which the public code has, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

EYES, MOUTH_CORNERS = ((36, 39), (42, 45)), (48, 54)
"""Corners of the eyes and of the mouth among the 68 points."""
FEATHER = 1 / 32
"""Width of the ramp at the edge of the pasted crop, in sides of the crop."""


@dataclass(frozen=True, slots=True)
class CropRule:
    """How far the crop reaches around the landmarks."""

    size: int = 512
    """Side of the crop in pixels."""
    scale: float = 2.3
    """Side of the crop in sides of the square around the landmarks."""
    shift: float = -0.125
    """How far the centre moves towards the chin, in sides of the crop; negative is towards the forehead."""
    rotate: bool = True
    """Whether the crop turns with the head."""


def crop_matrix(points68: ArrayLike, rule: CropRule | None = None) -> NDArray[np.float64]:
    """Return the similarity from portrait to crop.

    The vertical axis runs from the middle of the eyes to the middle of the mouth; the square is the smallest that holds
    all points in those axes, enlarged and shifted.

    Args:
        points68: Shape (68, 2), pixels.
        rule: The published one unless stated.

    Returns:
        Shape (2, 3): portrait point to crop point.
    """
    rule = rule or CropRule()
    points = np.asarray(points68, dtype=np.float64)
    axes = _face_axes(points)
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    side = (high - low).max() * rule.scale
    centre = axes.T @ ((low + high) / 2 + [0, rule.shift * side])
    linear = (axes if rule.rotate else np.eye(2)) * (rule.size / side)
    return np.column_stack((linear, rule.size / 2 - linear @ centre))


def _face_axes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (2, 2): unit vectors across and down the face."""
    eyes = np.mean([points[list(corners)].mean(axis=0) for corners in EYES], axis=0)
    down = points[list(MOUTH_CORNERS)].mean(axis=0) - eyes
    length = np.hypot(*down)
    down = down / length if length > 1e-3 else np.array([0.0, 1.0])
    return np.array([[down[1], -down[0]], down])


def crop(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Return the crop (size, size, 3) of a portrait (height, width, 3), bilinear, black outside."""
    return np.asarray(cv2.warpAffine(rgb, matrix, (size, size), flags=cv2.INTER_LINEAR), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Paste:
    """All that pasting needs and that is the same for every frame of a clip."""

    portrait: NDArray[np.uint8]
    """Shape (height, width, 3)."""
    back: NDArray[np.float64]
    """Shape (2, 3): crop point to point in the region that the crop covers."""
    region: tuple[slice, slice]
    """Rows and columns of the portrait that the crop covers."""
    mask: NDArray[np.float32]
    """Shape (rows, columns, 1), range [0, 1]: share of the crop."""


def prepare_paste(portrait: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> Paste:
    """Prepare to paste crops of side `size` back where `crop_matrix` took them from."""
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([(0, 0), (size, 0), (size, size), (0, size)]) @ back[:, :2].T + back[:, 2]
    width_height = np.array(portrait.shape[1::-1])
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, width_height - 1).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, (left + 1, top + 1), width_height).astype(int)
    back = back - [[0, 0, left], [0, 0, top]]
    mask = cv2.warpAffine(feathered(size), back, (int(right - left), int(bottom - top)))
    return Paste(
        portrait, back, (slice(top, bottom), slice(left, right)), np.asarray(mask, dtype=np.float32)[..., None]
    )


def paste(frame: NDArray[np.uint8], prepared: Paste) -> NDArray[np.uint8]:
    """Return the portrait (height, width, 3) with a generated crop (size, size, 3) in its place."""
    result = prepared.portrait.copy()
    below = result[prepared.region]
    above = cv2.warpAffine(frame, prepared.back, below.shape[1::-1], flags=cv2.INTER_LINEAR)
    result[prepared.region] = np.rint(below + prepared.mask * (above.astype(np.float32) - below))
    return result


def feathered(size: int) -> NDArray[np.float32]:
    """Return the mask (size, size) of the crop: 1 inside, falling linearly to 0 at every edge."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1])
    ramp = np.minimum(distance / (size * FEATHER), 1).astype(np.float32)
    return np.outer(ramp, ramp)
