"""Landmark distances in their named variants."""

from __future__ import annotations

import numpy as np
import pytest
from image_helpers import face_views, moved, real_face, watch
from numpy.typing import NDArray

from thbench.faces import MIRROR_OF_68
from thbench.metrics import landmarks
from thbench.metrics.landmarks import (
    FORMULAS,
    VELOCITY,
    VELOCITY_FORMULA,
    LandmarkObserver,
    distance,
    interocular,
)
from thbench.metrics.observer import Missing

ALL = {*FORMULAS, VELOCITY}
CENTRED = {name for name, formula in FORMULAS.items() if formula.centred}
WHOLE_PIXELS = {name for name, formula in FORMULAS.items() if formula.integers} | {VELOCITY}


def track(frames: int, seed: int, spread: float = 4.0) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return [real_face() + rng.normal(0, spread, (68, 2)) for _ in range(frames)]


def test_equal_faces_have_no_distance() -> None:
    faces = track(3, 0)
    assert watch(LandmarkObserver, ALL, face_views(faces), face_views(faces)) == dict.fromkeys(ALL, 0.0)


def test_a_moved_face_by_hand() -> None:
    """The whole face moves by (3, 4): 5 px where nothing is centred, 3.5 px as the mean of x and y."""
    face = np.rint(real_face())
    values = watch(LandmarkObserver, ALL, face_views([moved(face, 3, 4)]), face_views([face]))
    assert {name: values[name] for name in CENTRED} == pytest.approx(dict.fromkeys(CENTRED, 0.0), abs=1e-4)
    assert values["m-lmd/plain"] == values["f-lmd/thm"] == pytest.approx(5)
    assert values["m-lmd/vico"] == values["akd/mediapipe68"] == pytest.approx(3.5)
    assert values["m-lmd/thm68"] == pytest.approx(5 * 20 / 68)


def test_an_opened_mouth_by_hand() -> None:
    """Ten mouth points move 2 px up and ten move 2 px down, so the centre of the mouth stays."""
    face = np.rint(real_face())
    step = np.zeros((68, 2))
    step[48:58, 1], step[58:68, 1] = -2, 2
    values = watch(LandmarkObserver, ALL, face_views([face + step]), face_views([face]))
    expected = {
        "m-lmd/eat": 2,
        "m-lmd/centred": 2,
        "m-lmd/plain": 2,
        "m-lmd/vico": 1,
        "m-lmd/thm68": 2 * 20 / 68,
        "m-lmd/atvgnet": 40,
        "f-lmd/eat": 2 * 20 / 68,
        "f-lmd/thm": 2 * 20 / 68,
        "akd/mediapipe68": 20 / 68,
        "m-lmd/interocular": 2 / interocular(face),
        "f-lmd/interocular": 2 * 20 / 68 / interocular(face),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert expected.keys() == FORMULAS.keys()


def test_velocity_by_hand() -> None:
    """Two displacements differ by 5 px at every mouth point: 2 x 5 over 3 frames, as EAT divides."""
    face = np.rint(real_face())
    ours = [face, moved(face, 3, 4), face]
    values = watch(LandmarkObserver, {VELOCITY}, face_views(ours), face_views([face] * 3))
    assert values[VELOCITY] == pytest.approx(10 / 3)
    moved_alike = watch(LandmarkObserver, {VELOCITY}, face_views(ours), face_views([moved(f, 20, 0) for f in ours]))
    assert moved_alike[VELOCITY] == 0


def test_eye_distance_is_between_the_centres() -> None:
    assert interocular(real_face()) == pytest.approx(60)
    assert interocular(np.stack([real_face(), 2 * real_face()])) == pytest.approx([60, 120])


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_frames_at_once_and_one_by_one_agree(name: str) -> None:
    ours, theirs = np.stack(track(5, 1)), np.stack(track(5, 2))
    together = distance(FORMULAS[name], ours, theirs)
    assert together.shape == (5,)
    alone = [distance(FORMULAS[name], a, b) for a, b in zip(ours, theirs, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_the_observer_gives_the_mean_of_the_formula() -> None:
    ours, theirs = np.stack(track(6, 3)).astype(np.float32), np.stack(track(6, 4)).astype(np.float32)
    values = watch(LandmarkObserver, ALL, face_views(ours), face_views(theirs))
    for name, formula in FORMULAS.items():
        pair = [np.rint(p).astype(np.float64) if formula.integers else p.astype(np.float64) for p in (ours, theirs)]
        assert values[name] == pytest.approx(distance(formula, *pair).mean(), rel=1e-6), name
    steps = distance(VELOCITY_FORMULA, *(np.diff(np.rint(p).astype(np.float64), axis=0) for p in (ours, theirs)))
    assert values[VELOCITY] == pytest.approx(steps.sum() / 6)


def test_pixels_are_those_of_a_frame_with_shorter_side_256() -> None:
    """The same faces in a frame four times as large, wide or tall, have the same distances."""
    ours, theirs = track(3, 5), track(3, 6)
    expected = watch(LandmarkObserver, ALL, face_views(ours), face_views(theirs))
    for size in ((1024, 1820), (1820, 1024)):
        large = [face_views([4 * f for f in faces], size) for faces in (ours, theirs)]
        assert watch(LandmarkObserver, ALL, *large) == pytest.approx(expected, rel=1e-5)
    mixed = watch(LandmarkObserver, ALL, face_views([4 * f for f in ours], (1024, 1024)), face_views(theirs))
    assert mixed == pytest.approx(expected, rel=1e-5)


def test_only_the_variants_that_say_so_round() -> None:
    face = np.rint(real_face())
    step = np.zeros((68, 2))
    step[48] = 0.4, 0.0
    values = watch(LandmarkObserver, ALL, face_views([face + step] * 2), face_views([face] * 2))
    assert {name for name, value in values.items() if value == 0} == WHOLE_PIXELS


def test_centred_variants_ignore_where_the_face_is() -> None:
    ours, theirs = [np.rint(f) for f in track(3, 7)], [np.rint(f) for f in track(3, 8)]
    expected = watch(LandmarkObserver, CENTRED, face_views(ours), face_views(theirs))
    elsewhere = watch(LandmarkObserver, CENTRED, face_views([moved(f, 17, -9) for f in ours]), face_views(theirs))
    assert elsewhere == pytest.approx(expected, rel=1e-4)


def test_mirroring_both_changes_nothing() -> None:
    def mirrored(faces: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        return [((255, 0) - f * (1, -1))[list(MIRROR_OF_68)] for f in faces]

    ours, theirs = [np.rint(f) for f in track(3, 9)], [np.rint(f) for f in track(3, 10)]
    expected = watch(LandmarkObserver, ALL, face_views(ours), face_views(theirs))
    values = watch(LandmarkObserver, ALL, face_views(mirrored(ours)), face_views(mirrored(theirs)))
    assert values == pytest.approx(expected, rel=1e-5)


def test_frames_without_a_face_on_either_side_are_left_out() -> None:
    ours, theirs = track(4, 11), track(4, 12)
    kept = watch(LandmarkObserver, set(FORMULAS), face_views(ours[:2]), face_views(theirs[:2]))
    gaps = watch(
        LandmarkObserver, set(FORMULAS), face_views([*ours[:2], None, ours[3]]), face_views([*theirs[:3], None])
    )
    assert gaps == kept


def test_velocity_does_not_reach_across_a_gap() -> None:
    face = np.rint(real_face())
    ours = face_views([face, moved(face, 3, 4), None, moved(face, 90, 90), moved(face, 90, 95)])
    value = watch(LandmarkObserver, {VELOCITY}, ours, face_views([face] * 5))[VELOCITY]
    assert value == pytest.approx((5 + 5) / 3)


def test_without_common_faces_everything_is_missing() -> None:
    face = real_face()
    values = watch(LandmarkObserver, ALL, face_views([face, None]), face_views([None, face]))
    for name, value in values.items():
        assert isinstance(value, Missing), name
        assert value.reason.endswith("none of 2 is")
    single = watch(LandmarkObserver, ALL, face_views([face]), face_views([face]))
    assert isinstance(single[VELOCITY], Missing)
    assert "two instants in a row" in single[VELOCITY].reason
    assert single["m-lmd/eat"] == 0.0
    alone = watch(LandmarkObserver, ALL, face_views([face]), [])
    assert alone == dict.fromkeys(ALL, Missing("no instant in common with the reference"))


def test_a_reference_without_eye_distance_lacks_only_what_divides_by_it() -> None:
    flat = np.full((68, 2), 100.0)
    values = watch(LandmarkObserver, ALL, face_views([flat + 1] * 2), face_views([flat] * 2))
    assert {n for n, v in values.items() if isinstance(v, Missing)} == {"m-lmd/interocular", "f-lmd/interocular"}
    assert values["f-lmd/thm"] == pytest.approx(2**0.5)


@pytest.mark.parametrize("batch", [1, 2, 7, 100])
def test_how_many_are_compared_at_a_time_does_not_matter(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ours: list[NDArray[np.float64] | None] = [*track(20, 15)]
    ours[4] = ours[13] = ours[14] = None
    theirs = face_views(track(20, 16))
    expected = watch(LandmarkObserver, ALL, face_views(ours), theirs)
    monkeypatch.setattr(landmarks, "BATCH", batch)
    assert watch(LandmarkObserver, ALL, face_views(ours), theirs) == pytest.approx(expected, rel=1e-12)


def test_the_variants_differ_as_documented() -> None:
    """One pair of tracks, up to a factor of 20 between numbers that papers call LMD."""
    ours, theirs = [np.rint(f) for f in track(5, 13)], [np.rint(f) for f in track(5, 14)]
    values = watch(LandmarkObserver, ALL, face_views(ours), face_views(theirs))
    assert values["m-lmd/atvgnet"] == pytest.approx(20 * values["m-lmd/eat"])
    assert values["m-lmd/thm68"] == pytest.approx(20 / 68 * values["m-lmd/plain"])
    assert values["m-lmd/eat"] == pytest.approx(values["m-lmd/centred"], rel=1e-6)
