"""What a media file is, before all of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import MediaError
from thbench.media._container import MOV, audio_stream, constant_rate, declared_end, need_video, opened, prepare
from thbench.media._picture import (
    HDR_TRANSFERS,
    PRIMARIES,
    RANGES,
    SPACES,
    TRANSFERS,
    is_untagged,
    orientation,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from av.audio.frame import AudioFrame
    from av.container.input import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header and the first frame of a video say."""

    path: Path
    """The file."""
    codec: str
    """FFmpeg's name, e.g. `h264`."""
    pixel_format: str
    """FFmpeg's name, e.g. `yuv420p10le`."""
    width: int
    """Pixels, as displayed (after rotation)."""
    height: int
    """Pixels, as displayed (after rotation)."""
    rotation: int
    """Clockwise degrees by which the stored picture is turned for display: 0, 90, 180 or 270. Already applied to what
    `read_frames` gives."""
    average_rate: Fraction
    """Frames per second on average."""
    duration: float | None
    """Seconds from the first displayed frame to the end of the last one, as declared; None if the file does not say."""
    audio_codec: str | None
    """FFmpeg's name; None without audio."""
    audio_rate: int | None
    """Samples per second as stored; None without audio."""
    audio_channels: int | None
    """Channels as stored; None without audio."""
    audio_start: float | None
    """Seconds from the first displayed frame to the first sample; None without audio."""
    audio_duration: float | None
    """Seconds of sound, as declared; None without audio or where the file does not say."""
    color_range: str | None
    """`tv` (limited) or `pc` (full); None when untagged."""
    color_space: str | None
    """Matrix, e.g. `bt709`; None when untagged."""
    color_primaries: str | None
    """E.g. `bt709`; None when untagged."""
    color_transfer: str | None
    """E.g. `bt709`; None when untagged."""
    warnings: tuple[str, ...]
    """What a reader of numbers from this video should know, one sentence each."""


@dataclass(frozen=True, slots=True)
class _Sound:
    codec: str | None = None
    rate: int | None = None
    channels: int | None = None
    start: float | None = None
    duration: float | None = None


def probe(path: Path | str) -> VideoInfo:
    """Read the header and decode the first frame.

    Args:
        path: A video file.

    Raises:
        MediaError: The file is missing, a folder, empty, not a video, or its first frame cannot be decoded.
    """
    path = Path(path)
    with opened(path) as container:
        stream = need_video(path, container)
        frame = first_frame(path, container, stream)
        return _described(path, container, stream, frame)


def _described(path: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    start = frame_time(path, frame)
    end = declared_end(container, stream)
    rate = _average_rate(container, stream, None if end is None else end - start)
    if not rate:
        raise MediaError(f"{path} declares no frame rate and none can be measured; re-encode it with one")
    turn = orientation(path, frame)
    sound = _probe_sound(path, start)
    height, width = (frame.width, frame.height) if turn.transpose else (frame.height, frame.width)
    return VideoInfo(
        path=path,
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=frame.format.name,
        width=width,
        height=height,
        rotation=turn.degrees,
        average_rate=rate,
        duration=None if end is None else float(end - start),
        audio_codec=sound.codec,
        audio_rate=sound.rate,
        audio_channels=sound.channels,
        audio_start=sound.start,
        audio_duration=sound.duration,
        color_range=RANGES.get(frame.color_range),
        color_space=SPACES.get(frame.colorspace),
        color_primaries=PRIMARIES.get(frame.color_primaries),
        color_transfer=TRANSFERS.get(frame.color_trc),
        warnings=_warnings(stream, frame),
    )


def _average_rate(container: InputContainer, stream: VideoStream, duration: Fraction | None) -> Fraction | None:
    exact = constant_rate(container)
    if exact is not None:
        return exact
    if container.format.name == MOV and duration is not None and duration > 0:
        # FFmpeg's own average also counts what an edit list hides.
        shown = sum(not entry.is_discard for entry in stream.index_entries)
        if shown:
            return shown / duration
    return stream.average_rate or stream.guessed_rate


def first_frame(path: Path, container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Decode up to the first displayed frame.

    Raises:
        MediaError: There is none.
    """
    for frame in container.decode(stream):
        return frame
    raise MediaError(f"{path} has a video stream without any frame; export it again")


def frame_time(path: Path, frame: VideoFrame | AudioFrame) -> Fraction:
    """Return the time of a frame on the file's timeline, in seconds, exactly.

    Raises:
        MediaError: The file gives no times.
    """
    if frame.pts is None or not frame.time_base:
        raise MediaError(
            f"{path} has no timestamps; put the stream into a container first, e.g. ffmpeg -i IN -c copy OUT.mp4"
        )
    return frame.pts * frame.time_base


def _probe_sound(path: Path, video_start: Fraction) -> _Sound:
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return _Sound()
        frame: AudioFrame | None = next(iter(container.decode(prepare(path, stream))), None)
        if frame is None:
            return _Sound()
        start = frame_time(path, frame)
        end = declared_end(container, stream)
        return _Sound(
            codec=stream.codec_context.codec.canonical_name,
            rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            start=float(start - video_start),
            duration=None if end is None else float(end - start),
        )


def _warnings(stream: VideoStream, frame: VideoFrame) -> tuple[str, ...]:
    found = []
    if is_untagged(frame):
        found.append("colour matrix not tagged: read as BT.601, limited range unless tagged otherwise")
    transfer = TRANSFERS.get(frame.color_trc)
    if transfer in HDR_TRANSFERS:
        found.append(f"high dynamic range ({transfer}): read without tone mapping")
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        found.append(f"pixels are not square ({aspect.numerator}:{aspect.denominator}): read without stretching")
    if frame.interlaced_frame:
        found.append("interlaced: read without deinterlacing")
    return tuple(found)
