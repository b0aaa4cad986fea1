"""Beat alignment."""

from __future__ import annotations

import numpy as np
import pytest
from motion_helpers import RATE, bursts, evaluate, make_face
from numpy.typing import NDArray

from thbench.faces.face import Face
from thbench.faces.pose import rotation_from_degrees
from thbench.metrics.beat import (
    BeatObserver,
    Source,
    alignment,
    bailando_score,
    chance_level,
    head_beats,
    kdtalker_score,
    minima,
    score,
    within,
    wrapped,
)
from thbench.metrics.observer import Missing
from thbench.metrics.sound import Sound, analyse, onsets
from thbench.metrics.specs_motion import BEAT_METRICS

NAMES = {spec.name for spec in BEAT_METRICS}
OF_SOUND = NAMES - {"beat-align/motion-beats"}


def nodding(seconds: float, fps: float, frequency: float) -> NDArray[np.float64]:
    """Yaw that turns back 2 * frequency times a second, first at 1 / (4 * frequency)."""
    return 10 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * fps)) / fps)


def heads(yaw: NDArray[np.float64]) -> list[Face]:
    return [make_face(degrees=(value, 0, 0)) for value in yaw]


def random_heads(seconds: float, rng: np.random.Generator, fps: float = 25.0) -> NDArray[np.float64]:
    """Rotations whose velocity is an Ornstein-Uhlenbeck process with a time constant of 0.4 s."""
    velocity = np.zeros((round(seconds * fps), 3))
    for index in range(1, len(velocity)):
        velocity[index] = velocity[index - 1] * np.exp(-1 / (0.4 * fps)) + rng.normal(size=3)
    return rotation_from_degrees(np.cumsum(velocity, axis=0) * 0.1)


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0])
def test_a_sinusoid_of_frequency_f_has_2f_beats_per_second_at_its_turning_points(fps: float) -> None:
    frequency = 0.5
    yaw = nodding(20, fps, frequency)
    beats = head_beats(rotation_from_degrees(np.column_stack([yaw, *[np.zeros(len(yaw))] * 2])), fps)
    np.testing.assert_allclose(beats, np.arange(len(beats)) / (2 * frequency) + 0.5, atol=0.5 / fps + 1e-9)
    assert len(beats) == 20


def test_beats_exactly_on_every_second_and_every_fourth_event() -> None:
    events = np.arange(0, 40) * 10.0
    assert score(events, events) == 1.0
    assert score(events, events[::2]) == pytest.approx(0.5)
    assert score(events, events[::4]) == pytest.approx(0.25)
    assert score(events[::4], events) == 1.0


def test_the_score_falls_as_a_gaussian_with_the_distance_to_the_nearest() -> None:
    targets = np.array([1.0, 2.0])
    events = np.array([0.9, 1.0, 1.45, 1.55, 2.2])
    expected = np.exp(-(np.array([0.1, 0, 0.45, 0.45, 0.2]) ** 2) / 0.02)
    np.testing.assert_allclose(alignment(events, targets, 0.1), expected)


def test_nothing_to_align_is_nan_and_no_exception() -> None:
    none, some = np.empty(0), np.array([1.0])
    assert np.isnan([score(none, some), score(some, none), score(none, none)]).all()
    assert len(minima(none, 5)) == len(minima(np.ones(1), 5)) == len(minima(np.ones(50), 5)) == 0


def test_published_forms_reach_one_when_beats_coincide() -> None:
    speed = 1.5 + np.cos(2 * np.pi * np.arange(200) / 40)
    points = np.zeros((201, 7, 3))
    points[1:, :, 0] = np.cumsum(speed)[:, None]
    beats = np.arange(20, 200, 40)
    assert kdtalker_score(beats / 25, points) == pytest.approx(1.0)
    assert bailando_score(beats, points) == pytest.approx(1.0)
    assert bailando_score(beats + 3, points) == pytest.approx(np.exp(-0.5))
    assert kdtalker_score((beats + 2.5) / 25, points) == pytest.approx(np.exp(-0.5))


def test_chance_of_unrelated_motion_is_the_known_level() -> None:
    """Smooth random rotation against beats every 0.5 s scores about 0.19 at 25 fps (10-second clips)."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(60):
        motion = head_beats(random_heads(10, rng), 25.0)
        scores.append(score(np.arange(rng.uniform(0, 0.5), 10, 0.5), motion))
    assert np.mean(scores) == pytest.approx(0.19, abs=0.04)


def test_lift_is_high_for_a_head_that_moves_with_the_sound_and_none_for_one_that_does_not() -> None:
    rng = np.random.default_rng(1)
    turns = np.arange(0.5, 20, 1.0)
    with_it = analyse([bursts(turns, 20, rng)])
    others = tuple(analyse([bursts(np.sort(rng.uniform(0, 20, 20)), 20, rng)]) for _ in range(4))
    faces = heads(nodding(20, 25, 0.5))
    aligned = evaluate(BeatObserver, NAMES, faces, with_it, others=others)
    assert aligned["beat-align/audio-to-motion"] > 0.95
    assert aligned["beat-align/motion-to-audio"] > 0.95
    assert aligned["beat-align/motion-beats"] == pytest.approx(1.0)
    assert aligned["beat-align/chance"] == pytest.approx(0.25, abs=0.05)  # 0.1 sqrt(2 pi) for one beat per second
    assert aligned["beat-align/lift"] == aligned["beat-align/audio-to-motion"] - aligned["beat-align/chance"]
    unrelated = evaluate(BeatObserver, NAMES, faces, others[0], others=others[1:])
    assert abs(unrelated["beat-align/lift"]) < 0.2


def test_chance_is_reproducible_and_follows_the_seed() -> None:
    rng = np.random.default_rng(2)
    motion = np.sort(rng.uniform(0, 12, 9))
    sources = [Source(np.sort(rng.uniform(0, 9, 20)), 9.0, 0.0), Source(np.sort(rng.uniform(0, 15, 30)), 15.0, 0.0)]
    seen = np.ones(300, bool)
    levels = [chance_level(motion, sources, seen, 25.0, seed) for seed in (0, 0, 1)]
    assert levels[0] == levels[1] != levels[2]
    assert levels[0] == pytest.approx(levels[2], abs=0.05)


def test_own_beats_serve_for_chance_only_when_shifted_by_a_second() -> None:
    rng = np.random.default_rng(3)
    sound = analyse([bursts([2.0, 5.0], 8, rng)])
    faces = heads(nodding(8, 25, 0.25))
    values = evaluate(BeatObserver, NAMES, faces, sound)
    # Turning points at 1, 3, 5, 7 s; bursts at 2 and 5 s: half of them match, all shifts miss most.
    assert values["beat-align/audio-to-motion"] == pytest.approx(0.5, abs=0.02)
    assert 0 < values["beat-align/chance"] < 0.25
    short = evaluate(BeatObserver, NAMES, faces[:45], analyse([bursts([0.4, 0.9], 1.8, rng)]))
    assert isinstance(short["beat-align/chance"], Missing)
    assert "too short to shift" in short["beat-align/chance"].reason
    assert isinstance(short["beat-align/audio-to-motion"], float)


def test_wrapping_keeps_the_rhythm() -> None:
    times = np.array([0.5, 1.0, 3.5])
    np.testing.assert_allclose(wrapped(times, 4.0, 1.0, 4.0), [0.5, 1.5, 2.0])
    np.testing.assert_allclose(wrapped(times, 4.0, 1.0, 6.0), [0.5, 1.5, 2.0, 4.5, 5.5])
    np.testing.assert_allclose(wrapped(times, 4.0, 0.0, 0.9), [0.5])


def test_only_beats_while_the_head_is_seen_count() -> None:
    seen = np.ones(100, bool)
    seen[25:50] = False
    np.testing.assert_allclose(within(np.array([-0.1, 0.99, 1.0, 1.99, 2.0, 3.99, 4.0]), seen, 25.0), [0.99, 2.0, 3.99])


def test_a_long_gap_splits_the_track_and_a_short_one_does_not() -> None:
    yaw = nodding(12, 25, 0.5)
    rotations = rotation_from_degrees(np.column_stack([yaw, *[np.zeros(len(yaw))] * 2]))
    whole = head_beats(rotations, 25)
    short, long = rotations.copy(), rotations.copy()
    short[62:65] = np.nan
    long[95:131] = np.nan
    np.testing.assert_allclose(head_beats(short, 25), whole, atol=0.041)
    found = head_beats(long, 25)
    assert not ((found > 3.8) & (found < 5.2)).any()
    assert len(found) >= len(whole) - 2


@pytest.mark.parametrize(
    ("faces", "sound", "reason"),
    [
        ("none", "bursts", "no face in any frame"),
        ("nodding", None, "no sound track"),
        ("nodding", "silence", "no beat: the sound has no onset"),
        ("nodding", "empty", "no beat: the sound has no onset"),
        ("still", "bursts", "no beat: the head's speed has no minimum"),
        ("one", "bursts", "no beat: the sound has no onset"),
    ],
)
def test_degenerate_clips_have_reasons(faces: str, sound: str | None, reason: str) -> None:
    shown = {
        "none": [None] * 100,
        "nodding": heads(nodding(4, 25, 0.5)),
        "still": [make_face()] * 100,
        "one": [make_face()],
    }
    heard: dict[str | None, Sound | None] = {
        None: None,
        "bursts": analyse([bursts([1.0, 2.0], 4, np.random.default_rng(4))]),
        "silence": analyse([np.zeros(4 * RATE, np.float32)]),
        "empty": analyse([]),
    }
    values = evaluate(BeatObserver, NAMES, shown[faces], heard[sound])
    for name in OF_SOUND:
        value = values[name]
        assert isinstance(value, Missing)
        assert reason in value.reason
    if faces in ("still", "one"):
        assert values["beat-align/motion-beats"] == 0.0


def test_silent_other_clips_are_passed_over() -> None:
    rng = np.random.default_rng(5)
    silence = analyse([np.zeros(4 * RATE, np.float32)])
    sound = analyse([bursts([0.7, 2.2, 3.1, 5.0], 8, rng)])
    assert len(onsets(silence)) == 0
    faces = heads(nodding(8, 25, 0.4))
    with_silence = evaluate(BeatObserver, NAMES, faces, sound, others=(silence,))
    assert with_silence == evaluate(BeatObserver, NAMES, faces, sound)
