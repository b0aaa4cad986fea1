"""A video with other sound, its frames untouched."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from thbench.errors import MediaError

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer, OutputContainer

    from thbench.types import Audio

MOV_CODECS = frozenset({"h264", "hevc", "mpeg4"})
"""Codecs for which QuickTime is the container: it keeps the exact time base and exact PCM. The rest goes to Matroska,
whose millisecond timestamps are exact enough for the intra-only codecs that thbench itself writes at integer rates."""


class HiddenFramesError(MediaError):
    """A copy would show frames that an edit list hides."""


def remux(source: Path, stem: Path, audio: Audio) -> Path:
    """Copy the picture of a file bit for bit, and put other sound beside it.

    Args:
        source: A video file.
        stem: The new file without ending; its folder exists.
        audio: The sound; its first sample plays at the first displayed frame. Stored as 32-bit float PCM, exactly.

    Returns:
        The new file; written under another name first, so that a half-written file is never taken for finished.

    Raises:
        HiddenFramesError: The source hides frames by an edit list, which a copy would show.
        MediaError: The source cannot be read, or the target cannot be written.
    """
    try:
        with av.open(str(source)) as reading:
            if not reading.streams.video:
                raise MediaError(f"{source} has no video stream; give a video file")
            codec = reading.streams.video[0].codec_context.name
            target = stem.with_name(stem.name + (".mov" if codec in MOV_CODECS else ".mkv"))
            partial = target.with_name(f".{target.stem}.partial{target.suffix}")
            try:
                with av.open(str(partial), "w") as writing:
                    _copy(reading, writing, audio)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"cannot put other sound to {source} in {stem.parent}: {error}") from error
    return target


def _copy(reading: InputContainer, writing: OutputContainer, audio: Audio) -> None:
    picture = reading.streams.video[0]
    copy = writing.add_stream_from_template(picture)
    copy.time_base = picture.time_base
    sound = writing.add_stream("pcm_f32le", rate=audio.rate, layout="mono")
    start: Fraction | None = None
    for packet in reading.demux(picture):
        if packet.dts is None or packet.pts is None:
            continue
        if packet.is_discard:
            raise HiddenFramesError(f"{reading.name} hides frames by an edit list; decode it and write it again")
        if packet.time_base is not None:
            time = packet.pts * packet.time_base
            start = time if start is None else min(start, time)
        packet.stream = copy
        writing.mux(packet)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.samples[None], np.float32), "flt", "mono")
    frame.rate = audio.rate
    frame.time_base = Fraction(1, audio.rate)
    frame.pts = round((start or Fraction(0)) * audio.rate)
    for packet in (*sound.encode(frame), *sound.encode(None)):
        writing.mux(packet)
