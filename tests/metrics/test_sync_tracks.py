"""Face tracks of the SyncNet pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from thbench.metrics.sync_tracks import TrackSettings, intersection_over_union, track_faces

SHORT = TrackSettings(longer_than=5)
NONE = np.zeros((0, 5))


def box(x: float, y: float = 200.0, side: float = 150.0, score: float = 0.99) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2, score]


def shot(*faces: list[list[float]]) -> list[np.ndarray]:
    return [np.array(found).reshape(-1, 5) for found in faces]


def test_a_moving_face_is_one_track() -> None:
    tracks = track_faces(shot(*[[box(300 + 2 * i)] for i in range(120)]), first_frame=40)
    assert len(tracks) == 1
    assert tracks[0].frames.tolist() == list(range(40, 160))
    np.testing.assert_allclose(tracks[0].boxes[:, 0], 225 + 2 * np.arange(120))


@pytest.mark.parametrize(("length", "count"), [(99, 0), (100, 0), (101, 1)])
def test_a_track_has_more_than_a_hundred_faces(length: int, count: int) -> None:
    assert len(track_faces(shot(*[[box(300)]] * length))) == count


@pytest.mark.parametrize(("side", "count"), [(99.0, 0), (100.0, 0), (101.0, 1)])
def test_small_faces_are_left_out(side: float, count: int) -> None:
    assert len(track_faces(shot(*[[box(300, side=side)]] * 20), settings=SHORT)) == count


@pytest.mark.parametrize(("missed", "count"), [(0, 1), (24, 1), (25, 2)])
def test_a_gap_of_up_to_25_frames_is_bridged(missed: int, count: int) -> None:
    faces = [np.array([box(300)])] * 10 + [NONE] * missed + [np.array([box(310)])] * 10
    tracks = track_faces(faces, settings=SHORT)
    assert len(tracks) == count
    if count == 1 and missed:
        assert len(tracks[0].frames) == 20 + missed
        middle = tracks[0].boxes[9 : 11 + missed, 0]
        np.testing.assert_allclose(middle, np.linspace(225, 235, missed + 2))


def test_a_jump_starts_another_track() -> None:
    tracks = track_faces(shot(*[[box(200)]] * 10, *[[box(600)]] * 10), settings=SHORT)
    assert [track.frames[0] for track in tracks] == [0, 10]


def test_two_people_are_two_tracks() -> None:
    tracks = track_faces(shot(*[[box(200), box(600)]] * 12), settings=SHORT)
    assert [(len(t.frames), float(t.boxes[:, 0].mean())) for t in tracks] == [(12, 125.0), (12, 525.0)]


def test_the_face_behind_a_taken_one_is_passed_over() -> None:
    """Two boxes of one face in a frame: the second would join the track too, were it not passed over."""
    double = track_faces(shot(*[[box(300), box(302)]] * 12), settings=SHORT)
    assert [float(track.boxes[0, 0]) for track in double] == [225.0, 227.0]
    triple = track_faces(shot(*[[box(300), box(304), box(302)]] * 12), settings=SHORT)
    # The third is looked at again and joins; within a frame the last of them stands.
    assert [float(track.boxes[0, 0]) for track in triple] == [227.0, 229.0]


def test_no_face_has_no_track() -> None:
    assert track_faces([NONE] * 200) == []


def test_overlap_is_shared_area_over_union() -> None:
    first, second = np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 15, 10])
    assert intersection_over_union(first, second) == pytest.approx(50 / 150)
    assert intersection_over_union(first, first) == 1
    assert intersection_over_union(first, second + 20) == 0
