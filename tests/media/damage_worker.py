"""Damages a media file many times over and reports what reading it gives, one JSON line per damage.

Runs in a process of its own: python damage_worker.py SOURCE SCRATCH KIND SEED COUNT
"""

from __future__ import annotations

import json
import random
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from thbench.errors import MediaError
from thbench.media import probe, read_audio, read_frames


def damaged(data: bytes, kind: str, dice: random.Random) -> tuple[bytes, str]:
    """One damaged copy, and in words what was done to it."""
    if kind == "truncate":
        size = dice.randrange(len(data))
        return data[:size], f"cut to {size} of {len(data)} bytes"
    copy = bytearray(data)
    low, high = 0, len(data)
    if kind == "header":
        low = data.find(b"moov") if b"moov" in data else 0
        high = low - 4 + int.from_bytes(data[low - 4 : low], "big") if low else min(len(data), 1500)
    places = [dice.randrange(low, high) for _ in range(dice.choice([1, 1, 2, 5, 20]))]
    for place in places:
        copy[place] = dice.randrange(256)
    return bytes(copy), f"changed bytes {places}"


def declared(path: Path) -> int | None:
    """Frames that the file's own index says are to be shown; None for files without an index."""
    with av.open(str(path), metadata_errors="replace") as container:
        if "mp4" not in container.format.name:
            return None
        return sum(not entry.is_discard for entry in container.streams.best("video").index_entries)


def outcome(path: Path) -> dict[str, Any]:
    """What the public functions say: each either fails with a MediaError or gives all of it."""
    result: dict[str, Any] = {}
    try:
        info = probe(path)
        result["declared"], result["duration"] = declared(path), info.duration
    except MediaError as error:
        result["probe"] = str(error)
    try:
        stored = [(frame.time, zlib.crc32(frame.rgb)) for frame in read_frames(path)]
        result["stored"] = len(stored)
        result["ordered"] = all(a[0] <= b[0] for a, b in pairwise(stored)) and stored[0][0] == 0
        result["pixels"] = zlib.crc32(json.dumps([crc for _, crc in stored]).encode())
    except MediaError as error:
        result["frames"] = str(error)
    try:
        result["at25"] = sum(1 for _ in read_frames(path, 25))
    except MediaError as error:
        result["resampled"] = str(error)
    try:
        result["samples"] = len(read_audio(path).samples)
    except MediaError as error:
        result["audio"] = str(error)
    return result


def main() -> None:
    source, scratch, kind, seed, count = sys.argv[1:]
    data = Path(source).read_bytes()
    dice = random.Random(int(seed))
    path = Path(scratch)
    for number in range(int(count)):
        copy, what = damaged(data, kind, dice)
        path.write_bytes(copy)
        print(json.dumps({"number": number, "what": what}), flush=True)
        print(json.dumps({"number": number, "outcome": outcome(path)}), flush=True)


if __name__ == "__main__":
    main()
