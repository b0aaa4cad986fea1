"""What was done for an image is not done again for an equal one.

Degraded clips share most of their frames (held, dropped, other sound, other blinks), and finding faces and running
networks is what takes the time.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from thbench.metrics.observer import View

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from thbench.faces.face import Face
    from thbench.faces.landmarker import Mesh
    from thbench.faces.tracker import Detector

T = TypeVar("T")


class Memory(Generic[T]):
    """Values by key; those not asked for for longest are forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is known, or make it."""
        if key not in self._known:
            self._known[key] = make()
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


class RememberingDetector:
    """Gives what the detector gave for the same pixels before.

    Exact as long as the detector has no memory between images, which `thbench.faces.Landmarker` has not.
    """

    def __init__(self, detector: Detector, limit: int = 4096) -> None:
        """Wrap a detector.

        Args:
            detector: Finds the faces of one image.
            limit: Images remembered, about 6 KB each.
        """
        self._detector = detector
        self._memory: Memory[Sequence[Mesh]] = Memory(limit)

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Mesh]:
        """Find the faces of an image (height, width, 3)."""
        return self._memory.get(_digest(rgb), lambda: self._detector.detect(rgb))


class RememberingViews:
    """Gives the view that it gave for the same pixels and the same face before, with what observers made of it.

    Exact as long as what is made once for a view follows from its pixels and its face alone, which is what
    `thbench.metrics.observer.View.once` is for.
    """

    def __init__(self, limit: int = 1024) -> None:
        """Know nothing yet.

        Args:
            limit: Views remembered, about 150 KB each at 128 px.
        """
        self._memory: Memory[View] = Memory(limit)

    def __call__(self, rgb: NDArray[np.uint8], face: Face | None) -> View:
        """Return the view of an image (height, width, 3) and its face."""
        shown = None if face is None else _digest(face.points, face.blendshapes, face.rotation)
        return self._memory.get((_digest(rgb), shown), lambda: View(rgb, face))


def _digest(*arrays: NDArray[np.generic]) -> Hashable:
    """A short name of what arrays hold."""
    total = hashlib.blake2b(digest_size=16)
    for array in arrays:
        total.update(np.ascontiguousarray(array).data)
    return total.digest(), tuple(array.shape for array in arrays)
