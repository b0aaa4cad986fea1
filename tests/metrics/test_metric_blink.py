"""Blinks."""

from __future__ import annotations

import numpy as np
import pytest
from motion_helpers import evaluate, make_face
from numpy.typing import NDArray

from thbench.faces.face import Face
from thbench.faces.pose import rotation_from_degrees
from thbench.metrics.blink import BlinkObserver, blinks, eye_opening, running_baseline
from thbench.metrics.observer import Missing

NAMES = {"blink-rate", "blink-duration"}


def eyes(seconds: float, fps: float, closures: list[tuple[float, float]], drift: float = 0.0) -> NDArray[np.float64]:
    """Opening of eyes that close at the given times (seconds) for the given lengths (milliseconds)."""
    times = np.arange(round(seconds * fps)) / fps
    opening = 0.3 + drift * np.sin(2 * np.pi * times / seconds)
    for start, length in closures:
        opening[(times >= start - 1e-9) & (times < start + length / 1000 - 1e-9)] = 0.05
    return opening


def faces(opening: NDArray[np.float64]) -> list[Face]:
    return [make_face(eye=value) for value in opening]


@pytest.mark.parametrize("fps", [25.0, 50.0])
def test_known_blinks_are_counted_and_measured(fps: float) -> None:
    closures = [(1.0, 120), (3.2, 200), (6.0, 160), (8.8, 240)]
    opening = eyes(10, fps, closures, drift=0.05)
    found = blinks(opening, fps)
    assert [frames.start / fps for frames, _ in found] == pytest.approx([start for start, _ in closures])
    values = evaluate(BlinkObserver, NAMES, faces(opening), fps=fps)
    assert values["blink-rate"] == pytest.approx(0.4)
    assert values["blink-duration"] == pytest.approx(180)


@pytest.mark.parametrize(("length", "counted"), [(40, 0), (80, 1), (480, 1), (520, 0)])
def test_only_closures_of_80_to_480_ms_are_blinks(length: float, counted: int) -> None:
    assert len(blinks(eyes(6, 25, [(3.0, length)]), 25)) == counted


@pytest.mark.parametrize(("pause", "counted"), [(80, 1), (120, 2)])
def test_closures_at_most_80_ms_apart_are_one(pause: float, counted: int) -> None:
    assert len(blinks(eyes(6, 25, [(3.0, 120), (3.12 + pause / 1000, 120)]), 25)) == counted


def test_a_squint_is_no_blink() -> None:
    opening = np.concatenate([np.full(50, 0.3), np.full(8, 0.3 * 0.61), np.full(50, 0.3)])
    assert blinks(opening, 25) == []
    opening[50:58] = 0.3 * 0.59
    assert len(blinks(opening, 25)) == 1


def test_no_blink_is_a_rate_of_zero_without_duration() -> None:
    values = evaluate(BlinkObserver, NAMES, faces(eyes(5, 25, [])))
    assert values == {"blink-rate": 0.0, "blink-duration": Missing("no whole blink")}


def test_a_blink_cut_by_the_end_counts_but_has_no_duration() -> None:
    values = evaluate(BlinkObserver, NAMES, faces(eyes(4, 25, [(0.0, 120)])))
    assert values == {"blink-rate": 0.25, "blink-duration": Missing("no whole blink")}


def test_missing_frames_are_not_observed_time() -> None:
    shown: list[Face | None] = list(faces(eyes(8, 25, [(1.0, 120), (6.0, 120)])))
    shown[75:125] = [None] * 50
    shown[20:23] = [None] * 3
    values = evaluate(BlinkObserver, NAMES, shown)
    assert values["blink-rate"] == pytest.approx(2 / 6)
    assert values["blink-duration"] == pytest.approx(120)


def test_a_blink_into_a_long_gap_is_not_whole() -> None:
    opening = eyes(8, 25, [(3.0, 160)])
    opening[77:90] = np.nan
    assert [whole for _, whole in blinks(opening, 25)] == [False]


def test_the_baseline_is_the_percentile_of_the_window() -> None:
    rng = np.random.default_rng(0)
    opening = rng.uniform(0.2, 0.4, 130)
    opening[40:60] = np.nan
    expected = [np.nanpercentile(opening[max(0, i - 25) : i + 26], 90) for i in range(130)]
    np.testing.assert_allclose(running_baseline(opening, 25), expected)
    assert np.isnan(running_baseline(np.full(70, np.nan), 25)).all()


def test_the_eye_ratio_is_the_one_made_and_does_not_change_when_the_head_turns() -> None:
    points = make_face(eye=0.27).points
    assert eye_opening(points) == pytest.approx(0.27, rel=1e-6)
    assert eye_opening(points @ rotation_from_degrees((40, -20, 10)).T * 3 + 50) == pytest.approx(0.27, rel=1e-6)
    assert np.isnan(eye_opening(np.zeros((478, 3))))


@pytest.mark.parametrize(
    ("frames", "reason"), [([None] * 100, "no face"), ([make_face()] * 49, "1.96 s"), ([], "no face")]
)
def test_degenerate_tracks_have_reasons(frames: list[Face | None], reason: str) -> None:
    for value in evaluate(BlinkObserver, NAMES, frames).values():
        assert isinstance(value, Missing)
        assert reason in value.reason
