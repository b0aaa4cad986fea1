"""Lips against sound."""

from __future__ import annotations

import numpy as np
import pytest
from motion_helpers import RATE, articulated, evaluate, make_face, syllables
from numpy.typing import NDArray

from thbench.faces.face import Face
from thbench.faces.pose import rotation_from_degrees
from thbench.metrics.observer import Missing
from thbench.metrics.series import Run, band_pass
from thbench.metrics.sound import Sound, analyse
from thbench.metrics.sync import (
    SyncObserver,
    articulation,
    best_lag,
    correlogram,
    drift_of,
    jaw_over_width,
    lag_grid,
    mouth_opening,
    mouth_opening_theval,
    volume_gap,
    windowed_correlation,
)

NAMES = {"lip-audio-corr", "lip-audio-offset", "av-drift", "lip-audio-gap/theval-energy"}


def mouths(signal: NDArray[np.float64], fps: float, seconds: float, stretch: float = 1.0) -> list[Face]:
    """Faces whose lips follow a signal on the 10 ms grid, sampled at time * stretch."""
    times = np.arange(round(seconds * fps)) / fps * stretch
    grid = np.arange(len(signal)) / 100
    gap, jaw = (np.interp(times, grid, signal[:, column]) for column in (0, 1))
    return [make_face(opening=0.3 + 0.05 * a, width=60 * np.exp(-0.05 * b)) for a, b in zip(gap, jaw, strict=True)]


def delayed(signal: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    return np.roll(signal, points, axis=0)


@pytest.mark.parametrize("fps", [25.0, 30.0])
@pytest.mark.parametrize("late", [-0.25, -0.1, 0.0, 0.13, 0.3])
def test_a_known_offset_is_found_with_its_sign(fps: float, late: float) -> None:
    rng = np.random.default_rng(0)
    signal = syllables(1200, 2, rng)
    values = evaluate(
        SyncObserver, NAMES, mouths(signal, fps, 12), articulated(delayed(signal, round(late * 100)), rng), fps=fps
    )
    assert values["lip-audio-offset"] == pytest.approx(late * 1000, abs=10)
    assert values["lip-audio-corr"] > 0.8


def test_unrelated_sound_correlates_clearly_less() -> None:
    rng = np.random.default_rng(1)
    faces = mouths(syllables(1200, 2, rng), 25, 12)
    unrelated = [
        evaluate(SyncObserver, {"lip-audio-corr"}, faces, articulated(syllables(1200, 2, rng), rng))["lip-audio-corr"]
        for _ in range(5)
    ]
    assert max(unrelated) < 0.4


def test_neither_gain_nor_pose_nor_distance_changes_the_values() -> None:
    rng = np.random.default_rng(2)
    signal = syllables(800, 2, rng)
    faces, sound = mouths(signal, 25, 8), articulated(signal, rng)
    names = {"lip-audio-corr", "lip-audio-offset"}
    plain = evaluate(SyncObserver, names, faces, sound)
    softer = Sound(sound.loudness - 20, sound.bands - 20, sound.onset_strength, sound.duration)
    turn = rotation_from_degrees((35, 10, -20))
    turned = [Face((f.points @ turn.T * 0.4 + 300).astype(np.float32), f.blendshapes, f.rotation) for f in faces]
    for values in (evaluate(SyncObserver, names, faces, softer), evaluate(SyncObserver, names, turned, sound)):
        assert values["lip-audio-corr"] == pytest.approx(plain["lip-audio-corr"], abs=1e-4)
        assert values["lip-audio-offset"] == pytest.approx(plain["lip-audio-offset"], abs=0.1)


def test_an_offset_beyond_the_range_is_not_invented() -> None:
    lags = lag_grid(25)
    peak = best_lag(lags, lags)
    assert peak is not None
    assert peak.correlation == lags[-1]
    assert np.isnan(peak.lag)
    assert best_lag(lags, np.full(len(lags), np.nan)) is None


def test_the_peak_lies_at_the_vertex_of_its_parabola() -> None:
    lags = lag_grid(25)
    peak = best_lag(lags, 1 - (lags - 0.1234) ** 2)
    assert peak is not None
    assert peak.lag == pytest.approx(0.1234)


@pytest.mark.parametrize(("fps", "reach"), [(25, 0.6), (30, 0.5), (50, 0.3)])
def test_lags_reach_fifteen_frames(fps: float, reach: float) -> None:
    lags = lag_grid(fps)
    assert lags[0] == -reach
    assert lags[-1] == reach
    assert 0.0 in lags


def test_windowed_correlation_is_pearsons_over_what_is_measured() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=200) + 5, rng.normal(size=200)
    y += x
    x[30:50] = np.nan
    y[120] = np.nan
    windows = [Run(0, 200), Run(10, 80), Run(100, 200)]
    both = np.isfinite(x) & np.isfinite(y)
    expected = [np.corrcoef(x[a:b][both[a:b]], y[a:b][both[a:b]])[0, 1] for a, b in windows]
    np.testing.assert_allclose(windowed_correlation(x, y, windows, 10), expected, atol=1e-12)
    assert np.isnan(windowed_correlation(x, y, [Run(25, 55)], 11)).all()
    assert np.isnan(windowed_correlation(np.ones(200), y, windows, 10)).all()


def test_the_correlogram_of_the_whole_is_plain_correlation_at_lag_zero() -> None:
    rng = np.random.default_rng(4)
    mouth, sound = syllables(800, 2, rng)[::4], syllables(800, 2, rng)
    found = correlogram(mouth, sound, 25, [Run(0, 200)])[0]
    ours = [band_pass(mouth[:, c], 25, 0.04, 0.5) for c in (0, 1)]
    theirs = [band_pass(sound[:, c], 100, 0.04, 0.5)[::4] for c in (0, 1)]
    expected = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)])
    assert found[len(found) // 2] == pytest.approx(expected)


@pytest.mark.parametrize("rate", [-300.0, 0.0, 120.0])
def test_a_known_drift_is_found(rate: float) -> None:
    rng = np.random.default_rng(5)
    signal = syllables(6400, 2, rng)
    # The lips run ahead by `rate` ms in each minute of video.
    faces = mouths(signal, 25, 60, stretch=1 + rate / 60_000)
    values = evaluate(SyncObserver, {"av-drift"}, faces, articulated(signal, rng))
    assert values["av-drift"] == pytest.approx(rate, abs=15)


def test_the_line_is_exact_on_an_exact_correlogram() -> None:
    lags, centres = lag_grid(25), np.arange(2, 58, 2.0)
    lines = 0.05 - 0.004 * (centres - 30)
    correlation = np.exp(-((lags - lines[:, None]) ** 2) / (2 * 0.05**2))
    assert drift_of(correlation, centres, lags) == pytest.approx(-0.004, abs=2e-5)
    steep = np.exp(-((lags - 0.05 * (centres[:, None] - 30)) ** 2) / (2 * 0.05**2))
    assert not abs(drift_of(steep, centres, lags)) < 0.02


def test_short_clips_have_no_drift() -> None:
    rng = np.random.default_rng(6)
    signal = syllables(2000, 2, rng)
    for seconds in (3, 14):
        values = evaluate(SyncObserver, {"av-drift"}, mouths(signal, 25, seconds), articulated(signal, rng))
        assert values["av-drift"] == Missing("needs 15 s of mouth and sound; this clip has less")
    values = evaluate(SyncObserver, {"av-drift"}, mouths(signal, 25, 15), articulated(signal, rng))
    assert isinstance(values["av-drift"], float)


def test_short_gaps_hardly_matter_and_long_ones_are_left_out() -> None:
    rng = np.random.default_rng(7)
    signal = syllables(1200, 2, rng)
    faces: list[Face | None] = list(mouths(signal, 25, 12))
    faces[20:24] = [None] * 4
    faces[100:160] = [None] * 60
    values = evaluate(SyncObserver, NAMES, faces, articulated(delayed(signal, 12), rng))
    assert values["lip-audio-offset"] == pytest.approx(120, abs=10)
    assert values["lip-audio-corr"] > 0.8


@pytest.mark.parametrize(
    ("faces", "sound", "reason"),
    [
        ("moving", None, "no sound track"),
        ("none", "speech", "no face in any frame"),
        ("moving", "silence", "the sound is silent"),
        ("moving", "short", "needs 2 s of both"),
        ("moving", "empty", "needs 2 s of both"),
        ("few", "speech", "needs 2 s of both"),
        ("still", "speech", "the mouth does not move"),
        ("collapsed", "speech", "no face in any frame"),
    ],
)
def test_degenerate_clips_have_reasons(faces: str, sound: str | None, reason: str) -> None:
    rng = np.random.default_rng(8)
    signal = syllables(400, 2, rng)
    moving = mouths(signal, 25, 4)
    point = Face(np.zeros((478, 3), np.float32), np.zeros(52, np.float32), np.eye(3))
    shown = {
        "moving": moving,
        "none": [None] * 100,
        "few": moving[:40],
        "still": [make_face()] * 100,
        "collapsed": [point] * 100,
    }
    speech = articulated(signal, rng)
    heard = {
        None: None,
        "speech": speech,
        "silence": analyse([np.zeros(4 * RATE, np.float32)]),
        "short": articulated(signal[:150], rng),
        "empty": analyse([]),
    }
    values = evaluate(SyncObserver, NAMES, shown[faces], heard[sound])
    for value in values.values():
        assert isinstance(value, Missing)
        assert reason in value.reason


def test_opening_and_jaw_are_what_they_say() -> None:
    points = make_face(opening=0.25, width=55).points
    assert mouth_opening(points) == pytest.approx(0.25)
    assert jaw_over_width(points) == pytest.approx(np.log(70 / 55))
    assert mouth_opening_theval(points) == pytest.approx(25 / 70)


def test_articulation_separates_an_open_vowel_from_a_nasal_and_a_sibilant() -> None:
    def mixture(frequencies: list[float]) -> NDArray[np.float64]:
        times = np.arange(RATE) / RATE
        return articulation(
            analyse([sum(0.1 * np.sin(2 * np.pi * f * times) for f in frequencies).astype(np.float32)])
        )[50]

    vowel, nasal, sibilant = mixture([200, 800, 1300, 2600]), mixture([200, 300]), mixture([5000, 6500])
    assert vowel[0] > nasal[0] + 20
    assert vowel[1] > sibilant[1] + 40


def test_the_volume_gap_is_zero_for_proportional_opening_and_half_for_opposite() -> None:
    fps, seconds = 25.0, 8
    times = np.arange(seconds * RATE) / RATE
    amplitude = 0.4 + 0.3 * np.sin(2 * np.pi * 0.5 * times)
    sound = analyse([(amplitude * np.sin(2 * np.pi * 400 * times)).astype(np.float32)])
    frames = np.arange(round(seconds * fps)) / fps
    opening = 0.4 + 0.3 * np.sin(2 * np.pi * 0.5 * frames)
    assert volume_gap(opening, sound, fps) == pytest.approx(0, abs=0.02)
    # The mean gap of a sine and its opposite, both normalised to [0, 1], is 2 / pi.
    assert volume_gap(-opening, sound, fps) == pytest.approx(2 / np.pi, abs=0.02)
    assert np.isnan(volume_gap(np.full(len(frames), 0.1), sound, fps))
    assert np.isnan(volume_gap(np.full(len(frames), np.nan), sound, fps))
