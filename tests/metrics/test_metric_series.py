"""Series with gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from thbench.faces.pose import head_pose_degrees, rotation_from_degrees
from thbench.metrics.series import (
    MAX_GAP,
    Recorder,
    band_pass,
    fill_rotation_gaps,
    fill_short_gaps,
    measured,
    runs,
    smooth,
    unwrap_degrees,
)

masks = st.lists(st.booleans(), max_size=60).map(lambda bits: np.array(bits, dtype=bool))


def with_gaps(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, np.arange(len(mask)) * 2.0 + 1, np.nan)


def test_the_recorder_keeps_rows_and_gaps() -> None:
    recorder = Recorder(2)
    recorder.add((1.0, 2.0))
    recorder.add(None)
    recorder.add(np.array([3.0, 4.0]))
    np.testing.assert_array_equal(recorder.rows(), [[1, 2], [np.nan, np.nan], [3, 4]])
    assert Recorder(3).rows().shape == (0, 3)


@given(masks)
def test_runs_cover_exactly_the_marked_frames(mask: np.ndarray) -> None:
    covered = np.zeros(len(mask), dtype=bool)
    for start, stop in runs(mask):
        assert start < stop
        assert not covered[start:stop].any()
        covered[start:stop] = True
    np.testing.assert_array_equal(covered, mask)
    assert all(b.start > a.stop for a, b in zip(runs(mask), runs(mask)[1:], strict=False))


@given(masks)
def test_short_gaps_are_filled_linearly_and_nothing_else_is(mask: np.ndarray) -> None:
    values = with_gaps(mask)
    filled = fill_short_gaps(values)
    for start, stop in runs(~mask):
        inside = start > 0 and stop < len(mask) and stop - start <= MAX_GAP
        expected = np.arange(start, stop) * 2.0 + 1 if inside else np.full(stop - start, np.nan)
        np.testing.assert_allclose(filled[start:stop], expected)
    np.testing.assert_array_equal(filled[mask], values[mask])


def test_a_gap_of_five_is_filled_and_one_of_six_is_not() -> None:
    five = np.array([0, *[np.nan] * 5, 6.0])
    six = np.array([0, *[np.nan] * 6, 7.0])
    np.testing.assert_allclose(fill_short_gaps(five), np.arange(7))
    assert np.isnan(fill_short_gaps(six)[1:-1]).all()


def test_a_row_with_any_nan_is_missing_as_a_whole() -> None:
    values = np.array([[0.0, 0.0], [np.nan, 9.0], [2.0, 2.0]])
    np.testing.assert_array_equal(measured(values), [True, False, True])
    np.testing.assert_allclose(fill_short_gaps(values), [[0, 0], [1, 1], [2, 2]])


def test_rotation_gaps_follow_the_shortest_arc() -> None:
    degrees = np.column_stack([np.linspace(170, 190, 5), np.zeros(5), np.zeros(5)])
    rotations = rotation_from_degrees(degrees)
    broken = rotations.copy()
    broken[1:4] = np.nan
    np.testing.assert_allclose(fill_rotation_gaps(broken), rotations, atol=1e-12)


def test_long_rotation_gaps_and_ends_stay_missing() -> None:
    rotations = np.repeat(np.eye(3)[None], 12, axis=0)
    rotations[0] = rotations[2:9] = rotations[-1] = np.nan
    np.testing.assert_array_equal(measured(fill_rotation_gaps(rotations)), measured(rotations))
    assert not measured(fill_rotation_gaps(np.full((4, 3, 3), np.nan))).any()


def test_unwrapping_bridges_missing_frames() -> None:
    angles = np.array([[170.0], [np.nan], [-170.0], [-150.0]])
    np.testing.assert_allclose(unwrap_degrees(angles), [[170], [np.nan], [190], [210]])
    turning = head_pose_degrees(rotation_from_degrees(np.column_stack([np.arange(0, 720, 30.0), *[np.zeros(24)] * 2])))
    np.testing.assert_allclose(unwrap_degrees(turning)[:, 0], np.arange(0, 720, 30.0), atol=1e-9)


def test_smoothing_is_a_gaussian_inside_and_keeps_constants_everywhere() -> None:
    values = np.random.default_rng(0).normal(size=400)
    np.testing.assert_allclose(
        smooth(values, 3.0)[50:-50], gaussian_filter1d(values, 3.0, truncate=4)[50:-50], atol=1e-12
    )
    constant = np.full(50, 7.0)
    constant[10:30] = np.nan
    np.testing.assert_allclose(smooth(constant, 4.0), constant)


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_smoothing_takes_any_length(length: int) -> None:
    np.testing.assert_allclose(smooth(np.ones(length), 100.0), np.ones(length))


def test_the_band_pass_removes_trends_and_keeps_syllables() -> None:
    times = np.arange(1000) / 25
    trend = 5 + 0.3 * times
    syllables = np.sin(2 * np.pi * 3 * times)
    inside = slice(100, -100)
    assert np.abs(band_pass(trend, 25, 0.04, 0.5)[inside]).max() < 1e-9
    assert band_pass(syllables, 25, 0.04, 0.5)[inside].std() == pytest.approx(
        np.exp(-0.5 * (2 * np.pi * 3 * 0.04) ** 2) / 2**0.5, rel=0.01
    )
