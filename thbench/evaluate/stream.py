"""One video, seen once: frames at the evaluation rate, their faces, and the facts at the end."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from thbench.errors import MediaError
from thbench.media import iter_audio, probe, read_frames
from thbench.metrics.observer import VideoFacts, View
from thbench.metrics.sound import Sound, analyse, to_int16

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.faces import FaceTracker
    from thbench.faces.face import Face


class VideoStream:
    """Frames of one video at a constant rate, in order, each with its face.

    Memory does not grow with the length of the video.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        *,
        tracker: FaceTracker | None,
        with_sound: bool,
        new_view: Callable[[NDArray[np.uint8], Face | None], View] = View,
    ) -> None:
        """Open a video.

        Args:
            path: The video file.
            fps: Instants per second; frames are chosen by their timestamps.
            tracker: Finds faces, fresh for this video; None when no metric reads faces.
            with_sound: Whether to analyse the sound track.
            new_view: Makes the view of a frame and its face; for equal ones it may give one that it gave before.

        Raises:
            MediaError: The file cannot be read as a video.
        """
        self.path = path
        self.fps = fps
        self.info = probe(path)
        self.sound = sound_of(path) if with_sound and self.info.audio_codec else None
        self.seen = 0
        self.error: MediaError | None = None
        self._tracker = tracker
        self._new_view = new_view
        self._views = self._read(fps)

    def _read(self, fps: float) -> Generator[View, None, None]:
        for frame in read_frames(self.path, fps):
            yield self._new_view(frame.rgb, self._tracker.find(frame.rgb) if self._tracker else None)

    def next(self) -> View | None:
        """Return the next view, or None at the end or after the stream broke (see `error`)."""
        try:
            view = next(self._views, None)
        except MediaError as error:
            self.error = error
            return None
        if view is not None:
            self.seen += 1
        return view

    def close(self) -> None:
        """Close the file."""
        self._views.close()

    @property
    def duration(self) -> float:
        """Seconds of picture as declared, or as seen so far where the file does not say."""
        return self.seen / self.fps if self.info.duration is None else self.info.duration

    @property
    def faces_missing(self) -> int:
        """Instants seen so far without a face."""
        return self._tracker.missing if self._tracker else 0

    @property
    def faces_failed(self) -> bool:
        """Whether the policy for missing faces fails this video."""
        return self._tracker.failed if self._tracker else False

    def facts(self) -> VideoFacts:
        """What is known of the video; `frames` counts the instants seen so far."""
        info = self.info
        return VideoFacts(
            width=info.width,
            height=info.height,
            frames=self.seen,
            duration=self.duration,
            sound=self.sound,
            audio_start=info.audio_start or 0.0,
            audio_duration=info.audio_duration,
            faces_missing=self.faces_missing,
            read_int16=None if self.sound is None else self._int16,
        )

    @cached_property
    def _samples(self) -> NDArray[np.int16]:
        # Block by block, and never twice: the sound of a long video takes as much memory as all else.
        samples = bytearray()
        for block in iter_audio(self.path):
            samples += to_int16(block).tobytes()
        return np.frombuffer(samples, np.int16)

    def _int16(self) -> NDArray[np.int16]:
        return self._samples


def sound_of(path: Path) -> Sound:
    """Analyse the sound track of a file as a stream."""
    return analyse(iter_audio(path))
