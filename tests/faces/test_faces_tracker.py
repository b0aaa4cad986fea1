"""Following, losing and finding a face, with a detector whose answers are drawn by the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from thbench.errors import MissingWeightsError, UsageError, WeightsMismatchError
from thbench.faces import FaceTracker, Landmarker
from thbench.faces.landmarker import Mesh
from thbench.faces.recipe import WINDOWS_EVERY
from thbench.faces.search import windows

Frame = NDArray[np.uint8]


class Discs:
    """Sees each rectangle of one colour as a face, if it is wholly in the image and no smaller than a share of it."""

    def __init__(self, smallest_share: float = 0.05) -> None:
        self.smallest_share = smallest_share
        self.calls: list[tuple[int, int]] = []
        self.ghosts: list[int] = []
        """Colours seen only in images wider than 300 pixels: false alarms that a closer look does not confirm."""

    def detect(self, rgb: Frame) -> list[Mesh]:
        self.calls.append(rgb.shape[:2])
        found = []
        for colour in np.unique(rgb[..., 0]) if rgb.any() else ():
            rows, columns = np.nonzero(rgb[..., 0] == colour)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            touches = box[0] == 0 or box[1] == 0 or box[2] == rgb.shape[1] or box[3] == rgb.shape[0]
            small = max(box[2] - box[0], box[3] - box[1]) < self.smallest_share * max(rgb.shape)
            ghost = colour in self.ghosts and rgb.shape[1] <= 300
            if colour and not touches and not small and not ghost:
                found.append(Mesh(mesh_in(box), np.full(52, colour / 255, dtype=np.float32)))
        return found


def mesh_in(box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """478 points that fill a box exactly."""
    unit = np.random.default_rng(0).uniform(0, 1, (478, 3))
    unit[:2, :2] = (0, 0), (1, 1)
    low, high = np.array([*box[:2], 0]), np.array([*box[2:], 50])
    return (low + unit * (high - low)).astype(np.float32)


def frame_with(*rectangles: tuple[int, int, int, int], size: tuple[int, int] = (400, 600)) -> Frame:
    """A black frame with rectangles (x, y, side, colour)."""
    frame = np.zeros((*size, 3), dtype=np.uint8)
    for x, y, side, colour in rectangles:
        frame[y : y + side, x : x + side] = colour
    return frame


def left_of(face: object) -> float:
    return float(face.points[:, 0].min())  # type: ignore[attr-defined]


EMPTY = frame_with()
ONE = frame_with((100, 100, 60, 200))


def test_points_are_in_pixels_of_the_whole_frame() -> None:
    tracker = FaceTracker(detector=Discs())
    for x in (100, 104, 150, 300):
        face = tracker.find(frame_with((x, 90, 60, 200)))
        assert face is not None
        np.testing.assert_allclose(face.points[:2, :2], [(x, 90), (x + 60, 150)], atol=1e-3)
        assert face.rotation.shape == (3, 3)
        assert face.blendshapes.shape == (52,)
    assert (tracker.frames, tracker.missing) == (4, 0)


def test_largest_face_is_taken_then_followed() -> None:
    tracker = FaceTracker(detector=Discs())
    assert left_of(tracker.find(frame_with((50, 50, 60, 100), (400, 100, 90, 200)))) == pytest.approx(400)
    # The other one is now larger, and both move.
    assert left_of(tracker.find(frame_with((60, 50, 150, 100), (390, 100, 90, 200)))) == pytest.approx(390)
    tracker.reset()
    assert left_of(tracker.find(frame_with((60, 50, 150, 100), (390, 100, 90, 200)))) == pytest.approx(60)


def test_followed_face_is_searched_in_its_square_only() -> None:
    detector = Discs()
    tracker = FaceTracker(detector=detector)
    tracker.find(ONE)
    detector.calls.clear()
    tracker.find(ONE)
    assert detector.calls == [(120, 120)]


def test_face_that_jumps_is_found_again_in_the_same_frame() -> None:
    tracker = FaceTracker(detector=Discs())
    tracker.find(ONE)
    assert left_of(tracker.find(frame_with((450, 250, 60, 200)))) == pytest.approx(450)
    assert tracker.missing == 0


def test_false_alarm_is_not_confirmed_and_the_next_face_is_taken() -> None:
    detector = Discs()
    detector.ghosts = [90]
    tracker = FaceTracker(detector=detector)
    assert tracker.find(frame_with((300, 100, 100, 90))) is None
    assert left_of(tracker.find(frame_with((300, 100, 100, 90), (50, 200, 60, 200)))) == pytest.approx(50)


def test_small_face_in_a_large_frame_is_found_in_windows() -> None:
    size = (1080, 1920)
    for x, y in ((5, 5), (930, 500), (1870, 1030)):
        tracker = FaceTracker(detector=Discs(smallest_share=0.08))
        face = tracker.find(frame_with((x, y, 42, 200), size=size))
        assert face is not None
        assert left_of(face) == pytest.approx(x, abs=1e-3)


def test_windows_are_searched_only_every_so_often() -> None:
    size = (270, 480)
    empty = frame_with(size=size)
    count = sum(map(len, windows(size)))
    detector = Discs()
    tracker = FaceTracker(detector=detector)
    per_frame = []
    for _ in range(2 * WINDOWS_EVERY + 1):
        detector.calls.clear()
        assert tracker.find(empty) is None
        per_frame.append(len(detector.calls))
    assert [i for i, calls in enumerate(per_frame) if calls == 1 + count] == [0, WINDOWS_EVERY, 2 * WINDOWS_EVERY]
    assert sorted(set(per_frame)) == [1, 1 + count]
    assert tracker.missing == tracker.frames == len(per_frame)


def test_lost_face_is_searched_where_it_was() -> None:
    # Too small for the whole frame, and between two window searches.
    detector = Discs(smallest_share=0.08)
    tracker = FaceTracker(detector=detector)
    small = frame_with((700, 300, 42, 200), size=(1080, 1920))
    assert tracker.find(small) is not None
    for _ in range(3):
        assert tracker.find(frame_with(size=(1080, 1920))) is None
    detector.calls.clear()
    assert tracker.find(small) is not None
    assert len(detector.calls) == 1


def test_policies() -> None:
    sequence = [EMPTY, ONE, EMPTY, EMPTY, frame_with((110, 100, 60, 200))]
    seen = {}
    for policy in ("skip", "fail", "hold"):
        tracker = FaceTracker(policy, detector=Discs())
        assert not tracker.failed
        seen[policy] = [tracker.find(frame) for frame in sequence]
        assert (tracker.frames, tracker.missing) == (5, 3)
        assert tracker.failed == (policy == "fail")
        tracker.reset()
        assert not tracker.failed
    assert (
        [face is None for face in seen["skip"]]
        == [face is None for face in seen["fail"]]
        == [True, False, True, True, False]
    )
    assert seen["hold"][0] is None
    assert seen["hold"][2] is seen["hold"][3] is seen["hold"][1]
    assert left_of(seen["hold"][4]) == pytest.approx(110)


def test_unknown_policy_suggests() -> None:
    with pytest.raises(UsageError, match="did you mean 'hold'"):
        FaceTracker("holt", detector=Discs())  # type: ignore[arg-type]


def test_nothing_is_left_of_the_clip_before() -> None:
    detector = Discs()
    tracker = FaceTracker("hold", detector=detector)
    for frame in (ONE, EMPTY, EMPTY):
        tracker.find(frame)
    tracker.reset()
    assert (tracker.frames, tracker.missing) == (0, 0)
    assert tracker.find(EMPTY) is None
    fresh = FaceTracker("hold", detector=detector)
    clip = [frame_with((80 + 9 * i, 100, 60 + i, 200), (400, 150, 62, 90)) for i in range(8)]
    tracker.reset()
    for frame in clip:
        ours, theirs = tracker.find(frame), fresh.find(frame)
        assert ours is not None
        assert theirs is not None
        np.testing.assert_array_equal(ours.points, theirs.points)


def test_frames_may_change_their_size() -> None:
    tracker = FaceTracker(detector=Discs())
    assert tracker.find(ONE) is not None
    assert tracker.find(frame_with((10, 10, 20, 200), size=(60, 60))) is not None
    assert tracker.find(frame_with(size=(1, 1))) is None


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((40, 50), dtype=np.uint8),
        np.zeros((40, 50, 1), dtype=np.uint8),
        np.zeros((40, 50, 4), dtype=np.uint8),
        np.zeros((3, 40, 50), dtype=np.uint8),
        np.zeros((40, 50, 3), dtype=np.float32),
        np.zeros((0, 50, 3), dtype=np.uint8),
        [[1, 2, 3]],
    ],
    ids=lambda frame: f"{np.shape(frame)} {getattr(frame, 'dtype', 'list')}",
)
def test_what_is_no_frame_is_refused_by_shape_and_type(frame: Frame) -> None:
    tracker = FaceTracker(detector=Discs())
    with pytest.raises(UsageError) as caught:
        tracker.find(frame)
    assert str(np.shape(frame)) in str(caught.value)
    assert str(getattr(frame, "dtype", "list")) in str(caught.value)
    assert tracker.frames == 0


def test_a_shared_detector_stays_open() -> None:
    class Closing(Discs):
        closed = False

        def close(self) -> None:
            self.closed = True

    detector = Closing()
    with FaceTracker(detector=detector) as tracker:
        tracker.find(ONE)
    assert not detector.closed


def test_missing_weights_are_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    for make in (FaceTracker, Landmarker):
        with pytest.raises(MissingWeightsError) as caught:
            make()
        assert all(
            t in str(caught.value)
            for t in ("face_landmarker.task", str(tmp_path), "thbench weights get face-landmarker")
        )


def test_wrong_weights_are_refused(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray((shared / "weights" / "face_landmarker.task").read_bytes())
    content[1000] ^= 1
    (tmp_path / "face_landmarker.task").write_bytes(content)
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(WeightsMismatchError, match=r"face_landmarker\.task.*expected SHA-256 64184e22"):
        FaceTracker()
