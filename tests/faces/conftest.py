"""Fixtures of the face tests: the landmarker, the canonical face model inside its weight file, and drawn faces."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from thbench.faces import Landmarker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="session")
def face_weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder with the landmarker's weights, in force for the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THBENCH_WEIGHTS", str(shared / "weights"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield shared / "weights"


@pytest.fixture(scope="session")
def landmarker(face_weights: Path) -> Iterator[Landmarker]:
    with Landmarker() as found:
        yield found


@pytest.fixture(scope="session")
def canonical(shared: Path) -> tuple[NDArray[np.float64], list[tuple[int, float]]]:
    """The canonical face model: vertices (468, 3), and (vertex, weight) of the pose fit, read from the weight file."""
    with zipfile.ZipFile(shared / "weights" / "face_landmarker.task") as archive:
        content = archive.read("geometry_pipeline_metadata_landmarks.binarypb")
    numbers: list[float] = []
    basis: list[tuple[int, float]] = []
    for _, kind, value in _fields(content):
        if kind != 2:
            continue
        inner = list(_fields(value))
        if len(inner) == 2 and [number for number, _, _ in inner] == [1, 2]:
            basis.append((inner[0][2], struct.unpack("<f", inner[1][2])[0]))
        else:
            numbers += [struct.unpack("<f", raw)[0] for number, wire, raw in inner if number == 3 and wire == 5]
    return np.array(numbers).reshape(-1, 5)[:, :3], basis


def _fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Fields of a protocol-buffer message: number, wire type, raw value."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, 0, varint()
            continue
        length = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, key & 7, message[place : place + length]
        place += length
