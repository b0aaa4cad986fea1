"""Cuts between shots, as the content detector of PySceneDetect finds them with its defaults.

The SyncNet pipeline follows faces within a shot only. Source: Breakthrough/PySceneDetect 0.6,
scenedetect/detectors/content_detector.py, scene_detector.py (its filter of flashes) and scene_manager.py (its reduction
of frames).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 27.0
"""Mean change of hue (0 to 179), saturation and value (0 to 255) from one frame to the next that makes a cut."""
SHORTEST = 15
"""Frames: cuts that follow each other more closely are merged into their last one."""
WIDTH = 256
"""Pixels of the longer side to which larger frames are reduced."""


class SceneCuts:
    """Finds the cuts of a video whose frames come one after another."""

    def __init__(self) -> None:
        self._before: NDArray[np.int16] | None = None
        self._filter = _Merged()
        self._frames = 0
        self.cuts: list[int] = []
        """First frames of the shots after the first one, as far as they are certain."""

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Take in the next frame, shape (height, width, 3); all have one size."""
        now = _hsv(rgb)
        change = 0.0 if self._before is None else float(np.abs(now - self._before).sum(dtype=np.int64) / now.size)
        self._before = now
        cut = self._filter.take(self._frames, above=change >= THRESHOLD)
        if cut is not None:
            self.cuts.append(cut)
        self._frames += 1

    def shots(self) -> list[tuple[int, int]]:
        """Return the first frame of each shot and the one after its last."""
        starts = [0, *self.cuts]
        return list(zip(starts, [*self.cuts, self._frames], strict=True))


def _hsv(rgb: NDArray[np.uint8]) -> NDArray[np.int16]:
    height, width = rgb.shape[:2]
    factor = max(height, width) / WIDTH
    if factor > 1:
        size = max(1, round(width / factor)), max(1, round(height / factor))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.int16)


class _Merged:
    """Lets the first cut pass; of cuts that follow another within `SHORTEST` frames only the last, once it is calm."""

    def __init__(self) -> None:
        self._last_above: int | None = None
        self._began: int | None = None
        self._passed = False

    def take(self, frame: int, *, above: bool) -> int | None:
        """Take in whether a frame differs from the one before it; return the frame of a cut that is certain now."""
        before = frame if self._last_above is None else self._last_above
        self._last_above = frame if above else before
        far = frame - before >= SHORTEST
        if self._began is not None:
            if far and not above and self._last_above - self._began >= SHORTEST:
                self._began = None
                return self._last_above
            return None
        if not above:
            return None
        if far:
            self._passed = True
            return frame
        if self._passed:
            self._began = frame
        return None
