"""The contract between the one-pass engine and the metrics.

The engine decodes each video once, finds its faces once, and shows every moment to every observer. An observer keeps
only what its sufficient statistics need (a few numbers per frame at most, so that memory does not grow with pixels) and
ends with values. The mathematics lives in pure functions beside the observers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

import cv2
import numpy as np

from thbench.errors import MediaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.faces.face import Face
    from thbench.metrics.sound import Sound


T = TypeVar("T")


class View:
    """One frame of one video."""

    def __init__(self, rgb: NDArray[np.uint8], face: Face | None = None) -> None:
        """Take in a frame.

        Args:
            rgb: Shape (height, width, 3), uint8.
            face: Its face.

        Raises:
            MediaError: The frame holds other numbers, which may be NaN: no metric says what it would make of them.
        """
        if rgb.dtype != np.uint8:
            broken = int(np.count_nonzero(~np.isfinite(rgb)))
            raise MediaError(
                f"frames hold integers from 0 to 255 (uint8); this one holds {rgb.dtype}"
                + (f", {broken} of {rgb.size} values NaN or infinite" if broken else "")
                + "; round its pixels first"
            )
        self._made: dict[str, Any] = {}
        self.rgb = rgb
        """Shape (height, width, 3), RGB."""
        self.face = face
        """The face of this frame; None when there is none or no metric asked for faces."""

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """Luma (height, width), BT.601 weights rounded to integers, as OpenCV's RGB2GRAY; shared by all observers."""
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return what `make` returned when it was first called for this frame and key; shared by all observers.

        A reference frame is seen by the observers of every row, so that what is costly is made once.
        """
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to see at one instant."""

    index: int
    """Number of the instant, from 0; instants are 1 / fps apart."""
    generated: View
    """The video being scored."""
    reference: View | None
    """Its reference at the same instant; None without reference, and beyond its end. The same object as `generated` in
    the ground-truth row."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What is known of one video once it has been read to its end."""

    width: int
    """Pixels, after rotation."""
    height: int
    """Pixels, after rotation."""
    frames: int
    """Instants at the evaluation rate."""
    duration: float
    """Seconds from the first frame to the end of the last one, by the file's own timestamps."""
    sound: Sound | None
    """The analysed sound track, time zero at the first video frame; None if the file has none."""
    audio_start: float = 0.0
    """Seconds from the first video frame to the first audio sample, by the file's own timestamps."""
    audio_duration: float | None = None
    """Seconds of the sound track by its own timestamps."""
    faces_missing: int = 0
    """Instants in which no face was found."""
    read_int16: Callable[[], NDArray[np.int16]] | None = None
    """Reads the sound itself, 16 kHz mono, 16-bit, time zero at the first video frame; None if the file has none."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What observers may need at the end beside what they saw."""

    fps: float
    """Instants per second."""
    generated: VideoFacts
    """The video being scored."""
    reference: VideoFacts | None
    """Its reference."""
    other_sounds: tuple[Sound, ...] = ()
    """Sound of other clips of the dataset, for chance levels."""
    seed: int = 0
    """Seed for anything drawn at random."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a metric has no value for a clip; never a zero."""

    reason: str
    """A few words for people, e.g. `no sound track`."""


Values = Mapping[str, "float | Missing"]
"""Metric name to its value or the reason why there is none."""


Features = Mapping[str, "NDArray[np.float32] | Missing"]
"""Extractor to the features of one video, shape (n, d), or the reason why there are none."""


@runtime_checkable
class FeatureObserver(Protocol):
    """An observer that ends with features, of which metrics of sets of videos or reports are made."""

    def observe(self, moment: Moment) -> None:
        """Take in one moment."""
        ...

    def features(self, clip: ClipFacts) -> Features:
        """Return the features of the video by extractor."""
        ...


@runtime_checkable
class Observer(Protocol):
    """Sees the moments of one clip in order, then gives values for the metrics that it was made for."""

    def observe(self, moment: Moment) -> None:
        """Take in one moment. Moments come in order; those beyond the end of the generated video never come."""
        ...

    def values(self, clip: ClipFacts) -> Values:
        """Return one entry for each metric name the observer was created with."""
        ...
