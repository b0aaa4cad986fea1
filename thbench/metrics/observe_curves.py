"""What the face does over time, kept beside the values so that reports can draw it: no metric, but the same pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.faces.pose import head_pose_degrees
from thbench.metrics.sync import mouth_opening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Features, Moment, View

EXTRACTOR = "curves"
"""Name of the rows among the features of a video."""
COLUMNS = ("mouth", "yaw", "pitch", "roll")
"""What the columns hold: gap of the inner lips over the distance of the outer eye corners, then degrees."""


class CurveObserver:
    """Keeps four numbers of every frame of the generated video; NaN where there is no face."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float32]] = []

    def observe(self, moment: Moment) -> None:
        """Take in one moment."""
        self._rows.append(moment.generated.once(EXTRACTOR, lambda: _row(moment.generated)))

    def features(self, clip: ClipFacts) -> Features:
        """Return the rows, shape (frames, 4)."""
        return {EXTRACTOR: np.stack(self._rows)} if self._rows else {}


def _row(view: View) -> NDArray[np.float32]:
    if view.face is None:
        return np.full(len(COLUMNS), np.nan, dtype=np.float32)
    angles = head_pose_degrees(view.face.rotation)
    return np.array([mouth_opening(view.face.points), *angles], dtype=np.float32)
