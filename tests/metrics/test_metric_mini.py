"""Lip sync, head pose, blinks and landmarks on the mini networks: against truth, and at their ends."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.media import read_audio, read_frames
from thbench.metrics.available import lack_of
from thbench.metrics.observe_mini import (
    LANDMARKS,
    MiniObserver,
    known_mean,
    landmark_distance,
    pose_difference,
    track_of,
)
from thbench.metrics.observer import ClipFacts, Missing, Moment, VideoFacts, View
from thbench.metrics.pose import temporal_std
from thbench.metrics.sound import to_int16
from thbench.metrics.specs_mini_face import MINI_FACE_METRICS
from thbench.registry import METRICS

ALL = frozenset(spec.name for spec in MINI_FACE_METRICS)


@pytest.fixture(scope="module")
def clip():
    return clips_of()[1]


@pytest.fixture(scope="module")
def frames(clip) -> list[np.ndarray]:
    return [f.rgb for f in read_frames(clip.path, threads=1)]


def facts(count: int, samples: np.ndarray | None, fps: float = 25) -> ClipFacts:
    video = VideoFacts(
        128, 128, count, count / fps, None, read_int16=None if samples is None else lambda: to_int16(samples)
    )
    return ClipFacts(fps=fps, generated=video, reference=video)


def values(wanted, frames, samples=None, reference=None, fps: float = 25):
    observer = MiniObserver(frozenset(wanted))
    for i, frame in enumerate(frames):
        view = View(frame)
        theirs = view if reference is None else View(reference[i])
        observer.observe(Moment(i, view, theirs))
    return observer.values(facts(len(frames), samples, fps))


@pytest.fixture(scope="module")
def whole(clip, frames):
    return values(ALL, frames, read_audio(clip.path).samples)


def test_protocols_say_mini_and_differ_from_the_published_ones(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THBENCH_WEIGHTS", os.fspath(tmp_path))
    others = {spec.protocol for name, spec in METRICS.items() if name not in ALL}
    for spec in MINI_FACE_METRICS:
        assert spec.protocol.startswith("mini-") and spec.name.endswith("/mini") and "mini" in spec.title
        assert spec.protocol not in others
        assert METRICS[spec.name] == spec
        assert lack_of(spec) is None


def test_head_motion_is_that_of_the_truth(clip, whole) -> None:
    truth = truth_of(clip)
    assert whole["pose-div/mini"] == pytest.approx(temporal_std(truth.pose.astype(float)).mean(), abs=1.0)
    assert 0 <= whole["blink-rate/mini"] < 2


def test_sound_in_time_has_no_offset(clip, frames) -> None:
    from thbench.metrics.specs_mini_sync import MINI_SYNC_METRICS

    assert all(spec.protocol.startswith("mini-sync-") and METRICS[spec.name] == spec for spec in MINI_SYNC_METRICS)
    found = values({spec.name for spec in MINI_SYNC_METRICS}, frames, read_audio(clip.path).samples)
    assert found["av-offset/mini"] == 0
    assert found["lse-c/mini"] > 0 and found["lse-d/mini"] > 0


def test_a_video_differs_in_nothing_from_itself(whole) -> None:
    assert whole["apd/mini"] == whole["m-lmd/mini"] == whole["f-lmd/mini"] == 0


def test_late_sound_has_the_published_sign(clip, frames) -> None:
    samples = np.concatenate((np.zeros(3 * 640, np.float32), read_audio(clip.path).samples))
    assert values({"av-offset/mini"}, frames, samples)["av-offset/mini"] == -3


def test_the_size_of_the_frames_hardly_matters(frames) -> None:
    large = [np.repeat(np.repeat(f, 2, axis=0), 2, axis=1) for f in frames[:4]]
    wanted = {"apd/mini", *LANDMARKS}
    found = values(wanted, large, reference=frames[:4])
    assert all(found[name] < 1e-6 for name in wanted)


def test_what_is_no_head_has_no_values() -> None:
    noise = list(np.random.default_rng(0).integers(0, 255, (8, 128, 128, 3), np.uint8))
    found = values(ALL, noise, np.zeros(8 * 640, np.float32))
    assert all(isinstance(v, Missing) and "synth-heads" in v.reason for v in found.values())


def test_what_sync_lacks_is_said(frames) -> None:
    assert values({"lse-c/mini"}, frames[:8])["lse-c/mini"] == Missing("no sound track")
    sound = np.zeros(8 * 640, np.float32)
    assert "--fps 25" in values({"lse-d/mini"}, frames[:8], sound, fps=30)["lse-d/mini"].reason
    assert "at least" in values({"lse-d/mini"}, frames[:4], sound)["lse-d/mini"].reason


def test_what_is_missing_is_said(frames) -> None:
    assert "needs 2 s" in values({"blink-rate/mini"}, frames[:8])["blink-rate/mini"].reason


def test_frames_without_a_head_are_left_out(frames) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    broken = [*frames[:6], noise, *frames[7:10]]
    found = values({"apd/mini"}, broken, reference=frames[:10])
    assert found["apd/mini"] == pytest.approx(0, abs=1e-9)


def test_known_distances() -> None:
    rng = np.random.default_rng(0)
    rows = np.zeros((3, 140))
    rows[:, :136] = rng.uniform(30, 90, (3, 136))
    other = rows.copy()
    other[:, :136] += 5
    other[:, 136:139] += (3, 0, 0)
    other[2] = np.nan
    ours, theirs = track_of(rows), track_of(other)
    assert pose_difference(ours, theirs) == pytest.approx(1.0)
    ours, theirs = (row[:136].reshape(68, 2) for row in (rows[0], other[0]))
    # Centred: a shift of the whole face is nothing.
    assert landmark_distance("f-lmd/mini", ours, theirs) == pytest.approx(0, abs=1e-12)
    theirs[48:] += 2.0
    assert landmark_distance("m-lmd/mini", ours, theirs) == pytest.approx(0, abs=1e-12)
    assert landmark_distance("f-lmd/mini", ours, theirs) > 0
    assert known_mean(np.array([[1.0], [np.nan], [3.0], [np.inf]])) == 2.0
    assert math.isnan(known_mean(np.array([[np.nan]])))
