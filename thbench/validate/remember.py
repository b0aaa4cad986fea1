"""A face detector that does not look at equal images twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thbench.faces.landmarker import Mesh
    from thbench.faces.tracker import Detector


class RememberingDetector:
    """Gives what the detector gave for the same pixels before.

    Degraded clips share most of their frames (held, dropped, other sound), and finding faces is what takes the time.
    Exact as long as the detector has no memory between images, which `thbench.faces.Landmarker` has not.
    """

    def __init__(self, detector: Detector, limit: int = 4096) -> None:
        """Wrap a detector.

        Args:
            detector: Finds the faces of one image.
            limit: Images remembered, about 6 KB each; those not seen for longest are forgotten.
        """
        self._detector = detector
        self._limit = limit
        self._known: OrderedDict[tuple[bytes, tuple[int, ...]], Sequence[Mesh]] = OrderedDict()

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Mesh]:
        """Find the faces of an image (height, width, 3)."""
        key = (hashlib.blake2b(np.ascontiguousarray(rgb).data, digest_size=16).digest(), rgb.shape)
        if key not in self._known:
            self._known[key] = self._detector.detect(rgb)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
