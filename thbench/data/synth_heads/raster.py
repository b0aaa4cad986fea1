"""A z-buffer rasteriser for whole meshes at once, in numpy.

Each triangle is cut into pixel rows, each row into its exact span of pixel centres (half-plane bounds, no bounding-box
waste), and the nearest fragment of each pixel wins through one integer minimum, which does not depend on the order of
the fragments: equal input gives equal bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEPTH_STEPS = float(2**36)
"""Nearness is compared as an integer of this many steps between the farthest and the nearest vertex."""
_TRIANGLE_BITS = 24
_EMPTY = np.iinfo(np.int64).max
_SLIVER = 1e-6
"""Triangles below this area, in square pixels, cover no pixel that their neighbours do not."""


class Visible(NamedTuple):
    """What is seen through each pixel that shows any triangle."""

    pixel: NDArray[np.int64]
    """Shape (n,): row-major pixel numbers, ascending."""
    triangle: NDArray[np.int64]
    """Shape (n,): the nearest triangle."""
    weights: NDArray[np.float32]
    """Shape (n, 3): perspective-correct weights of its three corners; they sum to one."""


class _Setup(NamedTuple):
    """Linear functions of the pixel position for each triangle that may be seen; the triangle is the last axis."""

    number: NDArray[np.int64]
    edges: NDArray[np.float64]
    """Shape (corner, 3, n): screen weight of a corner is `a x + b y + c`; the three sum to one."""
    inverse: NDArray[np.float64]
    """Shape (corner, n): inverse depth of the corners."""
    nearness: NDArray[np.float64]
    """Shape (3, n): inverse depth is `a x + b y + c`."""
    top: NDArray[np.int64]
    """Shape (n,): first row."""
    height: NDArray[np.int64]
    """Shape (n,): number of rows."""


def rasterise(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    height: int,
    width: int,
    *,
    two_sided: bool | NDArray[np.bool_] = True,
) -> Visible:
    """Find the nearest triangle at every pixel centre.

    Args:
        points: Shape (vertices, 3): x right and y down in pixels (the centre of the first pixel is 0.5, 0.5), and
            distance from the camera, > 0.
        triangles: Shape (triangles, 3): vertex numbers, anti-clockwise for a viewer in front.
        height: Rows of the image.
        width: Columns of the image.
        two_sided: Whether triangles are also drawn when seen from behind; one answer, or shape (triangles,).
    """
    setup = _set_up(np.ascontiguousarray(points[triangles].T, dtype=np.float64), height, width, two_sided)
    pixel, index, nearness = _fragments(setup, width)
    nearest = np.full(height * width, _EMPTY, dtype=np.int64)
    if len(pixel):
        top = float(nearness.max())
        scale = _DEPTH_STEPS / max(top - float(nearness.min()), 1e-12)
        key = ((top - nearness) * scale).astype(np.int64)
        key <<= _TRIANGLE_BITS
        key |= index
        np.minimum.at(nearest, pixel, key)
    shown = np.flatnonzero(nearest != _EMPTY)
    winner = nearest[shown] & ((1 << _TRIANGLE_BITS) - 1)
    number = setup.number[winner]
    return Visible(shown, number, _weights(setup, winner, shown, width))


def _set_up(corners: NDArray[np.float64], height: int, width: int, two_sided: bool | NDArray[np.bool_]) -> _Setup:
    """Drop what cannot be seen; `corners` has shape (coordinate, corner, triangle)."""
    x, y, z = corners
    top = np.ceil(np.minimum(np.minimum(y[0], y[1]), y[2]) - 0.5).clip(0, height)
    bottom = np.floor(np.maximum(np.maximum(y[0], y[1]), y[2]) - 0.5).clip(-1, height - 1)
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    keep = (bottom >= top) & ((area < -_SLIVER) | ((area > _SLIVER) & two_sided))
    keep &= np.maximum(np.maximum(x[0], x[1]), x[2]) > 0
    keep &= np.minimum(np.minimum(x[0], x[1]), x[2]) < width
    number = np.flatnonzero(keep)
    x, y, z = corners[:, :, number]
    scale = 1.0 / area[number]
    edges = np.empty((3, 3, len(number)))
    for corner, after, last in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        edges[corner, 0] = (y[after] - y[last]) * scale
        edges[corner, 1] = (x[last] - x[after]) * scale
        edges[corner, 2] = (x[after] * y[last] - x[last] * y[after]) * scale
    inverse = 1.0 / z
    nearness = edges[0] * inverse[0] + edges[1] * inverse[1] + edges[2] * inverse[2]
    first = top[number].astype(np.int64)
    return _Setup(number, edges, inverse, nearness, first, bottom[number].astype(np.int64) - first + 1)


def _spans(setup: _Setup, width: int) -> tuple[NDArray[np.int64], ...]:
    """Cut triangles into rows; return triangle index, row, first column and number of columns of each span."""
    index = np.repeat(np.arange(len(setup.height)), setup.height)
    row = np.arange(len(index)) - np.repeat(np.cumsum(setup.height) - setup.height - setup.top, setup.height)
    centre = row + 0.5
    left = np.zeros(len(index))
    right = np.full(len(index), float(width))
    for a, b, c in setup.edges:
        # Where an edge is level it bounds no column: a bound beyond the image on the harmless side stands in.
        level = np.abs(a) < 1e-12
        inverse = 1.0 / np.where(level, 1.0, a)
        slope, offset = np.where(level, 0.0, -b * inverse), np.where(level, -1e9, -c * inverse)
        bound = offset[index] + slope[index] * centre
        rising = ((a > 0) | level)[index]
        np.maximum(left, np.where(rising, bound, -1e9), out=left)
        np.minimum(right, np.where(rising, 1e9, bound), out=right)
    first = np.ceil(left - (0.5 + 1e-7)).astype(np.int64)
    length = np.minimum(np.floor(right - (0.5 - 1e-7)), width - 1).astype(np.int64) - first + 1
    some = np.flatnonzero(length > 0)
    return index[some], row[some], first[some], length[some]


def _fragments(setup: _Setup, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pixel number, triangle index and inverse depth of every fragment."""
    index, row, first, length = _spans(setup, width)
    step = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    dx, dy, base = setup.nearness
    slope = dx[index]
    start = base[index] + dy[index] * (row + 0.5) + slope * (first + 0.5)
    nearness = np.repeat(start, length) + step * np.repeat(slope, length)
    return np.repeat(row * width + first, length) + step, np.repeat(index, length), nearness


def _weights(setup: _Setup, winner: NDArray[np.int64], pixel: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Perspective-correct corner weights at the centres of the pixels that each triangle won."""
    # One row per triangle, so that a pixel's gather touches one stretch of memory. The numerators sum to the nearness.
    table = np.ascontiguousarray(
        np.concatenate((setup.edges[0] * setup.inverse[0], setup.edges[1] * setup.inverse[1], setup.nearness)).T
    )
    row, column = np.divmod(pixel, width)
    x, y = column + 0.5, row + 0.5
    a0, b0, c0, a1, b1, c1, a, b, c = table[winner].T
    total = 1.0 / (a * x + b * y + c)
    weights = np.empty((len(pixel), 3), dtype=np.float32)
    first = ((a0 * x + b0 * y + c0) * total).clip(0.0, 1.0)
    weights[:, 0] = first
    weights[:, 1] = np.minimum(((a1 * x + b1 * y + c1) * total).clip(0.0), 1.0 - first)
    weights[:, 2] = 1.0 - weights[:, 0] - weights[:, 1]
    return weights
