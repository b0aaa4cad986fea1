"""Upright squares about parts of a face: geometry against known maps, cuts against pictures made by formula."""

from __future__ import annotations

import numpy as np
import pytest

from thbench.backbones.mini.face import NEAR_SIDE, turned
from thbench.backbones.mini.places import LIPS, WHOLE, attitude_of, cut, moved
from thbench.backbones.mini.sync import SIDE, lip_crops
from thbench.backbones.mini.train.face import inverse
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.faces.pose import head_pose_degrees, rotation_from_degrees


@pytest.fixture(scope="module")
def landmarks() -> np.ndarray:
    return np.concatenate([truth_of(clip).landmarks68[::20] for clip in clips_of()[:4]]).astype(np.float64)


def similar(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.radians(degrees)
    linear = scale * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    return np.column_stack((linear, shift))


@pytest.mark.parametrize(("degrees", "scale", "shift"), [(0, 1, (5, -3)), (17, 0.6, (0, 0)), (-25, 2.5, (30, 8))])
def test_the_square_goes_where_the_face_goes(landmarks, degrees, scale, shift) -> None:
    change = similar(degrees, scale, shift)
    before, after = (attitude_of(points).place(LIPS) for points in (landmarks, moved(landmarks, change)))
    np.testing.assert_allclose(after.side, scale * before.side)
    np.testing.assert_allclose(after.middle, moved(before.middle[:, None], change)[:, 0])
    # In the cut, everything is where it was.
    inside = [moved(p, inverse(a.matrix(SIDE))) for p, a in ((landmarks, before), (moved(landmarks, change), after))]
    np.testing.assert_allclose(*inside, atol=1e-8)


def test_the_square_does_not_follow_the_mouth(landmarks) -> None:
    spoken = landmarks.copy()
    spoken[:, 48:] += (3.0, 5.0)
    spoken[:, :17] -= 2.0
    for part in (WHOLE, LIPS):
        np.testing.assert_array_equal(
            attitude_of(spoken).place(part).matrix(10), attitude_of(landmarks).place(part).matrix(10)
        )


def test_mouth_and_chin_lie_in_the_lips_square_and_all_in_the_whole(landmarks) -> None:
    attitude = attitude_of(landmarks)
    inside = moved(landmarks, inverse(attitude.place(LIPS).matrix(SIDE)))
    assert ((inside[:, 48:] > 0) & (inside[:, 48:] < SIDE)).all()
    inside = moved(landmarks, inverse(attitude.place(WHOLE).matrix(NEAR_SIDE)))
    assert ((inside > 0) & (inside < NEAR_SIDE)).mean() > 0.995


def test_a_cut_shows_what_is_there() -> None:
    y, x = np.mgrid[:128, :128] + 0.5
    ramp = np.stack((x, y, np.full_like(x, 90)), axis=-1)
    matrix = similar(12, 1.3, (20, 30))
    shown = cut(np.rint(ramp).astype(np.uint8), matrix, 40).astype(np.float64)
    middles = np.stack(np.meshgrid(np.arange(40) + 0.5, np.arange(40) + 0.5), axis=-1).reshape(-1, 2)
    wanted = moved(middles, matrix).reshape(40, 40, 2)
    inside = ((wanted > 1) & (wanted < 127)).all(axis=-1)
    assert inside.mean() > 0.9
    # Half a level of rounding of the ramp, half of the cut, and OpenCV's fixed-point weights.
    assert np.abs(shown[..., :2] - wanted)[inside].max() < 1.3
    assert (shown[..., 2] == 90).all()


def test_lip_crops_are_upright_and_bgr(landmarks) -> None:
    frame = np.zeros((128, 128, 3), np.uint8)
    frame[..., 0] = 200
    crops = lip_crops([frame, frame], landmarks[:2])
    assert crops.shape == (2, SIDE, SIDE, 3)
    assert (crops[..., 2] == 200).all() and not crops[..., :2].any()


@pytest.mark.parametrize("tilt", [-20.0, 0.0, 7.0])
def test_pose_of_the_frame_from_the_pose_in_a_tilted_cut(tilt) -> None:
    pose = np.array([[10.0, -5.0, 3.0], [0.0, 0.0, 0.0], [-30.0, 20.0, 0.0]])
    turn = np.radians(tilt)
    # Counter-clockwise as seen, y runs down.
    across = np.tile((np.cos(turn), -np.sin(turn)), (3, 1))
    found = turned(pose, across)
    assert found[1] == pytest.approx([0, 0, tilt], abs=1e-9)
    wanted = rotation_from_degrees((0, 0, tilt)) @ rotation_from_degrees(pose)
    np.testing.assert_allclose(found, head_pose_degrees(wanted), atol=1e-9)
    np.testing.assert_allclose(turned(found, across * (1, -1)), pose, atol=1e-9)
