"""Writing videos: a lossless store for metrics, a small copy for people.

`lossless` is FFV1 version 3 in Matroska, every frame a key frame with a checksum in each slice, sound as 32-bit float
PCM: what comes back is bit for bit what went in, and a changed byte is noticed. On 512x512 talking-head frames it takes
half the space of lossless H.264 (libx264rgb, ultrafast) at 9 ms per frame. `view` is H.264 yuv420p with BT.709 tags and
AAC in MP4, which plays everywhere.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Self, cast

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from thbench.errors import MediaError, UsageError, did_you_mean
from thbench.media._container import CONSTANT_RATE_TAG, THREADS, reason
from thbench.media.resample import as_rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from av.audio.stream import AudioStream
    from av.container.output import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from thbench.types import Audio

Quality = Literal["lossless", "view"]


@dataclass(frozen=True, slots=True)
class _Encoding:
    codec: str
    pixel_format: str
    options: Mapping[str, str]
    audio_codec: str
    container: str
    """FFmpeg's name."""
    ending: str
    """Of the file name."""
    even: bool
    """Width and height must be even."""


_ENCODINGS: Mapping[str, _Encoding] = MappingProxyType(
    {
        "lossless": _Encoding(
            codec="ffv1",
            pixel_format="bgr0",
            options={"level": "3", "coder": "0", "context": "0", "g": "1", "slices": "4", "slicecrc": "1"},
            audio_codec="pcm_f32le",
            container="matroska",
            ending=".mkv",
            even=False,
        ),
        "view": _Encoding(
            codec="libx264",
            pixel_format="yuv420p",
            options={"crf": "18", "preset": "veryfast"},
            audio_codec="aac",
            container="mp4",
            ending=".mp4",
            even=True,
        ),
    }
)

AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Sample rates that AAC has (ISO/IEC 14496-3, table 1.18)."""

_PCM_BLOCK = 4096


class VideoWriter:
    """Writes frames one by one; the file appears under its name only once it is complete.

    Use as a context manager. Until the block ends without an exception the video grows under a hidden temporary name in
    the same folder; after an exception that file is removed.

    Example:
        >>> with VideoWriter("out.mkv", fps=25) as writer:  # doctest: +SKIP
        ...     for frame in frames:
        ...         writer.write(frame)
    """

    def __init__(
        self,
        path: Path | str,
        fps: float | Fraction,
        *,
        quality: Quality = "lossless",
        audio: Audio | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Check the request; nothing is written yet.

        Args:
            path: Where to write: `.mkv` for lossless, `.mp4` for view. An existing file is replaced.
            fps: Frames per second.
            quality: `lossless` for metrics, `view` for people. For view, odd sizes are made even by repeating the last
                column or row.
            audio: Sound that starts with the first frame; written at its own rate and length.
            size: Height and width of the frames; None takes those of the first.

        Raises:
            UsageError: Unknown quality, wrong file ending, bad frame rate.
            MediaError: Sound that cannot be written.
        """
        self._path = Path(path)
        self._rate = as_rate(fps)
        if quality not in _ENCODINGS:
            raise UsageError(f"unknown quality {quality!r}{did_you_mean(quality, _ENCODINGS)}")
        self._encoding = _ENCODINGS[quality]
        if self._path.suffix.lower() != self._encoding.ending:
            ending = self._encoding.ending
            raise UsageError(f"{self._path}: a {quality} video is written as {ending}; change the ending")
        self._audio = None if audio is None else _checked_audio(self._path, audio, self._encoding.audio_codec)
        self._size = size
        self._temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.part")
        self._mux: _Mux | None = None
        self._frames = 0

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._frames

    def __enter__(self) -> Self:
        """Make sure that the folder can be written to.

        Raises:
            MediaError: It cannot.
        """
        try:
            self._temporary.touch(exist_ok=False)
        except OSError as error:
            raise MediaError(
                f"cannot write to {self._path.parent} ({error.strerror}); create the folder or choose another"
            ) from error
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append one frame.

        Args:
            frame: Shape (height, width, 3), RGB, uint8; the same size each time.

        Raises:
            MediaError: The frame is not such an array, or cannot be written.
        """
        self._check_frame(frame)
        try:
            if self._mux is None:
                self._mux = _Mux(self._temporary, self._encoding, self._rate, frame, self._audio)
            self._mux.write(frame, self._frames)
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        self._frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, or remove what there is of it after an exception.

        Raises:
            MediaError: No frame was written, or the file cannot be finished.
        """
        try:
            if kind is None:
                self._finish()
            elif self._mux is not None:
                self._mux.abandon()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._mux is None:
            raise MediaError(f"{self._path}: no frames to write; a video needs at least one")
        try:
            self._mux.finish()
            self._temporary.replace(self._path)
        except (av.FFmpegError, OSError) as error:
            self._mux.abandon()
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> MediaError:
        return MediaError(
            f"{self._path} cannot be written ({reason(error)}) after {self._frames} frames; "
            "check the space on the disk and the path"
        )

    def _check_frame(self, frame: NDArray[np.uint8]) -> None:
        where = f"{self._path}: frame {self._frames}"
        if not isinstance(frame, np.ndarray):
            raise MediaError(f"{where} is a {type(frame).__name__}; give a numpy array (height, width, 3) of uint8")
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or min(frame.shape) < 2:
            raise MediaError(
                f"{where} has shape {frame.shape} and type {frame.dtype}; give (height, width, 3) of uint8, RGB, "
                "at least 2x2"
            )
        if self._size is None:
            self._size = (frame.shape[0], frame.shape[1])
        if frame.shape[:2] != tuple(self._size):
            raise MediaError(
                f"{where} is {frame.shape[1]}x{frame.shape[0]}, expected {self._size[1]}x{self._size[0]}; "
                "all frames of a video have one size"
            )


def write_video(
    path: Path | str,
    frames: Iterable[NDArray[np.uint8]],
    fps: float | Fraction,
    *,
    quality: Quality = "lossless",
    audio: Audio | None = None,
) -> int:
    """Write a whole video; see `VideoWriter`.

    Args:
        path: Where to write.
        frames: Arrays (height, width, 3), RGB, uint8, in order; may be a stream.
        fps: Frames per second.
        quality: `lossless` or `view`.
        audio: Sound that starts with the first frame.

    Returns:
        How many frames were written.

    Raises:
        MediaError: There are no frames, or they cannot be written.
        UsageError: Unknown quality, wrong file ending, bad frame rate.
    """
    with VideoWriter(path, fps, quality=quality, audio=audio) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.frames


class _Mux:
    """An open container with its encoders."""

    def __init__(
        self,
        temporary: Path,
        encoding: _Encoding,
        rate: Fraction,
        first: NDArray[np.uint8],
        audio: Audio | None,
    ) -> None:
        self._encoding = encoding
        self._rate = rate
        self._scaler = VideoReformatter()
        options = {}
        if encoding.container == "mp4":
            # Edit lists count in units of the movie; with the default of milliseconds lengths would be rounded.
            units = math.lcm(rate.numerator, audio.rate if audio is not None else 1)
            options = {"movflags": "+faststart", "movie_timescale": str(units)}
        self._container: OutputContainer = av.open(f"file:{temporary}", "w", format=encoding.container, options=options)
        if encoding.container == "matroska":
            self._container.metadata[CONSTANT_RATE_TAG] = f"{rate.numerator}/{rate.denominator}"
        self._video = self._add_video(first)
        self._sound = None if audio is None else _Sound(self._container, encoding.audio_codec, audio)

    def _add_video(self, first: NDArray[np.uint8]) -> VideoStream:
        options = dict(self._encoding.options)
        stream = cast("VideoStream", self._container.add_stream(self._encoding.codec, rate=self._rate, options=options))
        height, width = first.shape[:2]
        stream.height = height + height % 2 if self._encoding.even else height
        stream.width = width + width % 2 if self._encoding.even else width
        stream.pix_fmt = self._encoding.pixel_format
        context = stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = THREADS
        context.time_base = 1 / self._rate
        if self._encoding.even:
            context.color_range = ColorRange.MPEG
            context.colorspace = Colorspace.ITU709
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
        return stream

    def write(self, rgb: NDArray[np.uint8], index: int) -> None:
        """Encode one frame, and the sound up to its end."""
        frame = self._converted(rgb)
        frame.pts = index
        frame.time_base = 1 / self._rate
        self._container.mux(self._video.encode(frame))
        if self._sound is not None:
            self._sound.write_until(float((index + 1) / self._rate))

    def _converted(self, rgb: NDArray[np.uint8]) -> VideoFrame:
        if not self._encoding.even:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            return self._scaler.reformat(frame, format=self._encoding.pixel_format, threads=1)
        height, width = rgb.shape[:2]
        if height % 2 or width % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        return self._scaler.reformat(
            frame,
            format=self._encoding.pixel_format,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def finish(self) -> None:
        """Encode the rest of the sound and close the file."""
        self._container.mux(self._video.encode(None))
        if self._sound is not None:
            self._sound.finish()
        self._container.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        try:
            self._container.close()
        except (av.FFmpegError, OSError):
            return  # the file is about to be removed, and the error that led here is the one to report


class _Sound:
    """The sound track of a container, encoded in step with the picture so that players and muxer need not buffer."""

    def __init__(self, container: OutputContainer, codec: str, audio: Audio) -> None:
        self._container = container
        self._samples = np.ascontiguousarray(audio.samples, dtype=np.float32)
        self._rate = audio.rate
        self._done = 0
        self._stream = cast("AudioStream", container.add_stream(codec, rate=audio.rate, layout="mono"))
        if codec == "aac":
            self._stream.bit_rate = min(128_000, 6 * audio.rate)

    def write_until(self, time: float) -> None:
        """Encode whole blocks up to `time` seconds."""
        block = self._stream.codec_context.frame_size or _PCM_BLOCK
        while self._done + block <= min(len(self._samples), int(time * self._rate)):
            self._encode(block)

    def finish(self) -> None:
        """Encode what is left."""
        block = self._stream.codec_context.frame_size or _PCM_BLOCK
        while self._done < len(self._samples):
            self._encode(block)
        self._container.mux(self._stream.encode(None))

    def _encode(self, block: int) -> None:
        samples = self._samples[self._done : self._done + block]
        sample_format = self._stream.codec_context.format.name
        frame = av.AudioFrame.from_ndarray(samples[None], format=sample_format, layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._done
        frame.time_base = Fraction(1, self._rate)
        self._container.mux(self._stream.encode(frame))
        self._done += len(samples)


def _checked_audio(path: Path, audio: Audio, codec: str) -> Audio:
    samples = np.asarray(audio.samples)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating) or samples.size == 0:
        raise MediaError(
            f"{path}: the sound has shape {samples.shape} and type {samples.dtype}; give mono (n,) of float32, n > 0"
        )
    if not np.isfinite(samples).all():
        raise MediaError(f"{path}: the sound holds values that are not numbers; give samples in [-1, 1]")
    if codec == "aac" and audio.rate not in AAC_RATES:
        raise MediaError(f"{path}: AAC has no rate of {audio.rate} Hz; resample the sound to 16000 Hz")
    return audio
