"""The rasteriser against brute force, and its rules."""

from __future__ import annotations

import numpy as np
import pytest

from thbench.data.synth_heads.raster import rasterise


def brute_force(points, triangles, height, width):
    """Nearest triangle at every pixel centre by testing every pair; -1 where there is none."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    best = np.full((height, width), -1)
    nearest = np.full((height, width), -np.inf)
    for number, (a, b, c) in enumerate(points[triangles]):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        wa = ((b[0] - x) * (c[1] - y) - (c[0] - x) * (b[1] - y)) / area
        wb = ((c[0] - x) * (a[1] - y) - (a[0] - x) * (c[1] - y)) / area
        wc = 1 - wa - wb
        inverse = wa / a[2] + wb / b[2] + wc / c[2]
        seen = (wa >= 0) & (wb >= 0) & (wc >= 0) & (inverse > nearest)
        best[seen], nearest[seen] = number, inverse[seen]
    return best


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_brute_force(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform((-10, -10, 5), (50, 40, 20), (60, 3))
    triangles = rng.integers(0, 60, (40, 3)).astype(np.int32)
    triangles = triangles[[len(set(t)) == 3 for t in triangles.tolist()]]
    seen = rasterise(points, triangles, 30, 40)
    image = np.full(30 * 40, -1)
    image[seen.pixel] = seen.triangle
    assert np.mean(image.reshape(30, 40) == brute_force(points, triangles, 30, 40)) > 0.998


def test_weights_reproduce_linear_functions_of_space():
    # Perspective: interpolating world x with the weights must give back the ray's x at every pixel.
    corners = np.array([(-1.0, -1.0, 4.0), (2.0, -1.0, 9.0), (0.0, 2.0, 6.0)])
    screen = np.column_stack(
        (32 + 20 * corners[:, 0] / corners[:, 2], 32 + 20 * corners[:, 1] / corners[:, 2], corners[:, 2])
    )
    seen = rasterise(screen, np.array([[0, 1, 2]], dtype=np.int32), 64, 64)
    world = seen.weights @ corners
    column = seen.pixel % 64 + 0.5
    assert len(seen.pixel) > 20
    assert np.allclose(32 + 20 * world[:, 0] / world[:, 2], column, atol=1e-4)
    assert np.allclose(seen.weights.sum(axis=1), 1, atol=1e-6)


def test_adjacent_triangles_leave_no_gap():
    points = np.array([(3.3, 2.1, 5.0), (28.7, 4.4, 5.0), (26.2, 29.9, 5.0), (1.8, 25.5, 5.0)])
    both = rasterise(points, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32), 32, 32)
    inside = np.zeros((32, 32), dtype=bool)
    inside.ravel()[both.pixel] = True
    rows = np.flatnonzero(inside.any(axis=1))
    for row in rows:
        columns = np.flatnonzero(inside[row])
        assert np.array_equal(columns, np.arange(columns[0], columns[-1] + 1))


def test_backs_are_dropped_one_by_one():
    points = np.array(
        [(2.0, 2.0, 5.0), (2.0, 12.0, 5.0), (12.0, 2.0, 5.0), (20.0, 2.0, 5.0), (20.0, 12.0, 5.0), (30.0, 2.0, 5.0)]
    )
    # Anti-clockwise for a viewer in front means clockwise in rows that count downwards: 0, 1, 2 is seen from the front.
    triangles = np.array([[0, 1, 2], [3, 5, 4]], dtype=np.int32)
    assert set(rasterise(points, triangles, 32, 32).triangle) == {0, 1}
    assert set(rasterise(points, triangles, 32, 32, two_sided=False).triangle) == {0}
    assert set(rasterise(points, triangles, 32, 32, two_sided=np.array([False, True])).triangle) == {0, 1}


def test_order_of_triangles_does_not_matter():
    rng = np.random.default_rng(1)
    points = rng.uniform((0, 0, 5), (40, 40, 20), (90, 3))
    triangles = np.arange(90, dtype=np.int32).reshape(30, 3)
    shuffle = rng.permutation(30)
    a, b = rasterise(points, triangles, 40, 40), rasterise(points, triangles[shuffle], 40, 40)
    assert np.array_equal(a.pixel, b.pixel)
    assert np.array_equal(a.triangle, shuffle[b.triangle])


def test_nothing_in_view():
    points = np.array([(-9.0, 1.0, 5.0), (-5.0, 4.0, 5.0), (-3.0, 1.0, 5.0)])
    seen = rasterise(points, np.array([[0, 1, 2]], dtype=np.int32), 16, 16)
    assert len(seen.pixel) == len(seen.triangle) == len(seen.weights) == 0
