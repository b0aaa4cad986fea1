"""Degradations of movements, on the truth of a clip."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.motion import Motion
from thbench.data.synth_heads.person import make_person
from thbench.errors import UsageError
from thbench.types import Audio
from thbench.validate.acting import (
    LIDS,
    MOUTH,
    morphed,
    pose_scale,
    scaled_mouth,
    scaled_pose,
    slower_blinks,
    smoothed,
    without_blinks,
)
from thbench.validate.material import MOVEMENTS, Actor, Material, acted_material, busiest_stretch


@pytest.fixture(scope="module")
def truth():
    return max((truth_of(clip) for clip in clips_of()[:12]), key=lambda t: len(t.about.blinks))


def closure(motion) -> np.ndarray:
    return motion.expression[:, LIDS].mean(axis=1)


def rest_of_face(motion) -> np.ndarray:
    return np.delete(motion.expression, (*LIDS, *MOUTH), axis=1)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 1.5])
def test_pose_is_scaled_about_its_mean(truth, scale) -> None:
    scaled = scaled_pose(truth.motion, scale)
    np.testing.assert_allclose(scaled.pose.mean(axis=0), truth.pose.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(scaled.pose.std(axis=0), scale * truth.pose.std(axis=0), atol=1e-4)
    assert scaled.expression is truth.motion.expression


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5])
def test_the_mouth_is_scaled_and_nothing_else(truth, scale) -> None:
    scaled = scaled_mouth(truth.motion, scale)
    np.testing.assert_allclose(scaled.expression[:, MOUTH], (scale * truth.expression[:, MOUTH]).clip(0, 1))
    assert np.array_equal(rest_of_face(scaled), rest_of_face(truth.motion))
    assert np.array_equal(closure(scaled), closure(truth.motion))
    assert np.array_equal(scaled.pose, truth.pose)


def test_smoothing_takes_away_speed_and_keeps_a_still_head(truth) -> None:
    speeds = [np.abs(np.diff(smoothed(truth.motion, s).pose, axis=0)).sum() for s in (0.04, 0.16, 0.32)]
    assert np.abs(np.diff(truth.pose, axis=0)).sum() > speeds[0] > speeds[1] > speeds[2]
    still = scaled_pose(truth.motion, 0.0)
    np.testing.assert_allclose(smoothed(still, 0.2).pose, still.pose, atol=1e-4)


def test_blinks_are_taken_out_one_by_one(truth) -> None:
    blinks = truth.about.blinks
    assert len(blinks) >= 3
    frames = [round(b * truth.about.fps) for b in blinks]
    assert (closure(truth.motion)[frames] > 0.7).all()
    one = without_blinks(truth.motion, blinks[:1])
    assert closure(one)[frames[0]] < 0.3
    assert np.array_equal(closure(one)[frames[1:]], closure(truth.motion)[frames[1:]])
    assert closure(without_blinks(truth.motion, blinks)).max() < 0.5
    assert np.array_equal(rest_of_face(one), rest_of_face(truth.motion))


def test_slow_blinks_last_longer_and_stay_as_many(truth) -> None:
    def shut(motion) -> np.ndarray:
        return closure(motion) > 0.5

    slow = slower_blinks(truth.motion, truth.about.blinks, 2.0)
    longer = shut(slow).sum() / shut(truth.motion).sum()
    assert 1.6 < longer < 2.4
    assert np.sum(np.diff(shut(slow).astype(int)) == 1) <= np.sum(np.diff(shut(truth.motion).astype(int)) == 1)
    same = slower_blinks(truth.motion, truth.about.blinks, 1.0)
    assert np.abs(closure(same) - closure(truth.motion)).max() < 0.1


def test_a_face_is_morphed_in_shape_alone() -> None:
    person, other = make_person(1), make_person(2)
    assert dict(morphed(person, other, 0.0).shape) == dict(person.shape)
    assert dict(morphed(person, other, 1.0).shape) == pytest.approx(dict(other.shape))
    half = morphed(person, other, 0.5)
    assert half.look == person.look
    key = max(person.shape, key=lambda name: abs(person.shape[name] - other.shape[name]))
    assert half.shape[key] == pytest.approx((person.shape[key] + other.shape[key]) / 2)


def test_movements_need_a_clip_with_truth() -> None:
    sound = Audio(np.zeros(10, np.float32), 16000)
    with pytest.raises(UsageError, match="truth"):
        pose_scale(Material([np.zeros((4, 4, 3), np.uint8)], sound, sound, 25.0), 0.5)


def test_the_actor_draws_the_clip_that_is_stored(truth) -> None:
    from thbench.media import read_frames

    clip = next(c for c in clips_of() if c.id == truth.about.id)
    stored = next(iter(read_frames(clip.path, truth.about.fps))).rgb
    one = type(truth.motion)(truth.about.fps, *(getattr(truth.motion, n)[:1] for n in FIELDS))
    drawn = Actor(truth, 4.0).draw(one)[0]
    # H.264 lies between them.
    assert np.abs(drawn.astype(float) - stored).mean() < 3.0


FIELDS = ("expression", "gaze", "pose", "place", "chest")


def test_frames_without_a_change_are_not_drawn_again_and_the_others_are_those_of_a_whole_clip(
    truth, monkeypatch
) -> None:
    from thbench.data.synth_heads import render as drawing

    drawn: list[int] = []
    draw = drawing._draw
    monkeypatch.setattr(drawing, "_draw", lambda *given: (drawn.append(given[4]), draw(*given))[1])
    short = dataclasses.replace(
        truth, motion=Motion(truth.motion.fps, *(getattr(truth.motion, n)[:6] for n in MOVEMENTS))
    )
    actor = Actor(short)
    actor.draw()
    assert drawn == list(range(6))
    expression = short.motion.expression.copy()
    expression[[2, 4], LIDS[0]] = 0.9
    changed = dataclasses.replace(short.motion, expression=expression)
    frames = actor.draw(changed)
    assert drawn[6:] == [2, 4]
    whole = [frame.rgb for frame in drawing.render(actor._model, changed, actor._scene, short.about.size)]
    np.testing.assert_array_equal(np.stack(frames), np.stack(whole))


def test_the_busiest_stretch_holds_most_blinks_and_its_sound_begins_with_its_first_frame() -> None:
    from thbench.media import read_audio

    clips = clips_of()
    clip = next(c for c in clips if busiest_stretch(truth_of(c), 1.2).start > 0)
    found = truth_of(clip)
    start, blinks = busiest_stretch(found, 1.2)
    assert {round(b + start / 25, 6) for b in blinks} <= {round(b, 6) for b in found.about.blinks}
    assert all(0.2 <= b <= 1.2 - 0.36 for b in blinks)
    actor = Actor(found, 1.2)
    np.testing.assert_array_equal(actor.motion.expression, found.motion.expression[start : start + 30])
    late = next(c for c in clips if busiest_stretch(truth_of(c)).start > 0)
    material, first = acted_material(late, clips[0], 0), busiest_stretch(truth_of(late)).start
    whole = read_audio(late.path).samples
    np.testing.assert_array_equal(material.audio.samples, whole[first * 640 : (first + len(material.frames)) * 640])
