"""What the player needs of a video file: a copy that browsers play, a portrait, and the shape of its sound."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from thbench.errors import MediaError
from thbench.media import NoAudioError, probe, read_audio, read_frames, write_video

if TYPE_CHECKING:
    from pathlib import Path

    from thbench.media.info import VideoInfo
    from thbench.types import Audio

BROWSER_FORMATS = frozenset({(".mp4", "h264", "yuv420p"), (".webm", "vp9", "yuv420p"), (".webm", "vp8", "yuv420p")})
"""Ending, codec and pixel format that browsers play."""
BROWSER_SOUND = frozenset({None, "aac", "mp3", "opus", "vorbis"})
JPEG_QUALITY = 85


class Size(NamedTuple):
    """Length and size of a video."""

    seconds: float
    width: int
    height: int


def size_of(path: Path, fps: float) -> Size:
    """Length and size of a video; the length is counted where the file does not say."""
    info = probe(path)
    seconds = info.duration if info.duration is not None else sum(1 for _ in read_frames(path, fps)) / fps
    return Size(seconds, info.width, info.height)


def copy_playable(source: Path, target: Path) -> None:
    """Copy a video that browsers play; write any other again as H.264 with AAC.

    Raises:
        MediaError: It cannot be read.
    """
    info = probe(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    if _browsers_play(source, info) and source.suffix == target.suffix:
        shutil.copyfile(source, target)
        return
    rate = info.average_rate
    write_video(target, (f.rgb for f in read_frames(source, rate)), rate, quality="view", audio=_sound(source))


def _browsers_play(path: Path, info: VideoInfo) -> bool:
    known = (path.suffix, info.codec, info.pixel_format) in BROWSER_FORMATS
    return known and info.audio_codec in BROWSER_SOUND and info.rotation == 0


def _sound(path: Path) -> Audio | None:
    try:
        return read_audio(path)
    except NoAudioError:
        return None


def save_portrait(video: Path, target: Path) -> None:
    """Save the first frame of a video as JPEG.

    Raises:
        MediaError: It cannot be read.
    """
    frames = read_frames(video)
    try:
        first = next(frames, None)
    finally:
        frames.close()
    if first is None:
        raise MediaError(f"{video} holds no frame; give a video with at least one frame")
    _, data = cv2.imencode(".jpg", first.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.tobytes())


def wave_of(video: Path, seconds: float, pieces: int) -> tuple[float, ...]:
    """Largest sample of each of `pieces` equal parts of the first `seconds`, on the scale of the loudest.

    Returns:
        Values in [0, 1]; nothing for a video without sound.
    """
    audio = _sound(video)
    if audio is None or not len(audio.samples):
        return ()
    edges = np.linspace(0, seconds * audio.rate, pieces + 1).astype(int)
    peaks = [float(np.abs(audio.samples[a:b]).max(initial=0.0)) for a, b in itertools.pairwise(edges)]
    loudest = max(peaks)
    return tuple(round(peak / loudest, 3) if loudest > 0 else 0.0 for peak in peaks)
