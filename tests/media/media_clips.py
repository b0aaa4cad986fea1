"""Clips made for the tests, with frames that say their own number."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

HEIGHT, WIDTH, BITS = 64, 128, 8
RATE = 16000

CODECS = {
    "h264": ("libx264", "yuv420p", ".mp4", {"crf": "10", "g": "12", "bf": "2"}),
    "h264-10bit": ("libx264", "yuv420p10le", ".mp4", {"crf": "10"}),
    "hevc": ("libx265", "yuv420p", ".mp4", {"crf": "10", "x265-params": "log-level=none"}),
    "hevc-10bit": ("libx265", "yuv420p10le", ".mp4", {"crf": "10", "x265-params": "log-level=none"}),
    "mpeg4": ("mpeg4", "yuv420p", ".mp4", {"qscale": "2"}),
    "vp9": ("libvpx-vp9", "yuv420p", ".webm", {"crf": "10", "deadline": "realtime", "cpu-used": "8"}),
    "ffv1": ("ffv1", "yuv420p", ".mkv", {"level": "3", "slices": "4", "slicecrc": "1"}),
    "ffv1-rgb": ("ffv1", "bgr0", ".mkv", {"level": "3", "slices": "4", "slicecrc": "1"}),
}


def numbered(number: int) -> NDArray[np.uint8]:
    """A frame that shows its number as eight black or white bars."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 28, WIDTH // BITS)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)))


def number_of(rgb: NDArray[np.uint8]) -> int:
    bars = rgb.reshape(HEIGHT, BITS, WIDTH // BITS, 3).mean(axis=(0, 2, 3)) > 128
    return int(sum(1 << bit for bit, white in enumerate(bars) if white))


def solid(color: tuple[int, int, int], height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.broadcast_to(np.array(color, np.uint8), (height, width, 3)))


@dataclass
class Sound:
    """A sound track to write: samples (n,) or (channels, n)."""

    samples: NDArray[np.float32]
    rate: int = RATE
    codec: str = "aac"
    layout: str = "mono"
    start: int = 0
    options: dict[str, str] = field(default_factory=dict)


@dataclass
class Colour:
    """How RGB becomes luma and chroma, and whether the file says so."""

    space: int = int(Colorspace.ITU709)
    range: int = int(ColorRange.MPEG)
    tagged: bool = True


def encode(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "h264",
    rate: Fraction | int = 25,
    times: Sequence[Fraction] | None = None,
    sound: Sound | None = None,
    colour: Colour | None = None,
    turn: tuple[float, bool, bool] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip with PyAV alone, so that the reader is not tested against the project's own writer.

    `times` has one entry per frame and one for the end of the last.
    """
    encoder, pixels, _, defaults = CODECS[codec]
    # FFmpeg's MPEG-4 encoder has no place for colour tags; without them BT.601 is meant.
    colour = colour or (Colour(5, tagged=False) if codec == "mpeg4" else Colour())
    height, width = frames[0].shape[:2]
    tick = Fraction(1, 12800) if times is not None else 1 / Fraction(rate)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(encoder, rate=Fraction(rate), options=defaults | (options or {}))
        video.height, video.width, video.pix_fmt = height, width, pixels
        video.codec_context.time_base = tick
        video.codec_context.flags |= Flags.frame_duration
        if turn is not None:
            video.set_display_rotation(*turn)
        rgb = pixels == "bgr0"
        if colour.tagged and not rgb:
            video.codec_context.colorspace, video.codec_context.color_range = colour.space, colour.range
        track: Any = None
        if sound is not None:
            track = container.add_stream(sound.codec, rate=sound.rate, layout=sound.layout, options=sound.options)
        scaler = VideoReformatter()
        for index, array in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(array, format="rgb24")
            if rgb:
                picture = scaler.reformat(picture, format=pixels)
            else:
                picture = scaler.reformat(
                    picture, format=pixels, dst_colorspace=colour.space, dst_color_range=colour.range
                )
                if not colour.tagged:
                    picture.colorspace, picture.color_range = 2, 0
            picture.pts = index if times is None else int(times[index] / tick)
            if times is not None:
                picture.duration = int((times[index + 1] - times[index]) / tick)
            picture.time_base = tick
            container.mux(video.encode(picture))
        if sound is not None:
            encode_sound(container, track, sound)
        container.mux(video.encode(None))
        if track is not None:
            container.mux(track.encode(None))
    return path


def encode_sound(container: Any, track: Any, sound: Sound) -> None:
    samples = np.atleast_2d(sound.samples).astype(np.float32)
    fmt = track.codec_context.format.name
    block = track.codec_context.frame_size or 1024
    for at in range(0, samples.shape[1], block):
        data = samples[:, at : at + block]
        frame = av.AudioFrame.from_ndarray(*_as_format(data, fmt), layout=sound.layout)
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, sound.start + at, Fraction(1, sound.rate)
        container.mux(track.encode(frame))


def _as_format(data: NDArray[np.float32], fmt: str) -> tuple[NDArray[Any], str]:
    if fmt.startswith("s16"):
        data = np.clip(np.rint(data * 32768), -32768, 32767).astype(np.int16)  # type: ignore[assignment]
    elif fmt.startswith("s32"):
        data = np.clip(np.rint(data.astype(np.float64) * 2**31), -(2**31), 2**31 - 1).astype(np.int32)  # type: ignore[assignment]
    elif fmt.startswith("dbl"):
        data = data.astype(np.float64)  # type: ignore[assignment]
    elif fmt == "u8":
        data = np.clip(np.rint(data * 128 + 128), 0, 255).astype(np.uint8)  # type: ignore[assignment]
    if not fmt.endswith("p"):
        data = data.T.reshape(1, -1)
    return np.ascontiguousarray(data), fmt


def write_sound(path: Path, sound: Sound) -> Path:
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream(sound.codec, rate=sound.rate, layout=sound.layout, options=sound.options)
        encode_sound(container, track, sound)
        container.mux(track.encode(None))
    return path


def sine(seconds: float, rate: int = RATE, hertz: float = 440.0, peak: float = 0.5) -> NDArray[np.float32]:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def beep(seconds: float, at: float, rate: int = RATE) -> NDArray[np.float32]:
    """Silence with a burst of 20 ms that starts at its full height."""
    samples = np.zeros(round(seconds * rate), np.float32)
    start = round(at * rate)
    samples[start : start + rate // 50] = 0.8
    return samples


def beep_at(samples: NDArray[np.float32], rate: int = RATE) -> float:
    return float(np.flatnonzero(np.abs(samples) > 0.4)[0]) / rate


def cut(source: Path, target: Path, start: Fraction, stop: Fraction) -> Path:
    """Copy the packets from `start` to `stop` without decoding, as stream-copying tools do.

    What is needed to decode the first frame stays in the file before time zero; MP4 hides it with an edit list.
    """
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        streams = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        reader.seek(int(start * av.time_base))
        for packet in reader.demux():
            if packet.dts is None or packet.pts is None:
                continue
            time = packet.pts * packet.time_base
            if time >= stop or (packet.stream.type == "audio" and time < start - Fraction(1, 10)):
                continue
            shift = int(start / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = streams[packet.stream.index]
            writer.mux(packet)
    return target


def loop(source: Path, target: Path, times: int) -> Path:
    """Repeat a clip by copying its packets; a long video without the time it takes to encode one."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        streams = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        packets = [packet for packet in reader.demux() if packet.dts is not None]
        ends = [(packet.dts + packet.duration) * packet.time_base for packet in packets]
        seconds = max(ends) - min(packet.dts * packet.time_base for packet in packets)
        for turn in range(times):
            for packet in packets:
                stamp = packet.pts, packet.dts, packet.time_base, packet.stream
                shift = round(turn * seconds / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
                packet.stream = streams[stamp[3].index]
                writer.mux(packet)
                packet.pts, packet.dts, packet.time_base, packet.stream = stamp
    return target
