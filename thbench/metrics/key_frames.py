"""Detection on key frames: boxes of every k-th frame, and straight lines between them.

A head moves little in a few frames, so a detector that is slower than everything after it need not see them all. The
numbers that follow differ from those of detection on every frame and belong under a protocol name that says k.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from thbench.metrics.sync_tracks import intersection_over_union

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

OVERLAP = 0.5
"""Intersection over union above which boxes of neighbouring key frames are one face, as in the published tracker."""
EVERY = 5
"""Frames from one key frame to the next: 0.2 s. The first and the last frame of a shot are key frames too."""


def boxes_of_all_frames(
    found: Mapping[int, NDArray[np.float64]], count: int, overlap: float = OVERLAP
) -> list[NDArray[np.float64]]:
    """Return boxes for every frame of a shot.

    A box of a key frame and the box of the next that overlaps it most are taken for one face if they overlap by more
    than `overlap`; in between it moves in a straight line. A face without such a partner is in its key frame only.

    Args:
        found: Key frame to its boxes, shape (faces, 5): left, top, right, bottom in pixels and the score, best first.
        count: Frames of the shot.
        overlap: Intersection over union; the published tracker's by default.

    Returns:
        `count` arrays of shape (faces, 5), best first; the score between key frames is the lower of the two.
    """
    boxes: list[list[NDArray[np.float64]]] = [[] for _ in range(count)]
    keys = sorted(found)
    for key in keys:
        boxes[key] = list(found[key])
    for start, end in pairwise(keys):
        for first, second in _pairs(found[start], found[end], overlap):
            for frame in range(start + 1, end):
                share = (frame - start) / (end - start)
                box = (1 - share) * first + share * second
                box[4] = min(first[4], second[4])
                boxes[frame].append(box)
    ranked = (sorted(rows, key=lambda row: -row[4]) for rows in boxes)
    return [np.stack(rows) if rows else np.zeros((0, 5)) for rows in ranked]


def _pairs(
    first: NDArray[np.float64], second: NDArray[np.float64], overlap: float
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Give each box, best first, the free box that overlaps it most."""
    free = list(second)
    pairs = []
    for box in first:
        shared = [intersection_over_union(box[:4], other[:4]) for other in free]
        if shared and max(shared) > overlap:
            pairs.append((box, free.pop(int(np.argmax(shared)))))
    return pairs
