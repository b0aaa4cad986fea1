"""Similarity fits and exact bilinear sampling against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from thbench.errors import UsageError
from thbench.faces.geometry import sample, similarity, to_uint8, warp

numbers = st.floats(-100, 100, allow_nan=False)


@given(scale=st.floats(0.01, 50), angle=st.floats(-3.1, 3.1), x=numbers, y=numbers, seed=st.integers(0, 1000))
def test_similarity_recovers_a_similarity(scale: float, angle: float, x: float, y: float, seed: int) -> None:
    source = np.random.default_rng(seed).normal(size=(5, 2)) * 30
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, -s, x], [s, c, y]])
    np.testing.assert_allclose(
        similarity(source, source @ matrix[:, :2].T + matrix[:, 2]), matrix, atol=1e-9 * (1 + scale)
    )


@given(seed=st.integers(0, 1000))
def test_similarity_is_the_least_squares_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 6, 2))
    matrix = similarity(source, target)
    # Linear in (a, b, tx, ty): u = a x - b y + tx, v = b x + a y + ty.
    zero, one = np.zeros(6), np.ones(6)
    system = np.concatenate(
        [np.stack([source[:, 0], -source[:, 1], one, zero], 1), np.stack([source[:, 1], source[:, 0], zero, one], 1)]
    )
    a, b, tx, ty = np.linalg.lstsq(system, target.T.reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(matrix, [[a, -b, tx], [b, a, ty]], atol=1e-9)
    assert np.linalg.det(matrix[:, :2]) >= 0


def test_similarity_of_coinciding_points_is_refused() -> None:
    with pytest.raises(UsageError, match="two different points"):
        similarity([(3, 4)] * 5, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)])


@pytest.mark.parametrize(("border", "mode"), [("zero", "grid-constant"), ("reflect", "mirror")])
@pytest.mark.parametrize("shape", [(17, 23), (1, 5), (4, 1)])
def test_sample_equals_scipy(border: str, mode: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    x = rng.uniform(-shape[1] - 3, 2 * shape[1] + 3, 500)
    y = rng.uniform(-shape[0] - 3, 2 * shape[0] + 3, 500)
    ours = sample(image, x, y, border)
    for channel in range(3):
        scipy = ndimage.map_coordinates(image[..., channel].astype(float), [y, x], order=1, mode=mode, cval=0)
        np.testing.assert_allclose(ours[:, channel], scipy, atol=1e-9)


def test_warp_by_identity_shift_and_half_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp(image, np.array([[1.0, 0, 0], [0, 1, 0]]), (8, 9)), image)
    shifted = warp(image, np.array([[1.0, 0, 2], [0, 1, 3]]), (8, 9))
    np.testing.assert_array_equal(shifted[3:, 2:], image[:-3, :-2])
    assert not shifted[:3].any()
    assert not shifted[:, :2].any()
    half = warp(image, np.array([[1.0, 0, 0.5], [0, 1, 0]]), (8, 9))
    np.testing.assert_allclose(half[:, 1:], (image[:, 1:].astype(float) + image[:, :-1]) / 2)


def test_rounding() -> None:
    np.testing.assert_array_equal(to_uint8(np.array([-3.0, 0.5, 1.5, 254.6, 300.0])), [0, 0, 2, 255, 255])
