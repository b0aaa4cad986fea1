"""Checksums of FFV1 frames.

An FFV1 frame of version 3 ends each of its slices with a footer of slice size (3 bytes), error status (1 byte) and a
CRC-32 (4 bytes) that makes the CRC of the whole slice zero (RFC 9043, section 4.9: polynomial 0x04C11DB7, most
significant bit first, initial value 0). FFmpeg's decoder (8.1) logs a mismatch but returns the damaged picture
unmarked, hence this check.
"""

from __future__ import annotations

import zlib

_WITH_CRC = 8
_WITHOUT_CRC = 3
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def has_checksums(packet: bytes) -> bool:
    """Tell from the first frame of a stream whether its slices carry checksums.

    Args:
        packet: One encoded frame.

    Returns:
        False only if the slices chain up as they do without checksums, so that damage to this very frame does not
        switch the check off.
    """
    return _slices(packet, _WITH_CRC) is not None or _slices(packet, _WITHOUT_CRC) is None


def is_intact(packet: bytes) -> bool:
    """Tell whether all slices of a frame have the checksum that their footer promises."""
    slices = _slices(packet, _WITH_CRC)
    return slices is not None and all(_crc(packet[start:stop]) == 0 for start, stop in slices)


def _slices(packet: bytes, footer: int) -> list[tuple[int, int]] | None:
    """Follow the slice sizes from the end of a frame to its start; None if they do not add up."""
    slices = []
    stop = len(packet)
    while stop > 0:
        if stop < footer:
            return None
        size = int.from_bytes(packet[stop - footer : stop - footer + 3], "big")
        start = stop - footer - size
        if start < 0:
            return None
        slices.append((start, stop))
        stop = start
    return slices


def _crc(data: bytes) -> int:
    """Return the CRC with the most significant bit first and initial value 0, by way of zlib's mirrored one."""
    return zlib.crc32(data.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
