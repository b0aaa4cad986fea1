"""Reading sound: any rate and channel count to mono at one rate, aligned with the picture.

Mono is the plain mean of all channels, each with equal weight. Time zero is the first displayed video frame: what was
recorded before it is cut, and silence stands for what is missing. Encoder delay and edit lists are honoured as FFmpeg
reports them.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import soxr

from thbench.errors import MediaError, UsageError
from thbench.media._container import (
    FLAC,
    MOV,
    WAV,
    audio_stream,
    declared_end,
    opened,
    prepare,
    reason,
    video_stream,
)
from thbench.media._ledger import Ledger
from thbench.media.errors import NoAudioError
from thbench.media.info import first_frame, frame_time
from thbench.types import Audio

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container.input import InputContainer
    from numpy.typing import NDArray

SAMPLE_RATE = 16000
"""Samples per second that speech models read."""

QUALITY = "VHQ"
RESAMPLER = f"soxr {soxr.__version__} {QUALITY}"
"""What resamples sound, with version and quality, for records."""

MAX_GAP = 10
"""Longest silence in seconds that is put where a track has no samples; a longer gap means damaged times."""

JITTER = Fraction(1, 100)
"""Differences between a block's time and the end of the one before, in seconds, that are rounding and not a gap:
Matroska and FLV count milliseconds."""

MAX_SHORTFALL = Fraction(1, 10)
"""A track may end this many seconds before its declared end; the last block of a lossy codec is not always full."""

_EXACT_LENGTH = (MOV, WAV, FLAC)
"""Formats whose header states how many samples there are."""


def read_audio(path: Path | str, rate: int = SAMPLE_RATE) -> Audio:
    """Read the sound of a video or audio file.

    Args:
        path: Any file with sound: mp4, mkv, wav, mp3, aac, opus, flac, ...
        rate: Samples per second to give.

    Returns:
        Mono, time zero at the first displayed video frame, or at the first sample of a file without video. It ends
        where the sound ends, be that before or after the end of the picture.

    Raises:
        NoAudioError: The file has no sound.
        MediaError: The file cannot be read, breaks midway or holds less than its header promises.
        UsageError: `rate` is not positive.
    """
    blocks = list(iter_audio(path, rate))
    return Audio(np.concatenate(blocks) if blocks else np.zeros(0, np.float32), rate)


def iter_audio(path: Path | str, rate: int = SAMPLE_RATE, block: int = 16000) -> Generator[NDArray[np.float32]]:
    """Read the sound as `read_audio` does, in blocks; memory does not grow with its length.

    Args:
        path: Any file with sound.
        rate: Samples per second to give.
        block: Samples per block; the last one may be shorter.

    Yields:
        Arrays (block,), range [-1, 1]. What a lossy decoder or the resampler puts beyond that range is clipped.

    Raises:
        NoAudioError: The file has no sound.
        MediaError: The file cannot be read, breaks midway or holds less than its header promises.
        UsageError: `rate` or `block` is not positive.
    """
    if rate < 1 or block < 1:
        raise UsageError(f"rate is {rate} and block is {block}; both are numbers of samples and at least 1")
    path = Path(path)
    zero = _video_start(path)
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise NoAudioError(f"{path} has no sound; give a file with an audio track")
        track = _Track(path, container, prepare(path, stream), zero)
        yield from _in_blocks(_resampled(track.mono(), track.rate, rate), block)


def _video_start(path: Path) -> Fraction | None:
    with opened(path) as container:
        stream = video_stream(container)
        if stream is None:
            return None
        return frame_time(path, first_frame(path, container, prepare(path, stream)))


class _Track:
    """One sound track as mono samples at its own rate, aligned with the picture."""

    def __init__(self, path: Path, container: InputContainer, stream: AudioStream, zero: Fraction | None) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        frames = self._decoded()
        first = next(frames, None)
        if first is None:
            raise NoAudioError(f"{path} has an audio track without any sample; give a file with sound")
        self._frames = chain((first,), frames)
        self.rate: int = first.sample_rate
        """Samples per second as stored."""
        start = frame_time(path, first)
        self._zero = start if zero is None else zero
        self._position = self._sample_at(start)

    def mono(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples from time zero on.

        Raises:
            MediaError: The track breaks midway or is shorter than declared.
        """
        stop = self._stop()
        written = 0
        for frame in self._frames:
            samples = self._mono(frame)
            self._position += self._gap(frame)
            if self._position > written:
                yield self._silence(self._position - written)
                written = self._position
            until = self._position + len(samples) if stop is None else min(self._position + len(samples), stop)
            if until > written:
                yield samples[written - self._position : until - self._position]
                written = until
            self._position += len(samples)
        self._check_end(stop)

    def _decoded(self) -> Iterator[AudioFrame]:
        ledger = Ledger(self._path, self._container, self._stream)
        count = 0
        for packet in ledger.decodable():
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError as error:
                raise self._broken(count, reason(error)) from error
            for frame in frames:
                if frame.is_corrupt:
                    raise self._broken(count, "the next block is damaged")
                yield frame
                count += 1
        ledger.finished(count)

    def _gap(self, frame: AudioFrame) -> int:
        """Samples missing before this block; negative if it overlaps the one before."""
        if frame.sample_rate != self.rate:
            raise MediaError(
                f"{self._path}: the sound changes from {self.rate} to {frame.sample_rate} Hz midway; "
                "convert it to one rate"
            )
        if frame.pts is None:
            return 0
        gap = self._sample_at(frame_time(self._path, frame)) - self._position
        return 0 if abs(gap) <= JITTER * self.rate else gap

    def _silence(self, samples: int) -> NDArray[np.float32]:
        if samples > MAX_GAP * self.rate:
            raise MediaError(
                f"{self._path}: its sound has a gap of {samples / self.rate:.1f} s; at most {MAX_GAP} s are filled "
                "with silence, so check the file's timestamps"
            )
        return np.zeros(samples, np.float32)

    def _sample_at(self, time: Fraction) -> int:
        return round((time - self._zero) * self.rate)

    def _stop(self) -> int | None:
        """The sample at which an MP4 or MOV says that its sound ends; the last block is padded beyond it."""
        end = declared_end(self._container, self._stream)
        if end is None or self._container.format.name not in _EXACT_LENGTH:
            return None
        return self._sample_at(end)

    def _check_end(self, stop: int | None) -> None:
        if stop is not None and self._position < stop - MAX_SHORTFALL * self.rate:
            raise MediaError(
                f"{self._path}: the header promises sound until {stop / self.rate:.3f} s, it ends at "
                f"{self._position / self.rate:.3f} s; the file is cut short or damaged, copy or export it again"
            )

    def _mono(self, frame: AudioFrame) -> NDArray[np.float32]:
        samples = _to_float(frame.to_ndarray())
        channels = frame.layout.nb_channels
        by_channel = samples if frame.format.is_planar else samples.reshape(-1, channels).T
        mono = by_channel[0] if channels == 1 else by_channel.mean(axis=0, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise MediaError(f"{self._path}: its sound holds values that are not numbers; export it again")
        return np.ascontiguousarray(mono)

    def _broken(self, count: int, why: str) -> MediaError:
        return MediaError(
            f"{self._path}: the sound breaks after {count} blocks: {why}; the file is damaged, copy or export it again"
        )


def _to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Scale integer samples to [-1, 1); 8-bit ones are unsigned with their zero at 128."""
    kind = samples.dtype
    if kind == np.uint8:
        return np.asarray((samples.astype(np.float32) - 128) / 128, dtype=np.float32)
    if kind.kind == "i":
        return np.asarray(samples / 2.0 ** (8 * kind.itemsize - 1), dtype=np.float32)
    return np.asarray(samples, dtype=np.float32)


def _resampled(chunks: Iterable[NDArray[np.float32]], source: int, target: int) -> Iterator[NDArray[np.float32]]:
    if source == target:
        yield from chunks
        return
    resampler = soxr.ResampleStream(source, target, 1, dtype="float32", quality=QUALITY)
    for chunk in chunks:
        yield resampler.resample_chunk(chunk)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _in_blocks(chunks: Iterable[NDArray[np.float32]], block: int) -> Iterator[NDArray[np.float32]]:
    waiting: list[NDArray[np.float32]] = []
    count = 0
    for chunk in chunks:
        waiting.append(np.clip(chunk, -1, 1))
        count += len(chunk)
        if count >= block:
            joined = np.concatenate(waiting)
            whole = count - count % block
            yield from joined[:whole].reshape(-1, block)
            waiting = [joined[whole:]]
            count -= whole
    if count:
        yield np.concatenate(waiting)
