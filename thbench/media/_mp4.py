"""Do the sample tables of an MP4 or MOV agree with each other?

An MP4 says several times over how many samples a track has, how long it is and where its data lie (ISO/IEC 14496-12,
sections 8.6 and 8.7). FFmpeg follows the tables as far as they go: one damaged byte in them hides frames or shifts
their times without a word. Here counts, lengths and places in the file are compared before anything is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SLACK_SECONDS = 0.5
"""Times of a track may go beyond its length by this much: encoders differ in what they call the end."""

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_LARGEST_HEADER = 1 << 28
_UNKNOWN_LENGTHS = frozenset({0, (1 << 32) - 1, (1 << 64) - 1, -1})


class _BrokenTableError(Exception):
    """A table is shorter than it says."""


@dataclass(frozen=True, slots=True)
class _Track:
    """The boxes of one track by name, contents only."""

    boxes: Mapping[bytes, bytes] = field(default_factory=dict)

    def has(self, *names: bytes) -> bool:
        return all(name in self.boxes for name in names)

    def words(self, name: bytes, start: int, count: int, kind: str = ">u4") -> NDArray[np.int64]:
        """Read `count` big-endian numbers from byte `start` of a box."""
        data = self.boxes[name]
        size = np.dtype(kind).itemsize
        if start + count * size > len(data):
            raise _BrokenTableError
        return np.frombuffer(data, kind, count, start).astype(np.int64)

    def pairs(self, name: bytes, columns: int = 2) -> NDArray[np.int64]:
        """Read a table of `columns` numbers a row whose length stands before it."""
        count = int(self.words(name, 4, 1)[0])
        return self.words(name, 8, count * columns).reshape(count, columns)


def table_fault(path: Path) -> str | None:
    """Return in a few words what is wrong with the sample tables; None if they agree.

    Fragmented files, whose tables are spread over the file, are not checked.
    """
    size = path.stat().st_size
    header = _header(path, size)
    if header is None or any(kind == b"mvex" for kind, _ in _boxes(header)):
        return None
    extents = []
    try:
        for kind, body in _boxes(header):
            if kind == b"trak":
                track = _Track(dict(_leaves(body)))
                if not track.has(b"mdhd", b"stts", b"stsz", b"stsc"):
                    continue
                fault = _count_fault(track) or _time_fault(track)
                if fault is not None:
                    return fault
                extents.append(_extents(track))
    except _BrokenTableError:
        return "a table of the header is shorter than it says"
    return _place_fault(np.concatenate(extents), size) if extents else None


def _header(path: Path, size: int) -> bytes | None:
    """Return the contents of the `moov` box."""
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind, offset = int.from_bytes(file.read(4), "big"), file.read(4), 8
            if length == 1:
                length, offset = int.from_bytes(file.read(8), "big"), 16
            if kind == b"moov" and offset <= length <= _LARGEST_HEADER:
                return file.read(length - offset)
            if length < 8:
                return None
            at += length
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _leaves(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for kind, body in _boxes(data):
        if kind in _CONTAINERS:
            yield from _leaves(body)
        else:
            yield kind, body


def _samples(track: _Track) -> int:
    return int(track.words(b"stsz", 8, 1)[0])


def _count_fault(track: _Track) -> str | None:
    samples = _samples(track)
    timed = int(track.pairs(b"stts")[:, 0].sum())
    if timed != samples:
        return f"the header has times for {timed} of {samples} samples"
    if track.has(b"ctts"):
        shown = int(track.pairs(b"ctts")[:, 0].sum())
        if shown != samples:
            return f"the header has display times for {shown} of {samples} samples"
    return None


def _time_fault(track: _Track) -> str | None:
    wide = track.boxes[b"mdhd"][:1] == b"\x01"
    scale = int(track.words(b"mdhd", 20 if wide else 12, 1)[0])
    length = int(track.words(b"mdhd", 24, 1, ">u8")[0]) if wide else int(track.words(b"mdhd", 16, 1)[0])
    table = track.pairs(b"stts")
    if not len(table) or scale == 0 or length in _UNKNOWN_LENGTHS:
        return None
    total = int((table[:, 0] * table[:, 1]).sum())
    typical = total / max(1, _samples(track))
    if abs(total - length) > max(1.5 * typical, scale / 10):
        return f"the samples last {total / scale:.3f} s, the header says {length / scale:.3f} s"
    if track.has(b"ctts"):
        offsets = track.pairs(b"ctts")
        start = np.cumsum(np.repeat(table[:, 1], table[:, 0])) - np.repeat(table[:, 1], table[:, 0])
        # Version 0 is unsigned on paper and signed in many files.
        shown = start + np.repeat(offsets[:, 1].astype(np.int32), offsets[:, 0])
        if shown.max() - shown.min() > total + SLACK_SECONDS * scale:
            return f"a sample is to be shown at {shown.max() / scale:.0f} s of {total / scale:.3f} s"
    return None


def _extents(track: _Track) -> NDArray[np.int64]:
    """Return first byte and end of each chunk, shape (chunks, 2); empty where sizes are not listed sample by sample."""
    none = np.zeros((0, 2), np.int64)
    name, kind = (b"stco", ">u4") if track.has(b"stco") else (b"co64", ">u8")
    if not track.has(name) or int(track.words(b"stsz", 4, 1)[0]):
        return none
    starts = track.words(name, 8, int(track.words(name, 4, 1)[0]), kind)
    runs = track.pairs(b"stsc", 3)
    sizes = track.words(b"stsz", 12, _samples(track))
    if not len(runs) or not len(starts):
        return none
    repeats = np.diff(np.append(runs[:, 0], len(starts) + 1))
    if runs[0, 0] != 1 or (repeats < 1).any():
        raise _BrokenTableError
    edges = np.append(0, np.cumsum(np.repeat(runs[:, 1], repeats)))
    if edges[-1] != len(sizes):
        raise _BrokenTableError
    bytes_before = np.append(0, np.cumsum(sizes))
    return np.stack([starts, starts + np.diff(bytes_before[edges])], axis=1)


def _place_fault(extents: NDArray[np.int64], size: int) -> str | None:
    if not len(extents):
        return None
    if extents[:, 1].max() > size:
        return f"its data reach to byte {extents[:, 1].max()} of {size}"
    ordered = extents[np.lexsort((extents[:, 1], extents[:, 0]))]
    # Equal places are data that two samples share; anything else that overlaps is damage.
    overlap = (ordered[1:, 0] < ordered[:-1, 1]) & (ordered[1:, 0] != ordered[:-1, 0])
    return "the header gives overlapping places to its samples" if overlap.any() else None
