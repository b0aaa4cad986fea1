"""Boxes between key frames."""

from __future__ import annotations

import numpy as np

from thbench.metrics.key_frames import EVERY, boxes_of_all_frames
from thbench.metrics.sync_tracks import TrackSettings, track_faces


def face(left: float, top: float = 0.0, score: float = 0.9, size: float = 150.0) -> np.ndarray:
    return np.array([left, top, left + size, top + size, score])


def test_every_frame_is_left_as_it_is() -> None:
    found = {frame: np.stack([face(frame)]) for frame in range(7)}
    assert all(np.array_equal(boxes, found[frame]) for frame, boxes in enumerate(boxes_of_all_frames(found, 7)))


def test_a_face_that_moves_evenly_is_found_exactly() -> None:
    """The tracker sees what it would have seen with detection on every frame."""
    truth = [np.stack([face(2.0 * frame, score=0.95)]) for frame in range(61)]
    boxes = boxes_of_all_frames({frame: truth[frame] for frame in range(0, 61, EVERY)}, 61)
    settings = TrackSettings(longer_than=50)
    (ours,), (full,) = track_faces(boxes, 0, settings), track_faces(truth, 0, settings)
    assert np.allclose(ours.boxes, full.boxes) and np.array_equal(ours.frames, full.frames)


def test_two_faces_that_cross_in_the_list_keep_their_places() -> None:
    left, right = face(0, score=0.9), face(400, score=0.8)
    found = {0: np.stack([left, right]), 4: np.stack([right + [4, 0, 4, 0, 0.15], left + [4, 0, 4, 0, -0.1]])}
    middle = boxes_of_all_frames(found, 5)[2]
    assert np.allclose(middle, [[2, 0, 152, 150, 0.8], [402, 0, 552, 150, 0.8]])


def test_a_face_that_is_gone_leaves_no_boxes() -> None:
    boxes = boxes_of_all_frames({0: np.stack([face(0)]), 3: np.zeros((0, 5)), 6: np.stack([face(500)])}, 7)
    assert [len(rows) for rows in boxes] == [1, 0, 0, 0, 0, 0, 1]


def test_a_jump_is_not_bridged() -> None:
    boxes = boxes_of_all_frames({0: np.stack([face(0)]), 3: np.stack([face(140)])}, 4)
    assert [len(rows) for rows in boxes] == [1, 0, 0, 1]
