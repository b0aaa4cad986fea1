"""Observes lip sync, head pose, blinks and landmarks with the mini networks, which need no file and no detector.

Frames are looked at many at a time; what was seen of a reference frame is shared by all rows. Frames that do not show a
head as synth-heads does count as frames without a face, and a video in which most do not has no values at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import CHUNK, PRESENT, look, picture
from thbench.backbones.mini.sync import lip_crops
from thbench.errors import MediaError
from thbench.faces.pose import head_pose_degrees, rotation_from_degrees
from thbench.metrics.blink import RATE, blink_values
from thbench.metrics.landmarks import FORMULAS, distance
from thbench.metrics.lip_stream import LipStream
from thbench.metrics.lse import FPS, SAMPLES_PER_FRAME, SyncValues, curve_features, scored
from thbench.metrics.observe_lse import FIELDS
from thbench.metrics.observer import Missing
from thbench.metrics.pose import pose_error, temporal_std
from thbench.metrics.series import Recorder, fill_rotation_gaps, unwrap_degrees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thbench.backbones.mini.face import MiniFace, Seen
    from thbench.backbones.mini.sync import MiniSync
    from thbench.backbones.syncnet import SyncNet
    from thbench.metrics.observer import ClipFacts, Features, Moment, Values, View

LANDMARKS = {"m-lmd/mini": "m-lmd/interocular", "f-lmd/mini": "f-lmd/interocular"}
"""Metric to the formula in `thbench.metrics.landmarks`."""
POSE_ERROR, POSE_DIVERSITY, BLINK_RATE = "apd/mini", "pose-div/mini", "blink-rate/mini"
SYNC = {f"{family}/mini": field for family, field in FIELDS.items()}
"""Metric to the field of the scores."""
OF_REFERENCE = frozenset({*LANDMARKS, POSE_ERROR})
"""Metrics that look at the reference too."""
LEAST_SHARE = 0.5
"""Share of the frames that must show a head."""
_MOVES = 3 + 1
"""Numbers of a row that follow the landmarks: pose, and closure of the lids."""


class Glance:
    """One frame at 128 px and, once it was looked at, what was seen: landmarks, pose, closure of the lids."""

    __slots__ = ("frame", "row")

    def __init__(self, frame: NDArray[np.uint8]) -> None:
        self.frame = frame
        self.row: NDArray[np.float64] | None = None
        """Shape (140,); NaN where there is no head."""


class Track(NamedTuple):
    """How the head of a video moves; NaN in frames without a head."""

    rotations: NDArray[np.float64]
    """Shape (frames, 3, 3)."""
    opening: NDArray[np.float64]
    """Of the lids, shape (frames,): 1 open, 0 shut."""


def track_of(rows: NDArray[np.float64]) -> Track:
    """Take rows (frames, 140), or the last four numbers of each, apart."""
    return Track(rotation_from_degrees(rows[:, -4:-1]), 1.0 - rows[:, -1])


class LongestStretch:
    """Embeds the lips of consecutive frames with a head and keeps the longest stretch."""

    def __init__(self, network: MiniSync) -> None:
        # The mini network has the methods of the published one, so that the code of the published protocols scores it.
        self.network = cast("SyncNet", network)
        self.best: tuple[int, LipStream] | None = None
        """First frame, and the lips."""
        self._current: tuple[int, LipStream] | None = None

    def add(self, index: int, crop: NDArray[np.uint8] | None) -> None:
        """Take in the lips of the next frame; None where there is no head."""
        if crop is None:
            self._current = None
            return
        if self._current is None:
            self._current = index, LipStream(self.network)
        self._current[1].add(crop)
        if self.best is None or self._current[1].frames > self.best[1].frames:
            self.best = self._current

    def finish(self, audio: NDArray[np.int16]) -> SyncValues:
        """Score the longest stretch.

        Raises:
            MediaError: There is none, or it is too short.
        """
        if self.best is None:
            raise MediaError("no frame shows a head")
        start, lips = self.best
        sound = audio[start * SAMPLES_PER_FRAME : (start + lips.frames) * SAMPLES_PER_FRAME]
        return scored(self.network, lips, sound)


class MiniObserver:
    """Looks at every frame of the video, and of its reference where a metric compares them."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._network = loaded.face()
        self._lips = LongestStretch(loaded.sync()) if wanted & SYNC.keys() else None
        self._compares = bool(wanted & OF_REFERENCE)
        self._waiting: list[tuple[Glance, Glance | None]] = []
        # Landmarks of a long video would take more memory than all else: of them, only distances are kept.
        self._distances = {name: Recorder(1) for name in sorted(wanted & LANDMARKS.keys())}
        self._generated = Recorder(_MOVES)
        self._reference = Recorder(_MOVES)
        self._frames = 0
        self._sync: SyncValues | Missing = Missing("not asked for")

    def observe(self, moment: Moment) -> None:
        """Take in the frames of a moment."""
        theirs = moment.reference if self._compares else None
        self._waiting.append((glance_at(moment.generated), None if theirs is None else glance_at(theirs)))
        if len(self._waiting) == CHUNK:
            self._flush()

    def values(self, clip: ClipFacts) -> Values:
        """Return the values asked for."""
        self._flush()
        rows = self._generated.rows()
        share = float(np.isfinite(rows).all(axis=1).mean()) if len(rows) else 0.0
        if share < LEAST_SHARE:
            lack = Missing(f"{share:.0%} of the frames show a head as synth-heads does; these networks know no other")
            return dict.fromkeys(self._wanted, lack)
        ours, theirs = track_of(rows), track_of(self._reference.rows())
        if self._lips is not None:
            self._sync = self._scored(clip)
        return {name: self._value(name, ours, theirs, clip) for name in self._wanted}

    def features(self, clip: ClipFacts) -> Features:
        """Return the distances of lips and sound at each shift, once values were asked for: reports draw them."""
        return curve_features({"mini": self._sync})

    def _flush(self) -> None:
        look_at([glance for pair in self._waiting for glance in pair if glance is not None], self._network)
        for ours, theirs in self._waiting:
            row = _known(ours.row)
            other = None if theirs is None else _known(theirs.row)
            self._generated.add(None if row is None else row[-_MOVES:])
            self._reference.add(None if other is None else other[-_MOVES:])
            for name, recorder in self._distances.items():
                pair = None if row is None or other is None else (_landmarks(row), _landmarks(other))
                recorder.add(None if pair is None else [landmark_distance(name, *pair)])
            if self._lips is not None:
                crop = None if row is None else lip_crops([ours.frame], _landmarks(row)[None])[0]
                self._lips.add(self._frames, crop)
            self._frames += 1
        self._waiting.clear()

    def _value(self, name: str, ours: Track, theirs: Track, clip: ClipFacts) -> float | Missing:
        if name in SYNC:
            return self._sync if isinstance(self._sync, Missing) else float(getattr(self._sync, SYNC[name]))
        if name in OF_REFERENCE:
            if clip.reference is None:
                return Missing("no reference video")
            found = pose_difference(ours, theirs) if name == POSE_ERROR else known_mean(self._distances[name].rows())
            return found if np.isfinite(found) else Missing("no instant in which both videos show a head")
        if name == BLINK_RATE:
            return blink_values(ours.opening, clip.fps)[RATE]
        spread = pose_diversity(ours)
        return spread if np.isfinite(spread) else Missing("needs 2 frames with a head")

    def _scored(self, clip: ClipFacts) -> SyncValues | Missing:
        if self._lips is None or clip.generated.read_int16 is None:
            return Missing("no sound track")
        if clip.fps != FPS:
            return Missing(f"SyncNet takes {FPS} frames per second, this evaluation has {clip.fps:g}; use --fps {FPS}")
        try:
            return self._lips.finish(clip.generated.read_int16())
        except MediaError as error:
            return Missing(str(error))


def glance_at(view: View) -> Glance:
    """The frame at 128 px; the same object for every row that sees it."""
    return view.once("mini-face", lambda: Glance(picture(view.rgb)))


def look_at(glances: Sequence[Glance], network: MiniFace) -> None:
    """Look at all frames that nobody has looked at."""
    fresh = list({id(glance): glance for glance in glances if glance.row is None}.values())
    if not fresh:
        return
    for glance, row in zip(fresh, rows_of(look(network, np.stack([g.frame for g in fresh]))), strict=True):
        glance.row = row


def rows_of(seen: Seen) -> NDArray[np.float64]:
    """Landmarks, pose and closure of the lids of each frame, shape (frames, 140); NaN where there is no head."""
    landmarks = seen.landmarks.reshape(len(seen.landmarks), -1)
    rows = np.concatenate((landmarks, seen.pose, seen.blink[:, None]), axis=1).astype(np.float64)
    rows[seen.presence < PRESENT] = np.nan
    return rows


def _known(row: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if row is None or not np.isfinite(row).all() else row


def _landmarks(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """The landmarks of a row, shape (68, 2), pixels at 128."""
    return row[:-_MOVES].reshape(68, 2)


def pose_difference(ours: Track, theirs: Track) -> float:
    """Mean absolute difference of yaw, pitch and roll, degrees."""
    return pose_error(ours.rotations, theirs.rotations).angles


def pose_diversity(track: Track) -> float:
    """Mean over yaw, pitch and roll of their standard deviation over time, degrees."""
    angles = unwrap_degrees(head_pose_degrees(fill_rotation_gaps(track.rotations)))
    return float(temporal_std(angles).mean())


def landmark_distance(name: str, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """The distance of a metric in `LANDMARKS` for one frame, in inter-ocular distances of the reference.

    Args:
        name: The metric.
        ours: Shape (68, 2).
        theirs: Of the reference.
    """
    return float(distance(FORMULAS[LANDMARKS[name]], ours, theirs))


def known_mean(distances: NDArray[np.float64]) -> float:
    """Mean of the distances that are finite; NaN where there is none."""
    known = distances[np.isfinite(distances)]
    return float(known.mean()) if known.size else float("nan")
