"""One video, seen once: frames at the evaluation rate, their faces, and the facts at the end."""

from __future__ import annotations

from concurrent.futures import wait
from contextlib import closing
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from thbench.errors import MediaError
from thbench.media import iter_audio, probe, read_audio, read_frames
from thbench.metrics.observer import VideoFacts, View
from thbench.metrics.sound import Sound, analyse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from thbench.faces import FaceTracker
    from thbench.faces.face import Face


_Found = tuple["NDArray[np.uint8]", "Face | None", int, bool]
ItemT = TypeVar("ItemT")


def ahead(items: Iterator[ItemT], reader: Executor) -> Generator[ItemT, None, None]:
    """Yield what an iterator gives, while a thread already asks it for the next.

    When this generator is closed the thread has left the iterator; an error of the iterator is raised here in its turn.
    """
    coming = reader.submit(lambda: [*islice(items, 1)])
    try:
        while found := coming.result():
            coming = reader.submit(lambda: [*islice(items, 1)])
            yield from found
    finally:
        coming.cancel()
        wait([coming])


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
        reader: Executor | None = None,
    ) -> None:
        """Open a video.

        Args:
            path: The video file.
            fps: Instants per second; frames are chosen by their timestamps.
            tracker: Finds faces, fresh for this video; None when no metric reads faces.
            with_sound: Whether to analyse the sound track.
            new_view: Makes the view of a frame and its face; for equal ones it may give one that it gave before.
            reader: A thread that finds the next frame and its face while metrics work on the last; None to find them
                when they are asked for. It is shared by streams whose trackers share a detector.

        Raises:
            MediaError: The file cannot be read as a video.
        """
        self.path = path
        self.fps = fps
        self.info = probe(path)
        self.sound = sound_of(path) if with_sound and self.info.audio_codec else None
        self.seen = 0
        self.error: MediaError | None = None
        self.faces_missing = 0
        """Instants seen so far without a face."""
        self.faces_failed = False
        """Whether the policy for missing faces fails this video."""
        self._tracker = tracker
        self._new_view = new_view
        self._views = self._read(fps, reader)

    def _read(self, fps: float, reader: Executor | None) -> Generator[View, None, None]:
        with closing(self._find(fps)) as found:
            for rgb, face, self.faces_missing, self.faces_failed in ahead(found, reader) if reader else found:
                yield self._new_view(rgb, face)

    def _find(self, fps: float) -> Generator[_Found, None, None]:
        """Find faces; with each frame, what is known of all faces until then."""
        tracker = self._tracker
        for frame in read_frames(self.path, fps):
            face = tracker.find(frame.rgb) if tracker else None
            yield frame.rgb, face, tracker.missing if tracker else 0, tracker.failed if tracker else False

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
            read_samples=None if self.sound is None else self._samples,
        )

    @cached_property
    def _all_samples(self) -> NDArray[np.float32]:
        return read_audio(self.path).samples

    def _samples(self) -> NDArray[np.float32]:
        return self._all_samples


def sound_of(path: Path) -> Sound:
    """Analyse the sound track of a file as a stream."""
    return analyse(iter_audio(path))
