"""Upright squares about parts of a face: where they are, how they are cut, and how points go to and fro.

A place follows from nose and eyes alone, which speech does not move. Coordinates are pixels; the corner of an image is
(0, 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RIGID = slice(27, 48)
"""Nose and eyes among the 68 points."""
_EYES = (slice(36, 42), slice(42, 48))


class Part(NamedTuple):
    """A part of the face, in units of the spread of nose and eyes (half of the inter-ocular distance)."""

    below: float
    """From the centroid of nose and eyes down to the middle of the square."""
    reach: float
    """Half the side."""


WHOLE = Part(0.9, 3.1)
"""Brows to chin."""
LIPS = Part(2.1, 1.75)
"""Mouth and chin."""


class Place(NamedTuple):
    """An upright square on a frame; leading axes may count frames."""

    middle: NDArray[np.float64]
    """Shape (..., 2)."""
    side: NDArray[np.float64]
    """Shape (...)."""
    across: NDArray[np.float64]
    """Shape (..., 2): unit vector along the line of the eyes, to the right edge of the frame."""

    def matrix(self, side: int) -> NDArray[np.float64]:
        """Map of points of a cut with `side` rows onto the frame, shape (..., 2, 3)."""
        right = self.across * (self.side / side)[..., None]
        down = _down(right)
        origin = self.middle - (right + down) * (side / 2)
        return np.stack((right, down, origin), axis=-1)


class Attitude(NamedTuple):
    """Centroid, spread and direction of nose and eyes; leading axes may count frames."""

    centroid: NDArray[np.float64]
    """Shape (..., 2)."""
    spread: NDArray[np.float64]
    """Shape (...): root mean square distance from the centroid."""
    across: NDArray[np.float64]
    """Shape (..., 2): unit vector from the eye at the left of the image to the other."""

    def place(self, part: Part) -> Place:
        """The square about a part."""
        middle = self.centroid + part.below * self.spread[..., None] * _down(self.across)
        return Place(middle, 2 * part.reach * self.spread, self.across)


def attitude_of(landmarks: NDArray[np.floating]) -> Attitude:
    """Measure nose and eyes.

    Args:
        landmarks: Shape (..., 68, 2).
    """
    points = landmarks.astype(np.float64)
    rigid = points[..., _RIGID, :]
    centroid = rigid.mean(axis=-2)
    spread = np.sqrt(np.square(rigid - centroid[..., None, :]).sum(axis=-1).mean(axis=-1))
    first, second = (points[..., eye, :].mean(axis=-2) for eye in _EYES)
    along = second - first
    return Attitude(centroid, spread, along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-6))


def moved(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points (..., n, 2) by matrices (..., 2, 3)."""
    linear = np.swapaxes(matrix[..., :2], -1, -2)
    return np.asarray(points @ linear + matrix[..., None, :, 2])


def cut(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Cut a square; bilinear, edge pixels repeated beyond the frame.

    Args:
        rgb: Shape (height, width, 3).
        matrix: Map of points of the cut onto the frame, shape (2, 3).
        side: Rows and columns of the result.
    """
    import cv2

    # OpenCV counts from the middle of the first pixel, in the frame and in the cut.
    inner = matrix.copy()
    inner[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(rgb, inner, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _down(across: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack((-across[..., 1], across[..., 0]), axis=-1)
