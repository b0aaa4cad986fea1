"""The face pass on real clips."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import mediapipe
import numpy as np
import pytest
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from thbench.errors import UsageError
from thbench.faces import (
    BLENDSHAPES,
    MIRROR_OF_68,
    Face,
    FaceTracker,
    Landmarker,
    arcface_crop,
    face_box,
    head_pose_degrees,
    landmarks68,
)

CLIPS = ("hdtf_katie_hill", "latentsync_demo1", "talkvid_10", "talkvid_aoc")

pytestmark = pytest.mark.real

Frame = NDArray[np.uint8]


def frames_of(shared: Path, clip: str, every: int = 1, count: int | None = None) -> Iterator[Frame]:
    with av.open(str(shared / "real" / "reference" / f"{clip}.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if count is not None and index >= count * every:
                return
            if index % every == 0:
                yield frame.to_ndarray(format="rgb24")


def first(shared: Path, clip: str = "hdtf_katie_hill") -> Frame:
    return next(frames_of(shared, clip))


@pytest.fixture
def tracker(landmarker: Landmarker) -> FaceTracker:
    return FaceTracker(detector=landmarker)


def eye_distance(face: Face) -> float:
    p = landmarks68(face.points)
    return float(np.linalg.norm(p[36] - p[45]))


@pytest.mark.parametrize("clip", CLIPS)
def test_a_face_is_found_in_nearly_every_frame(shared: Path, tracker: FaceTracker, clip: str) -> None:
    # Consecutive at the start, where the face is followed; sparse over the rest, as hard as fast motion.
    for frame in frames_of(shared, clip, count=25):
        tracker.find(frame)
    for frame in frames_of(shared, clip, every=10):
        tracker.find(frame)
    assert tracker.frames > 30
    assert tracker.missing <= 0.05 * tracker.frames


@pytest.mark.full
@pytest.mark.parametrize("clip", CLIPS)
def test_a_face_is_found_in_nearly_every_frame_of_the_whole_clip(shared: Path, tracker: FaceTracker, clip: str) -> None:
    for frame in frames_of(shared, clip):
        tracker.find(frame)
    assert tracker.missing <= 0.05 * tracker.frames


def test_fields_have_the_stated_shapes_and_ranges(shared: Path, tracker: FaceTracker) -> None:
    frame = first(shared)
    face = tracker.find(frame)
    assert face is not None
    assert face.points.shape == (478, 3)
    assert face.points.dtype == np.float32
    assert face.blendshapes.shape == (52,)
    assert 0 <= face.blendshapes.min() <= face.blendshapes.max() <= 1
    np.testing.assert_allclose(face.rotation @ face.rotation.T, np.eye(3), atol=1e-9)
    left, top, right, bottom = face_box(face.points)
    assert 0 < left < right < frame.shape[1]
    assert 0 < top < bottom < frame.shape[0]
    nose, cheek = face.points[4, 2], face.points[234, 2]
    assert nose < cheek  # nearer to the camera


def test_blendshape_names_are_mediapipes(shared: Path, face_weights: Path) -> None:
    with plain_landmarker(face_weights) as plain:
        (categories,) = plain.detect(image_of(first(shared))).face_blendshapes
    assert [category.category_name for category in categories] == list(BLENDSHAPES)
    assert [category.index for category in categories] == list(range(52))


def test_equal_frames_give_equal_faces(shared: Path, tracker: FaceTracker) -> None:
    for clip in CLIPS:
        tracker.reset()
        frame = first(shared, clip)
        faces = [tracker.find(frame) for _ in range(4)]
        for face in faces[1:]:
            np.testing.assert_array_equal(face.points, faces[0].points)
            np.testing.assert_array_equal(face.blendshapes, faces[0].blendshapes)


def test_padded_sliced_and_flipped_arrays_are_read_as_numpy_does(shared: Path, landmarker: Landmarker) -> None:
    frame = np.ascontiguousarray(first(shared))
    (mesh,) = landmarker.detect(frame)
    padded = np.zeros((512, 544, 3), dtype=np.uint8)
    padded[:, :512] = frame
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    for view in (padded[:, :512], mirrored[:, ::-1], np.asfortranarray(frame)):
        assert not view.flags.c_contiguous
        (seen,) = landmarker.detect(view)
        np.testing.assert_array_equal(seen.points, mesh.points)


def test_after_reset_as_fresh(shared: Path, tracker: FaceTracker, landmarker: Landmarker) -> None:
    for frame in frames_of(shared, "latentsync_demo1", count=3):
        tracker.find(frame)
    tracker.reset()
    fresh = FaceTracker(detector=landmarker)
    for frame in frames_of(shared, "talkvid_aoc", every=5, count=5):
        ours, theirs = tracker.find(frame), fresh.find(frame)
        np.testing.assert_array_equal(ours.points, theirs.points)
    assert (tracker.frames, tracker.missing) == (fresh.frames, fresh.missing) == (5, 0)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (2, 300), (300, 2), (512, 512), (1080, 1920)])
def test_no_face_in_black_frames_of_any_size(tracker: FaceTracker, shape: tuple[int, int]) -> None:
    assert tracker.find(np.zeros((*shape, 3), dtype=np.uint8)) is None
    assert tracker.missing == 1


def test_no_face_in_noise_and_scenery(shared: Path, tracker: FaceTracker) -> None:
    assert tracker.find(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)) is None
    seated = first(shared, "latentsync_demo1")
    for part in (seated[:500], seated[1000:], seated[:, :420], seated[:, 760:]):
        tracker.reset()
        assert tracker.find(part) is None


def test_covered_face_is_missing_until_it_is_back(shared: Path, tracker: FaceTracker) -> None:
    frame = first(shared)
    face = tracker.find(frame)
    left, top, right, bottom = face_box(face.points).astype(int)
    covered = frame.copy()
    covered[top - 20 : bottom + 20, left - 20 : right + 20] = 128
    assert tracker.find(covered) is None
    again = tracker.find(frame)
    np.testing.assert_array_equal(again.points, face.points)
    assert tracker.missing == 1


def test_two_people_side_by_side(shared: Path, tracker: FaceTracker) -> None:
    left, right = first(shared, "talkvid_10"), first(shared, "talkvid_aoc")
    alone = tracker.find(left)
    small = cv2.resize(right, (256, 256), interpolation=cv2.INTER_AREA)
    canvas = np.zeros((512, 768, 3), dtype=np.uint8)
    canvas[:, :512], canvas[128:384, 512:] = left, small
    for _ in range(3):
        tracker.reset()
        face = tracker.find(canvas)
        assert np.linalg.norm(face.points - alone.points, axis=1).mean() < 0.02 * eye_distance(alone)
        # The followed one stays, though the other has become the larger.
        grown = np.zeros((512, 1024, 3), dtype=np.uint8)
        grown[128:384, 128:384] = cv2.resize(left, (256, 256), interpolation=cv2.INTER_AREA)
        grown[:, 512:] = right
        assert face_box(tracker.find(grown).points)[2] < 512


def test_small_face_in_a_large_frame_is_measured_like_a_large_one(shared: Path, tracker: FaceTracker) -> None:
    head = first(shared)
    alone = tracker.find(head)
    small = cv2.resize(head, (192, 192), interpolation=cv2.INTER_AREA)
    for x, y in ((0, 0), (900, 500), (1728, 888)):
        frame = np.full((1080, 1920, 3), 90, dtype=np.uint8)
        frame[y : y + 192, x : x + 192] = small
        tracker.reset()
        face = tracker.find(frame)
        assert face is not None
        back = (face.points[:, :2] - (x, y)) * 512 / 192
        assert np.linalg.norm(back - alone.points[:, :2], axis=1).mean() < 0.03 * eye_distance(alone)
        pose = head_pose_degrees(face.rotation) - head_pose_degrees(alone.rotation)
        assert np.abs(pose).max() < 3


def test_mirrored_frames_mirror_points_and_pose(shared: Path, tracker: FaceTracker) -> None:
    turned = 0
    for frame in frames_of(shared, "hdtf_katie_hill", every=18, count=11):
        tracker.reset()
        face = tracker.find(frame)
        tracker.reset()
        mirrored = tracker.find(np.ascontiguousarray(frame[:, ::-1]))
        there, back = landmarks68(face.points), landmarks68(mirrored.points)[list(MIRROR_OF_68)]
        back[:, 0] = frame.shape[1] - back[:, 0]
        assert np.linalg.norm(there - back, axis=1).mean() < 0.03 * eye_distance(face)
        pose, other = head_pose_degrees(face.rotation), head_pose_degrees(mirrored.rotation)
        np.testing.assert_allclose(other * (-1, 1, -1), pose, atol=4)
        left, right = BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")
        assert abs(face.blendshapes[left] - mirrored.blendshapes[right]) < 0.25
        turned += abs(pose[0]) > 8
    assert turned >= 3  # the signs were really seen


def test_rolled_frame_rolls_the_head(shared: Path, tracker: FaceTracker) -> None:
    frame = first(shared, "talkvid_aoc")
    base = head_pose_degrees(tracker.find(frame).rotation)
    for angle in (-20, 20):
        # OpenCV turns counter-clockwise for positive angles, and so does roll.
        turn = cv2.getRotationMatrix2D((256, 256), angle, 1)
        tracker.reset()
        pose = head_pose_degrees(tracker.find(cv2.warpAffine(frame, turn, (512, 512))).rotation)
        assert pose[2] - base[2] == pytest.approx(angle, abs=3)


def test_pose_is_the_limit_of_mediapipes_matrix(shared: Path, tracker: FaceTracker, face_weights: Path) -> None:
    """MediaPipe's matrix as an oracle.

    Its camera sees 63 degrees over the whole image, whatever that is, so its angles come nearer to ours the smaller the
    face in the image.
    """
    frames = list(frames_of(shared, "hdtf_katie_hill", every=8))
    faces = [tracker.find(frame) for frame in frames]
    ours = np.array([head_pose_degrees(face.rotation) for face in faces])
    slopes = {}
    with plain_landmarker(face_weights) as plain:
        for sides in (2, 6):
            padded = [padded_square(frame, face, sides) for frame, face in zip(frames, faces, strict=True)]
            matrices = [plain.detect(image_of(image)).facial_transformation_matrixes[0][:3, :3] for image in padded]
            theirs = head_pose_degrees([matrix / np.cbrt(np.linalg.det(matrix)) for matrix in matrices])
            slopes[sides] = np.array([np.polyfit(theirs[:, i], ours[:, i], 1)[0] for i in range(3)])
            assert all(np.corrcoef(ours[:, i], theirs[:, i])[0, 1] > 0.98 for i in range(3))
    assert (ours.std(axis=0) > 2).all()
    np.testing.assert_allclose(slopes[6], 1, atol=0.08)
    assert (np.abs(slopes[6] - 1)[:2] < np.abs(slopes[2] - 1)[:2]).all()
    assert np.abs(ours - theirs).mean() < 1


def padded_square(frame: Frame, face: Face, sides: float) -> Frame:
    """The square of so many sides of the face around it, black beyond the frame."""
    left, top, right, bottom = face_box(face.points)
    half = int(sides * max(right - left, bottom - top) / 2)
    padded = np.pad(frame, ((half, half), (half, half), (0, 0)))
    x, y = int((left + right) / 2), int((top + bottom) / 2)
    return np.ascontiguousarray(padded[y : y + 2 * half, x : x + 2 * half])


def test_landmarks_agree_with_mediapipe_where_the_face_fills_the_frame(
    shared: Path, tracker: FaceTracker, face_weights: Path
) -> None:
    with plain_landmarker(face_weights) as plain:
        for frame in frames_of(shared, "talkvid_aoc", every=30):
            face = tracker.find(frame)
            points = plain.detect(image_of(frame)).face_landmarks[0]
            whole = np.array([(p.x, p.y, p.z) for p in points]) * (512, 512, 512)
            assert np.linalg.norm(face.points - whole, axis=1).mean() < 0.03 * eye_distance(face)


def test_aligned_crops_put_the_eyes_on_one_line(shared: Path, tracker: FaceTracker) -> None:
    frame = first(shared, "latentsync_demo1")  # head tilted by more than ten degrees
    face = tracker.find(frame)
    assert abs(head_pose_degrees(face.rotation)[2]) > 5
    aligned = tracker_on(arcface_crop(frame, face, 448), tracker)
    assert abs(head_pose_degrees(aligned.rotation)[2]) < 4


def tracker_on(frame: Frame, tracker: FaceTracker) -> Face:
    tracker.reset()
    face = tracker.find(frame)
    assert face is not None
    return face


def test_closed_landmarker_says_so(face_weights: Path) -> None:
    with FaceTracker() as tracker:
        tracker.find(np.zeros((64, 64, 3), dtype=np.uint8))
    tracker.close()
    with pytest.raises(UsageError, match="closed"):
        tracker.find(np.zeros((64, 64, 3), dtype=np.uint8))


def test_nothing_is_written_to_standard_error_but_others_lines_pass(face_weights: Path) -> None:
    code = (
        "import os, sys, threading, numpy as np\n"
        "from thbench.faces import FaceTracker\n"
        "from thbench.faces.landmarker import _without_startup_notes\n"
        "with FaceTracker() as tracker:\n"
        "    for _ in range(3):\n"
        "        tracker.find(np.zeros((600, 600, 3), dtype=np.uint8))\n"
        "with _without_startup_notes():\n"
        "    os.write(2, b'W0000 00:00:1.5 1 graph.cc:1] note\\nE0000 00:00:1.5 1 graph.cc:1] fault\\nmine\\n')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert result.stderr.splitlines() == ["E0000 00:00:1.5 1 graph.cc:1] fault", "mine"]
    assert result.stdout == ""


def test_recipe_is_read_without_heavy_imports() -> None:
    code = (
        "import sys\nfrom thbench.faces import RECIPE\nprint(RECIPE)\n"
        "assert not {'mediapipe', 'cv2', 'torch', 'numpy'} & set(sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "64184e22" in out
    assert mediapipe.__version__ in out


def plain_landmarker(folder: Path) -> vision.FaceLandmarker:
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(folder / "face_landmarker.task")),
        running_mode=vision.RunningMode.IMAGE,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


def image_of(frame: Frame) -> mediapipe.Image:
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
