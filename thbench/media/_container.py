"""Opening files: the one place that turns FFmpeg's failures into sentences, and what a container promises to hold."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

import av
from av.audio.stream import AudioStream
from av.container.core import Flags
from av.stream import Disposition
from av.video.stream import VideoStream

from thbench.errors import MediaError
from thbench.media._layout import missing_from_matroska, missing_from_mp4, missing_from_wav
from thbench.media._mp4 import table_fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container.input import InputContainer

StreamT = TypeVar("StreamT", VideoStream, AudioStream)

MOV = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"
AVI = "avi"
WAV = "wav"
FLAC = "flac"

CONSTANT_RATE_TAG = "THBENCH_CONSTANT_RATE"
"""Tag of the Matroska files that thbench writes: frame n is at exactly n / rate. Matroska rounds times to milliseconds
and has no list of its frames; with this tag times are exact and a lost frame is noticed."""

THREADS = 4
"""Decoder threads. Whole frames in parallel, or one thread, never parts of a frame in parallel: of 95 clips with
changed bytes FFmpeg's H.264 decoder (8.1) flags 91 either way, but only 69 with threads that share a frame."""

MAX_PIXELS = 1 << 26
"""Largest picture that is decoded, 8192 x 8192: a damaged header must not ask for all the memory there is."""

_STILL = re.compile(r"_pipe$|^image2|^tty$|^alias_pix")
"""Names of FFmpeg's demuxers that show a picture file or a text as a video of one frame."""
_CONCEALING = frozenset({"h264", "mpeg4"})
"""Decoders that flag each picture they had to repair, so that aborting on any oddity is not needed."""


def decoder_version() -> str:
    """Return name and version of what decodes, for records.

    Example:
        >>> decoder_version().startswith("PyAV ")
        True
    """
    parts = (f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec", "libswscale"))
    return f"PyAV {av.__version__} ({', '.join(parts)})"


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a media file; whatever FFmpeg raises inside the block becomes a MediaError.

    Raises:
        MediaError: The file is missing, a folder, empty, not readable or not media.
    """
    _check_file(path)
    try:
        # "file:" keeps a name with a colon from being taken for a protocol.
        container = av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise MediaError(
            f"{path} is not a video or audio file that can be read ({reason(error)}); "
            "check that it is complete and play it once, or export it again"
        ) from error
    with container:
        if _STILL.search(container.format.name):
            raise MediaError(f"{path} is a still picture or a text, not a video; give a media file such as mp4 or wav")
        _check_whole(path, container.format.name)
        container.flags |= cast("int", Flags.gen_pts.value)
        try:
            yield container
        except av.FFmpegError as error:
            raise MediaError(
                f"{path} cannot be decoded ({reason(error)}); the file is damaged or not supported, export it again"
            ) from error


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder; give the path of one video or audio file")
        if not path.exists():
            raise MediaError(f"{path} does not exist; check the path")
        if not path.is_file():  # opening a pipe would wait for ever
            raise MediaError(f"{path} is a device or pipe; give the path of one video or audio file")
        if path.stat().st_size == 0:
            raise MediaError(f"{path} is empty (0 bytes); copy or export it again")
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read (permission denied); change its permissions")


def _check_whole(path: Path, form: str) -> None:
    measure = {MOV: missing_from_mp4, MATROSKA: missing_from_matroska, WAV: missing_from_wav}.get(form)
    missing = 0 if measure is None else measure(path)
    if missing:
        raise MediaError(f"{path} is cut short: its last {missing} bytes are missing; copy or export it again")
    fault = table_fault(path) if form == MOV else None
    if fault:
        raise MediaError(f"{path}: {fault}; the file is damaged, copy or export it again")


def reason(error: BaseException) -> str:
    """Return FFmpeg's words for an error, without its number and call."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the moving picture of a container, ready to decode; cover art is none."""
    best = container.streams.best("video")
    candidates = ([best] if isinstance(best, VideoStream) else []) + list(container.streams.video)
    for stream in candidates:
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails):
            return stream
    return None


def audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the sound track of a container that players choose."""
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) else None


def prepare(path: Path, stream: StreamT, threads: int = THREADS) -> StreamT:
    """Set up the decoder of a stream: threads, and as much checking as the codec offers.

    Raises:
        MediaError: There is no decoder for this codec.
    """
    context = stream.codec_context
    if context is None:
        raise MediaError(
            f"{path} uses a {stream.type} codec that is not supported; convert it, e.g. ffmpeg -i IN OUT.mp4"
        )
    context.thread_type = "FRAME"
    context.thread_count = threads
    checks = "crccheck+bitstream+buffer" + ("" if context.name in _CONCEALING else "+explode")
    context.options = {"err_detect": checks, "max_pixels": str(MAX_PIXELS)}
    return stream


def need_video(path: Path, container: InputContainer, threads: int = THREADS) -> VideoStream:
    """Return the video stream, ready to decode.

    Raises:
        MediaError: There is none.
    """
    stream = video_stream(container)
    if stream is None:
        raise MediaError(f"{path} has no video stream; give a file with moving pictures")
    return prepare(path, stream, threads)


def declared_end(container: InputContainer, stream: VideoStream | AudioStream) -> Fraction | None:
    """Return where the container says that a stream ends, in seconds on the file's timeline; None if it does not."""
    if stream.duration is not None and stream.duration > 0 and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    if container.format.name == MATROSKA:
        return _seconds(stream.metadata.get("DURATION", ""))
    return None


def declared_whole_end(container: InputContainer) -> Fraction | None:
    """Return where a Matroska file says that its longest stream ends, in seconds on its timeline.

    None for other files: there FFmpeg derives the total from the streams.
    """
    if container.format.name != MATROSKA or container.duration is None or container.duration <= 0:
        return None
    return Fraction(container.duration, av.time_base)


def constant_rate(container: InputContainer) -> Fraction | None:
    """Return the exact frame rate of a video that thbench wrote; None for any other."""
    match = re.fullmatch(r"(\d{1,7})/(\d{1,7})", container.metadata.get(CONSTANT_RATE_TAG, ""))
    if match is None or int(match[1]) == 0 or int(match[2]) == 0:
        return None
    return Fraction(int(match[1]), int(match[2]))


def _seconds(text: str) -> Fraction | None:
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text.strip("\x00 "))
    if match is None:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
