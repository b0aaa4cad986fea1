"""Face tracks as the SyncNet pipeline makes them: greedy, by overlap, per shot.

Source: joonson/syncnet_python, run_pipeline.py (`track_shot`). The original removes a face from the list of a frame
while it walks through that list, so the face behind it is passed over until the next track; with several faces in a
frame this decides which track gets which face, and is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """What makes a track; the defaults are the published ones."""

    overlap: float = 0.5
    """A face joins a track if it overlaps the track's last face by more than this (intersection over union)."""
    gap: int = 25
    """Most frames between two faces of a track."""
    longer_than: int = 100
    """A track has more faces than this; LatentSync and the package `syncnet-python` take 50."""
    larger_than: float = 100.0
    """Pixels: the larger of a track's mean width and mean height."""


class Track(NamedTuple):
    """One face through a shot."""

    frames: NDArray[np.int64]
    """Shape (length,): consecutive frame numbers."""
    boxes: NDArray[np.float64]
    """Shape (length, 4): left, top, right, bottom in pixels; linear between frames where the face was found."""


class _Found(NamedTuple):
    frame: int
    box: NDArray[np.float64]


def track_faces(
    faces: Sequence[NDArray[np.float64]], first_frame: int = 0, settings: TrackSettings | None = None
) -> list[Track]:
    """Link the faces of one shot.

    Args:
        faces: For each frame of the shot the boxes found in it, shape (count, 4 or more), best first.
        first_frame: Number of the shot's first frame.
        settings: What makes a track.

    Returns:
        The tracks that are long and large enough, in the order in which they were found. A shot shorter than
        `longer_than` has none.
    """
    settings = settings or TrackSettings()
    if len(faces) < settings.longer_than:
        return []
    left = [[_Found(first_frame + i, box[:4]) for box in boxes] for i, boxes in enumerate(faces)]
    tracks = []
    while found := _follow(left, settings):
        if len(found) > settings.longer_than:
            track = _interpolated(found)
            if _size(track.boxes) > settings.larger_than:
                tracks.append(track)
    return tracks


def _follow(left: list[list[_Found]], settings: TrackSettings) -> list[_Found]:
    """Take the faces of one track out of `left`."""
    track: list[_Found] = []
    for faces in left:
        index = 0
        while index < len(faces):
            face = faces[index]
            if track and face.frame - track[-1].frame > settings.gap:
                break
            if not track or intersection_over_union(face.box, track[-1].box) > settings.overlap:
                track.append(faces.pop(index))
            # After a removal the next face has moved to `index`, and is passed over.
            index += 1
    return track


def _interpolated(found: list[_Found]) -> Track:
    known = np.array([face.frame for face in found])
    boxes = np.stack([face.box for face in found])
    # Two faces of one frame can belong to a track; numpy's interpolation, which scipy's uses, then takes the last.
    frames = np.arange(known[0], known[-1] + 1)
    columns = [np.interp(frames, known, boxes[:, side]) for side in range(4)]
    return Track(frames, np.stack(columns, axis=1))


def _size(boxes: NDArray[np.float64]) -> float:
    return float(max((boxes[:, 2] - boxes[:, 0]).mean(), (boxes[:, 3] - boxes[:, 1]).mean()))


def intersection_over_union(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the shared area of two boxes (left, top, right, bottom) as a share of their union."""
    across = min(first[2], second[2]) - max(first[0], second[0])
    down = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, across) * max(0.0, down)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return float(shared / (sum(areas) - shared))
