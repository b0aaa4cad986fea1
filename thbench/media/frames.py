"""Reading the frames of a video.

What is guaranteed: every stored frame that is to be shown comes out once, in order, at its time, or a MediaError says
where the video breaks. Damage within a picture is noticed as far as the codec allows: FFV1 has checksums, H.264 and
MPEG-4 notice about nine of ten changed bytes, HEVC about half, VP9 hardly any.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

from thbench.errors import MediaError
from thbench.media._container import MOV, THREADS, constant_rate, declared_end, need_video, opened, reason
from thbench.media._ffv1 import has_checksums, is_intact
from thbench.media._ledger import Ledger
from thbench.media._picture import ToRgb, orientation
from thbench.media.info import frame_time
from thbench.media.resample import Shown, as_rate, hold

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import numpy as np
    from av.container.input import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_HOLD = 10
"""Longest time in seconds that one frame may stay on display. No talking head stands still for so long; times that say
so are damaged, and would turn a short clip into hours of repeated frames."""

MAX_DISAGREEMENT = Fraction(1, 2)
"""Largest difference in seconds between the times of the frames and the declared duration of an MP4 or MOV."""

ROUNDING = Fraction(2, 1000)
"""Matroska rounds times to milliseconds; in a video that thbench wrote they are no further off than this (seconds)."""


@dataclass(frozen=True, slots=True, eq=False)
class TimedFrame:
    """One frame on display."""

    index: int
    """Number, from 0."""
    time: float
    """Seconds from the first displayed frame."""
    rgb: NDArray[np.uint8]
    """Shape (height, width, 3), RGB, upright, C-contiguous; an array of its own."""


def read_frames(
    path: Path | str, fps: float | Fraction | None = None, *, threads: int = THREADS
) -> Generator[TimedFrame]:
    """Read a video frame by frame; memory does not grow with its length.

    The file is open until the generator is exhausted or closed; to stop early use
    `with contextlib.closing(read_frames(path)) as frames`.

    Args:
        path: A video file.
        fps: Frames per second to give: at each instant n / fps the frame on display then, `round(duration * fps)`
            frames in all (see `thbench.media.resample`). None gives the stored frames at their own times.
        threads: Decoder threads; the frames do not depend on it. 1 is best where as many processes as there are cores
            decode at once.

    Yields:
        The frames in display order. Time zero is the first displayed frame: edit lists are honoured, so frames that a
        cut left in the file only to decode others are not shown.

    Raises:
        MediaError: The file cannot be read, breaks midway or holds less than its header promises.
        UsageError: `fps` is not a frame rate.
    """
    path = Path(path)
    rate = None if fps is None else as_rate(fps)
    with opened(path) as container:
        stream = need_video(path, container, threads)
        stored = _Stored(path, container, stream).pictures()
        if rate is None:
            yield from _at_own_times(path, stored)
        else:
            yield from _at_rate(path, stored, rate)


def _at_own_times(path: Path, stored: Iterator[tuple[Shown, VideoFrame]]) -> Iterator[TimedFrame]:
    convert = _Converter(path)
    for index, (shown, frame) in enumerate(stored):
        yield TimedFrame(index, float(shown.start), convert(frame))


def _at_rate(path: Path, stored: Iterator[tuple[Shown, VideoFrame]], rate: Fraction) -> Iterator[TimedFrame]:
    convert = _Converter(path)
    for index, frame in hold(stored, rate):
        yield TimedFrame(index, float(index / rate), convert(frame))


class _Converter:
    """Converts frames to RGB and refuses a change of size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._to_rgb: ToRgb | None = None
        self._size = (0, 0)

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if self._to_rgb is None:
            self._to_rgb = ToRgb(self._path, orientation(self._path, frame))
            self._size = (frame.width, frame.height)
        elif (frame.width, frame.height) != self._size:
            raise MediaError(
                f"{self._path}: the picture changes from {self._size[0]}x{self._size[1]} to "
                f"{frame.width}x{frame.height} midway; split the video there or scale it to one size"
            )
        return self._to_rgb(frame)


class _Stored:
    """Decodes the stored frames of one video with their times."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self._constant_rate = constant_rate(container)
        self._checksums: bool | None = None
        self._count = 0
        self._zero: Fraction | None = None
        self._last = Shown(Fraction(0), Fraction(0))

    def pictures(self) -> Iterator[tuple[Shown, VideoFrame]]:
        """Yield each frame with its times, relative to the first one.

        Raises:
            MediaError: The video breaks here, or ends too early.
        """
        ledger = Ledger(self._path, self._container, self._stream)
        for frame in self._decoded(ledger):
            if frame.is_corrupt:
                raise self._broken("the next picture is damaged")
            self._last = self._display(frame)
            ledger.shown(frame.pts or 0, self._count, float(self._last.start))
            yield self._last, frame
            self._count += 1
        ledger.finished(self._count)
        self._check_duration()

    def _decoded(self, ledger: Ledger) -> Iterator[VideoFrame]:
        for packet in ledger.decodable():
            self._check_sum(packet)
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError as error:
                raise self._broken(reason(error)) from error
            yield from frames

    def _check_sum(self, packet: Packet[Stream]) -> None:
        context = self._stream.codec_context
        if context.name != "ffv1" or packet.size == 0:
            return
        data = bytes(packet)
        if self._checksums is None:
            self._checksums = bool(context.extradata_size) and has_checksums(data)
        if self._checksums and not is_intact(data):
            raise self._broken("a checksum is wrong")

    def _display(self, frame: VideoFrame) -> Shown:
        """Work out when a frame is on display."""
        moment = frame_time(self._path, frame)
        if self._zero is None:
            self._zero = moment
        start = moment - self._zero
        if self._constant_rate is not None:
            return self._on_grid(start, self._constant_rate)
        if start < self._last.start or start - self._last.start > MAX_HOLD:
            raise self._broken(f"the next picture is at {float(start):.3f} s")
        length = frame.duration * (frame.time_base or 0) or self._usual_length()
        if length > MAX_HOLD:
            raise self._broken(f"the next picture would be on display for {float(length):.0f} s")
        return Shown(start, self._cut(start, start + length))

    def _cut(self, start: Fraction, end: Fraction) -> Fraction:
        """An edit list may end within the last frame."""
        declared = self._declared_end()
        return end if declared is None or declared <= start else min(end, declared)

    def _declared_end(self) -> Fraction | None:
        """End relative to the first frame, where the file declares it for the edited video."""
        end = declared_end(self._container, self._stream)
        if end is None or self._zero is None or self._container.format.name != MOV:
            return None
        return end - self._zero

    def _on_grid(self, start: Fraction, rate: Fraction) -> Shown:
        exact = self._count / rate
        if abs(start - exact) > ROUNDING:
            raise self._broken(f"the next picture is at {float(start):.3f} s and not at {float(exact):.3f} s")
        return Shown(exact, exact + 1 / rate)

    def _usual_length(self) -> Fraction:
        rate = self._stream.average_rate or self._stream.guessed_rate
        if not rate:
            raise MediaError(f"{self._path} declares neither a frame rate nor how long its frames last; re-encode it")
        return 1 / rate

    def _check_duration(self) -> None:
        if self._zero is None:
            raise MediaError(f"{self._path} has a video stream without any frame; export it again")
        declared = self._declared_end()
        if declared is not None and abs(self._last.end - declared) > MAX_DISAGREEMENT:
            raise MediaError(
                f"{self._path}: its frames last {float(self._last.end):.3f} s, its header says "
                f"{float(declared):.3f} s; the file is damaged, export it again"
            )

    def _broken(self, why: str) -> MediaError:
        return MediaError(
            f"{self._path} breaks after {self._count} frames ({float(self._last.end):.3f} s): {why}; "
            "the file is damaged, copy or export it again"
        )
