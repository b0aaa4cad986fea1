"""Least-squares similarity and exact bilinear sampling.

Coordinates here are pixel indices: the centre of the first pixel is (0, 0). `Face.points` are measured from the frame's
edge instead, half a pixel more; `thbench.faces.alignment` converts.

The sampling is our own since OpenCV 4's `warpAffine` and `remap` round their weights to 1/32 (up to 4.4 grey levels
off on hard edges), which later versions do not: a number must not depend on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from thbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Border = Literal["zero", "reflect"]
"""What lies outside an image: zeros, or the image mirrored about its edge pixels."""


def similarity(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Fit rotation, scale and shift, without reflection, that bring points to their targets.

    In the plane the least-squares fit of Umeyama (1991) is one complex division: with centred points written as complex
    numbers, scale and rotation are sum(conj(source) * target) / sum(|source|^2).

    Args:
        source: Shape (n, 2), n >= 2.
        target: Shape (n, 2).

    Returns:
        Shape (2, 3): `target ~ matrix[:, :2] @ source + matrix[:, 2]`.

    Raises:
        UsageError: The source points coincide.
    """
    a, b = (np.asarray(points, dtype=np.float64) @ (1, 1j) for points in (source, target))
    centred = a - a.mean()
    power = np.vdot(centred, centred).real
    if power == 0:
        raise UsageError("a similarity needs at least two different points, but all source points are equal")
    turn = np.vdot(centred, b - b.mean()) / power
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def sample(
    image: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64], border: Border = "zero"
) -> NDArray[np.float64]:
    """Read an image at fractional places, bilinearly.

    Args:
        image: Shape (height, width, channels).
        x: Columns, any shape.
        y: Rows, same shape.
        border: What lies outside.

    Returns:
        Shape `x.shape + (channels,)`, same scale as the image, not rounded.
    """
    height, width, channels = image.shape
    pixels = image.reshape(height * width, channels)
    left, top = np.floor(x), np.floor(y)
    right_share, lower_share = x - left, y - top
    columns = [_inside(left + step, width, border) for step in (0, 1)]
    rows = [_inside(top + step, height, border) for step in (0, 1)]
    result = np.zeros((*x.shape, channels))
    for row, (row_index, row_valid) in enumerate(rows):
        for column, (column_index, column_valid) in enumerate(columns):
            share = (lower_share if row else 1 - lower_share) * (right_share if column else 1 - right_share)
            share = share * (row_valid & column_valid)
            result += share[..., None] * pixels[row_index * width + column_index]
    return result


def warp(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], shape: tuple[int, int], border: Border = "zero"
) -> NDArray[np.float64]:
    """Apply an affine map to an image, bilinearly and exactly.

    Args:
        image: Shape (height, width, channels).
        matrix: Shape (2, 3): image point to output point, in pixel indices.
        shape: Height and width of the output.
        border: What lies outside the image.

    Returns:
        Shape (*shape, channels), same scale as the image, not rounded.
    """
    back = np.linalg.inv(matrix[:, :2])
    u, v = np.meshgrid(np.arange(shape[1]) - matrix[0, 2], np.arange(shape[0]) - matrix[1, 2])
    return sample(image, back[0, 0] * u + back[0, 1] * v, back[1, 0] * u + back[1, 1] * v, border)


def to_uint8(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round to the nearest level, ties to even, within 0 and 255."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _inside(index: NDArray[np.float64], size: int, border: Border) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Indices brought into [0, size), and which of them count."""
    if border == "reflect":
        period = max(2 * (size - 1), 1)
        folded = np.mod(index, period)
        return np.minimum(folded, period - folded).astype(np.intp) % size, np.ones(index.shape, dtype=np.bool_)
    valid = (index >= 0) & (index < size)
    return np.where(valid, index, 0).astype(np.intp), valid
