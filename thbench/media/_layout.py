"""Is the file as long as its outermost boxes say?

FFmpeg reads what is there of a truncated file, down to a header of which half the tracks are missing. The outer boxes
of MP4 (ISO/IEC 14496-12, section 4.2), the segment of Matroska (RFC 9559) and the RIFF chunk of WAV state their sizes,
so a file that was cut short gives itself away before anything is decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_SEGMENT = b"\x18\x53\x80\x67"
_EBML = b"\x1a\x45\xdf\xa3"


def missing_from_mp4(path: Path) -> int:
    """Return how many bytes the last outermost box of an MP4 or MOV lacks; 0 if the file is whole.

    What follows the boxes and is none (padding, a tag) is nobody's loss.
    """
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
            if length == 1:
                length = int.from_bytes(file.read(8), "big")
            if length == 0:  # to the end of the file
                return 0
            if length < 8 or not (kind.isalnum() or kind.strip().isalnum()):
                return 0
            at += length
    return max(0, at - size)


def missing_from_matroska(path: Path) -> int:
    """Return how many bytes the segment of a Matroska or WebM file lacks; 0 if it is whole or states no size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != _EBML:
            return 0
        header = _length(file)
        if header is None:
            return 0
        file.seek(header, 1)
        if file.read(4) != _SEGMENT:
            return 0
        segment = _length(file)
        return 0 if segment is None else max(0, file.tell() + segment - size)


def missing_from_wav(path: Path) -> int:
    """Return how many bytes a WAV lacks; 0 if it is whole, or was piped, so that its header states no size."""
    with path.open("rb") as file:
        header = file.read(8)
    stated = int.from_bytes(header[4:], "little")
    if header[:4] != b"RIFF" or stated in (0, 0xFFFFFFFF):
        return 0
    # The byte that pads an odd number of samples is left out by some writers.
    lacking = 8 + stated - path.stat().st_size
    return lacking if lacking > 1 else 0


def _length(file: BinaryIO) -> int | None:
    """Read a variable-length number: as many leading zero bits as bytes follow; all ones means unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra), "big")
    return None if value == (1 << 7 * (extra + 1)) - 1 else value
