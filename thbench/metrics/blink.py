"""Blinks from the opening of the eyelids.

An eye's opening is the eye aspect ratio of Soukupova and Cech, "Real-time eye blink detection using facial landmarks",
2016; a blink is a short dip of the mean of both eyes below a share of its own running baseline, so that neither the
shape of the eyes nor a squint nor a smile matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.metrics.observer import Missing
from thbench.metrics.series import Recorder, Run, fill_short_gaps, runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

RIGHT_EYE, LEFT_EYE = (33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380)
"""Corner, upper lid twice, other corner, lower lid twice, from the left of the image: 36-41 and 42-47 of the 68."""

BASELINE_SECONDS = 2.0
"""Length of the window in which the baseline is taken, centred and cut at the ends."""
BASELINE_PERCENTILE = 90.0
"""Percentile of the opening in that window."""
CLOSED_SHARE = 0.6
"""Share of the baseline below which the eyes are closed."""
RULE_FPS = 25.0
"""Rate at which the following numbers of frames are meant; they are scaled to the rate at hand and rounded."""
SHORTEST_FRAMES, LONGEST_FRAMES, MERGED_GAP_FRAMES = 2, 12, 2
"""A blink lasts 80 to 480 ms; closures at most 80 ms apart are one."""
LEAST_SECONDS = BASELINE_SECONDS
"""Shortest time in which blinks are counted: the window of the baseline."""

RATE, DURATION = "blink-rate", "blink-duration"


class Blink(NamedTuple):
    """One blink."""

    frames: Run
    """Frames in which the eyes are closed."""
    whole: bool
    """Whether both closing and opening were seen, i.e. it touches neither an end nor a gap."""


def eye_opening(points: NDArray[np.floating]) -> float:
    """Mean eye aspect ratio of both eyes: mean gap of two pairs of lid points over the eye's width, in 3-D.

    Args:
        points: Face mesh, shape (478, 3).

    Returns:
        About 0.3 for open eyes, 0 for closed ones; NaN for a collapsed face.
    """
    ratios = []
    for left, upper_a, upper_b, right, lower_b, lower_a in (RIGHT_EYE, LEFT_EYE):
        lids = _distance(points, upper_a, lower_a) + _distance(points, upper_b, lower_b)
        width = _distance(points, left, right)
        ratios.append(lids / (2 * width) if width > 0 else np.nan)
    return float(np.mean(ratios))


def running_baseline(opening: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """90th percentile of the opening within one second either way.

    Args:
        opening: Shape (frames,); NaN where missing.
        fps: Frames per second.

    Returns:
        Shape (frames,); linear interpolation between ranks; NaN where the whole window is missing.
    """
    reach = max(1, round(BASELINE_SECONDS * fps / 2))
    padded = np.pad(opening, reach, constant_values=np.nan)
    ranked = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)  # NaN sorts last
    known = np.isfinite(ranked).sum(axis=1)
    rank = np.maximum(known - 1, 0) * BASELINE_PERCENTILE / 100
    below = rank.astype(np.int64)
    above = np.minimum(below + 1, np.maximum(known - 1, 0))
    rows = np.arange(len(opening))
    lower, upper = ranked[rows, below], ranked[rows, above]
    return np.asarray(lower + (rank - below) * (upper - lower))


def blinks(opening: NDArray[np.float64], fps: float) -> list[Blink]:
    """Find the blinks.

    Args:
        opening: `eye_opening` by frame, shape (frames,); NaN where missing. Gaps of at most five frames are
            interpolated.
        fps: Frames per second.
    """
    filled = fill_short_gaps(opening)
    with np.errstate(invalid="ignore"):
        closed = filled < CLOSED_SHARE * running_baseline(filled, fps)
    seen = np.isfinite(filled)
    shortest, longest, gap = (_scaled(n, fps) for n in (SHORTEST_FRAMES, LONGEST_FRAMES, MERGED_GAP_FRAMES))
    merged = _merged(runs(closed), seen, gap)
    fitting = [run for run in merged if shortest <= run.stop - run.start <= longest]
    return [Blink(run, _is_whole(run, seen)) for run in fitting]


class BlinkObserver:
    """Keeps the opening of the eyes per frame."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names
        self._opening = Recorder(1)

    def observe(self, moment: Moment) -> None:
        """Measure the eyes."""
        face = moment.generated.face
        self._opening.add(None if face is None else (eye_opening(face.points.astype(np.float64)),))

    def values(self, clip: ClipFacts) -> Values:
        """Return the values asked for."""
        values = blink_values(self._opening.rows()[:, 0], clip.fps)
        return {name: values[name] for name in self._names}


def blink_values(opening: NDArray[np.float64], fps: float) -> Mapping[str, float | Missing]:
    """Blinks per second and their mean duration.

    Args:
        opening: Of the eyes by frame, shape (frames,), in any unit; NaN where missing.
        fps: Frames per second.
    """
    seconds = float(np.count_nonzero(np.isfinite(fill_short_gaps(opening)))) / fps
    if seconds < LEAST_SECONDS:
        lack = Missing(f"{seconds:.2f} s with a face; needs {LEAST_SECONDS:g} s") if seconds else NO_FACE
        return {RATE: lack, DURATION: lack}
    found = blinks(opening, fps)
    lengths = [run.stop - run.start for run, whole in found if whole]
    return {
        RATE: len(found) / seconds,
        DURATION: float(np.mean(lengths)) / fps * 1000 if lengths else Missing("no whole blink"),
    }


NO_FACE = Missing("no face in any frame")


def _merged(closures: list[Run], seen: NDArray[np.bool_], gap: int) -> list[Run]:
    """Join closures at most `gap` frames apart, unless a frame between them was not seen."""
    joined: list[Run] = []
    for run in closures:
        if joined and run.start - joined[-1].stop <= gap and seen[joined[-1].stop : run.start].all():
            joined[-1] = Run(joined[-1].start, run.stop)
        else:
            joined.append(run)
    return joined


def _is_whole(run: Run, seen: NDArray[np.bool_]) -> bool:
    return run.start > 0 and run.stop < len(seen) and bool(seen[run.start - 1] and seen[run.stop])


def _scaled(frames: int, fps: float) -> int:
    return max(1, round(frames * fps / RULE_FPS))


def _distance(points: NDArray[np.floating], a: int, b: int) -> float:
    return float(np.linalg.norm(points[a] - points[b]))
