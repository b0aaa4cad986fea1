"""The lossy steps of published pipelines, with the encoders and the settings that they use.

The SyncNet pipeline writes a video as MPEG-4, its frames as JPEG, face crops as Xvid, and their frames as JPEG once
more; its sound goes through MP3. Its numbers depend on these steps; here they are done on purpose, or not at all, and
without the file containers between them, which shift sound and picture against each other. Source:
joonson/syncnet_python, run_pipeline.py and SyncNetInstance.py (their ffmpeg commands).
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
from av.codec.context import CodecContext

from thbench.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.audio.frame import AudioFrame
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

FINE = 2
"""Quantiser of `-qscale:v 2`."""


class Mpeg4:
    """Sends frames, one after another, through an encoder and a decoder of MPEG-4 part 2.

    The decoder may hold a frame back until the next one comes.
    """

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._encoder: VideoCodecContext | None = None
        self._decoder = CodecContext.create("mpeg4", "r")
        self._count = 0

    def add(self, rgb: NDArray[np.uint8]) -> Iterator[VideoFrame]:
        """Take in a frame (height, width, 3); yield those that come out."""
        if self._encoder is None:
            self._encoder = _encoder("mpeg4", "yuv420p", rgb.shape[1], rgb.shape[0], self._fps, FINE)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format="yuv420p")
        yield from self._through(_timed(frame, self._count, self._fps))
        self._count += 1

    def finish(self) -> Iterator[VideoFrame]:
        """Yield the frames that are left."""
        if self._encoder is not None:
            yield from self._through(None)
            yield from self._decoder.decode(None)

    def _through(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        for packet in self._encoder.encode(frame) if self._encoder else ():
            yield from self._decoder.decode(packet)


class Jpeg:
    """Sends frames, one after another, through FFmpeg's JPEG encoder and OpenCV's reader."""

    def __init__(self, fps: int, quantiser: int | None = None) -> None:
        """Make an encoder.

        Args:
            fps: Frames per second, which the rate control of the default quality goes by.
            quantiser: The same for all frames; None is FFmpeg's default, 200 kbit/s by rate control.
        """
        self._fps = fps
        self._quantiser = quantiser
        self._encoder: VideoCodecContext | None = None
        self._count = 0

    def pass_through(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return a frame as BGR (height, width, 3)."""
        if self._encoder is None:
            self._encoder = _encoder("mjpeg", "yuvj420p", frame.width, frame.height, self._fps, self._quantiser)
        converted = frame.reformat(format="yuvj420p")
        (packet,) = self._encoder.encode(_timed(converted, self._count, self._fps))
        self._count += 1
        return np.asarray(cv2.imdecode(np.frombuffer(bytes(packet), np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


def through_xvid(frames: Iterable[NDArray[np.uint8]], fps: int) -> Iterator[VideoFrame]:
    """Yield frames (height, width, 3), BGR, at least one and all of one size, as OpenCV's Xvid writer leaves them.

    Raises:
        MediaError: This build of OpenCV has no such writer.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crop.avi"
        writer: cv2.VideoWriter | None = None
        for frame in frames:
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), fps, size)
            writer.write(np.ascontiguousarray(frame))
        if writer is None or not writer.isOpened():
            raise MediaError("OpenCV cannot write Xvid here; install opencv-contrib-python with its FFmpeg library")
        writer.release()
        with av.open(str(path)) as file:
            yield from file.decode(video=0)


def through_mp3(samples: NDArray[np.int16], rate: int = 16000) -> NDArray[np.int16]:
    """Return sound (samples,), mono, as it comes out of LAME at FFmpeg's default rate, neither shifted nor longer."""
    if not len(samples):
        return samples
    encoder = CodecContext.create("libmp3lame", "w")
    decoder = CodecContext.create("mp3", "r")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16p"
    encoder.open()
    parts: list[NDArray[Any]] = []
    for frame in (*_sound(samples, encoder.frame_size, rate), None):
        for packet in encoder.encode(frame):
            parts += [out.to_ndarray()[0] for out in decoder.decode(packet)]
    decoded = np.concatenate(parts)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded))).astype(np.int16)


def _sound(samples: NDArray[np.int16], size: int, rate: int) -> Iterator[AudioFrame]:
    for start in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + size], format="s16p", layout="mono")
        frame.rate, frame.pts = rate, start
        yield frame


def _encoder(
    codec: str, pixel_format: str, width: int, height: int, fps: int, quantiser: int | None
) -> VideoCodecContext:
    encoder = cast("VideoCodecContext", CodecContext.create(codec, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixel_format
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    if quantiser is not None:
        encoder.qmin = encoder.qmax = quantiser
    return encoder


def _timed(frame: VideoFrame, index: int, fps: int) -> VideoFrame:
    frame.pts, frame.time_base = index, Fraction(1, fps)
    return frame
