"""The face of each frame of a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from thbench.errors import UsageError, did_you_mean
from thbench.faces.face import Face
from thbench.faces.landmarker import Landmarker, Mesh
from thbench.faces.landmarks import face_box
from thbench.faces.pose import rotation_of
from thbench.faces.recipe import CONFIRMED, WINDOWS_EVERY
from thbench.faces.search import Box, Window, is_in_the_middle, overlap, square_around, whole, windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

Policy = Literal["skip", "fail", "hold"]
"""What stands for a frame without a face: nothing; nothing, and the clip has failed; the last face seen."""

_SETTLING = 3
"""Squares tried around a new face until it lies in the middle of one."""


class Detector(Protocol):
    """Finds the faces of one image."""

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Mesh]:
        """Return the faces of an image (height, width, 3), in its pixels."""
        ...


@dataclass(frozen=True, slots=True)
class _Sight:
    """A face seen in a frame."""

    mesh: Mesh
    """In pixels of the frame."""
    box: Box
    """Around its points."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the followed face is."""

    anchor: Box
    """The face for which the searched square was made."""
    box: Box
    """The face when last seen."""


class FaceTracker:
    """Finds the same face frame after frame.

    1. A known face is searched in a square around it; the square stays where it is until the face has left its middle
       (`thbench.faces.recipe.CROP`, `SLACK`). Of several faces in the square, the one that overlaps the last box most
       is taken. While the face is lost, its last square is searched on.
    2. Else the whole frame is searched, and the largest face taken.
    3. Else windows of the frame are searched, at the first frame without a face and then every `WINDOWS_EVERY`
       frames; frames in between count as missing, so that a long stretch without a face costs less than one with.

    A face found by 2 or 3 counts only once the square around it shows it again, and it is measured there: landmarks
    in a large frame are poor. So all faces are measured under equal conditions, whatever the size of the frame.

    Example:
        >>> with FaceTracker() as tracker:  # doctest: +SKIP
        ...     faces = [tracker.find(frame) for frame in frames]
    """

    def __init__(self, policy: Policy = "skip", *, detector: Detector | None = None) -> None:
        """Make a tracker.

        Args:
            policy: What stands for a frame without a face.
            detector: Finds faces in single images, and stays open; several trackers may share one. None makes a
                `Landmarker` that closes with the tracker.

        Raises:
            UsageError: There is no such policy.
            MissingExtraError: MediaPipe is not installed.
            MissingWeightsError: The weight file is not there.
            WeightsMismatchError: The weight file is not the published one.
        """
        if policy not in get_args(Policy):
            raise UsageError(f"no missing-face policy is called {policy!r}{did_you_mean(policy, get_args(Policy))}")
        self.policy = policy
        self._own: Landmarker | None = None
        if detector is None:
            detector = self._own = Landmarker()
        self._detector: Detector = detector
        self.reset()

    def reset(self) -> None:
        """Forget everything seen, for the next video."""
        self.frames = 0
        """Frames seen."""
        self.missing = 0
        """Frames in which no face was found, also where `hold` gave the last one."""
        self._lost = 0
        self._place: _Place | None = None
        self._last: Face | None = None

    @property
    def failed(self) -> bool:
        """Whether the clip has failed: the policy is `fail`, and a frame had no face."""
        return self.policy == "fail" and self.missing > 0

    def find(self, rgb: NDArray[np.uint8]) -> Face | None:
        """Find the face of the next frame.

        Args:
            rgb: Shape (height, width, 3), RGB.

        Returns:
            The face; None, or with `hold` the last face, if there is none.

        Raises:
            UsageError: `rgb` is not such an array, or the tracker is closed.
        """
        _require_frame(rgb)
        sight = self._follow(rgb)
        if sight is None:
            sight = self._discover(rgb)
        self.frames += 1
        if sight is None:
            self.missing += 1
            self._lost += 1
            return self._last if self.policy == "hold" else None
        self._lost = 0
        self._last = Face(sight.mesh.points, sight.mesh.blendshapes, rotation_of(sight.mesh.points))
        return self._last

    def close(self) -> None:
        """Close the landmarker if it is the tracker's own."""
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self, rgb: NDArray[np.uint8]) -> _Sight | None:
        """Search where the face was."""
        if self._place is None:
            return None
        anchor, last = self._place.anchor, self._place.box
        sight = self._best(rgb, square_around(anchor, rgb.shape[:2]), last)
        if sight is None or overlap(sight.box, last) == 0:
            return None
        self._place = _Place(anchor if is_in_the_middle(sight.box, anchor) else sight.box, sight.box)
        return sight

    def _discover(self, rgb: NDArray[np.uint8]) -> _Sight | None:
        """Search everywhere for the largest face."""
        for parts in self._parts(rgb.shape[:2]):
            sights = [sight for part in parts for sight in self._sights(rgb, part)]
            for candidate in sorted(sights, key=lambda sight: sight.box.area, reverse=True):
                settled = self._settle(rgb, candidate)
                if settled is not None:
                    return settled
        return None

    def _parts(self, size: tuple[int, int]) -> Iterator[list[Window]]:
        yield [whole(size)]
        if self._lost % WINDOWS_EVERY == 0:
            yield from windows(size)

    def _settle(self, rgb: NDArray[np.uint8], candidate: _Sight) -> _Sight | None:
        """Look again in the square around a face until it lies in the middle; None if it is not there."""
        sight = candidate
        for _ in range(_SETTLING):
            anchor = sight.box
            again = self._best(rgb, square_around(anchor, rgb.shape[:2]), anchor)
            if again is None or overlap(again.box, anchor) < CONFIRMED:
                return None
            sight = again
            if is_in_the_middle(sight.box, anchor):
                break
        self._place = _Place(anchor, sight.box)
        return sight

    def _best(self, rgb: NDArray[np.uint8], part: Window, near: Box) -> _Sight | None:
        """The face of a part of the frame that overlaps `near` most."""
        return max(self._sights(rgb, part), key=lambda sight: overlap(sight.box, near), default=None)

    def _sights(self, rgb: NDArray[np.uint8], part: Window) -> list[_Sight]:
        meshes = self._detector.detect(rgb[part.top : part.bottom, part.left : part.right])
        shift = np.array([part.left, part.top, 0], dtype=np.float32)
        shifted = [mesh._replace(points=mesh.points + shift) for mesh in meshes]
        return [_Sight(mesh, Box(*face_box(mesh.points).tolist())) for mesh in shifted]


def _require_frame(rgb: NDArray[np.uint8]) -> None:
    shape, kind = np.shape(rgb), getattr(rgb, "dtype", type(rgb).__name__)
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise UsageError(
            f"faces are found in RGB frames of shape (height, width, 3) and type uint8, not in {shape} of {kind}; "
            "convert the frame first"
        )
