"""What a container promised against what the decoder gave.

FFmpeg drops what it cannot decode and carries on, so a broken file reads like a shorter one. Every packet that is to be
shown is written down here and crossed out by its picture; what stays open is an error, found at the very frame. At the
end the packets are compared with the container's own list (MP4, MOV, AVI) or its declared end (Matroska, which need not
state how many frames there are: a block lost in the middle of one looks like a pause, unless thbench wrote the file).
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

from thbench.errors import MediaError
from thbench.media._container import AVI, MATROSKA, MOV, WAV, declared_end, declared_whole_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container.input import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_REPAIR = "the file is cut short or damaged; copy or export it again"

# Formats whose packets say when they are shown, one picture each. AVI gives only the order of decoding.
_TIMED = (MOV, MATROSKA)


class Ledger:
    """Keeps the account of one stream while it is read."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream | AudioStream) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self._format = container.format.name
        self._packets = 0
        self._ends: dict[int, Fraction] = {}
        self._open: Counter[int] = Counter()
        self._leading_before: int | None = None
        self._first = True

    def decodable(self) -> Iterator[Packet[Stream]]:
        """Read the file and yield the packets of this stream, the empty one that flushes its decoder last.

        Raises:
            MediaError: A packet is incomplete.
        """
        for packet in self._container.demux():
            flushes = packet.size == 0 and packet.pts is None and packet.dts is None
            if not flushes:
                self._received(packet)
            # A decoder takes any empty packet for the end; within the stream one stands for a dropped frame.
            # The number of the flushing packet's stream is not set, its stream is.
            if packet.stream.index == self._stream.index and (flushes or packet.size > 0):
                yield packet

    def _received(self, packet: Packet[Stream]) -> None:
        start = packet.pts if packet.pts is not None else packet.dts
        if start is not None and packet.time_base:
            end = (start + (packet.duration or 0)) * packet.time_base
            self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))
        if packet.stream_index != self._stream.index:
            return
        self._packets += 1
        # The last packet of a WAV that was piped, whose header could not know its length, looks incomplete and is not.
        if packet.is_corrupt and self._format != WAV:
            raise MediaError(f"{self._path}: {self._stream.type} packet {self._packets} is incomplete; {_REPAIR}")
        if packet.is_discard:
            self._first = False
        elif packet.pts is not None and packet.size > 0:
            self._expect(packet.pts)

    def _expect(self, pts: int) -> None:
        # Pictures that precede the first key frame in display order may refer to what was cut away; decoders skip them.
        if self._first:
            self._leading_before = pts
            self._first = False
        if self._leading_before is None or pts >= self._leading_before:
            self._open[pts] += 1

    def shown(self, pts: int, index: int, time: float) -> None:
        """Cross out a picture.

        Args:
            pts: Its time in units of the stream.
            index: Its number, for the message.
            time: Its time in seconds, for the message.

        Raises:
            MediaError: A picture before this one never came.
        """
        if self._format not in _TIMED:
            return
        if self._open[pts] <= 1:
            del self._open[pts]
        else:
            self._open[pts] -= 1
        if self._open and min(self._open) < pts:
            raise MediaError(f"{self._path}: a frame before {time:.3f} s (frame {index}) cannot be decoded; {_REPAIR}")

    def finished(self, shown: int) -> None:
        """Compare with what the container declares.

        Args:
            shown: How many pictures or blocks of sound came.

        Raises:
            MediaError: Something is missing.
        """
        if self._stream.type == "video" and self._open and self._format in _TIMED:
            total = shown + sum(self._open.values())
            raise MediaError(f"{self._path}: only {shown} of {total} frames can be decoded; {_REPAIR}")
        declared = self._declared_packets()
        if declared is not None and self._packets < declared:
            raise MediaError(
                f"{self._path}: the header promises {declared} {self._stream.type} packets, "
                f"the file holds {self._packets}; {_REPAIR}"
            )
        self._check_end()

    def _declared_packets(self) -> int | None:
        if self._format == MOV:
            return len(self._stream.index_entries)
        if self._format == AVI and self._stream.type == "video":
            return self._stream.frames
        # Written by mkvmerge; FFmpeg's own Matroska files have no count.
        count = self._stream.metadata.get("NUMBER_OF_FRAMES", "")
        return int(count) if self._format == MATROSKA and count.isdecimal() else None

    def _check_end(self) -> None:
        if self._format != MATROSKA:
            return
        own = declared_end(self._container, self._stream)
        # Without an end of its own the stream may be the shorter one: then the longest stream has to reach the total.
        declared = own if own is not None else declared_whole_end(self._container)
        reached = self._ends.get(self._stream.index) if own is not None else max(self._ends.values(), default=None)
        if declared is None:
            return
        if reached is None or reached < declared - self._tolerance(own is not None):
            raise MediaError(
                f"{self._path}: the header promises {float(declared):.3f} s, the file ends at "
                f"{float(reached or 0):.3f} s; {_REPAIR}"
            )

    def _tolerance(self, exact: bool) -> Fraction:
        """Half a frame where the end is that of the last frame; its whole length more where it may be its start."""
        rate = self._stream.average_rate if self._stream.type == "video" else None
        frame = 1 / rate if rate else Fraction(1, 10)
        return frame / 2 if exact else frame * 3 / 2
