"""Reads ONNX files of recognition networks into torch, so that they run prepared, in both modes and on any device.

An ONNX file is a protocol buffer: fields of a number, a type and a value. Only what a convolutional network of one
input and one output holds is read; anything else is refused by name, never passed over. Source: onnx/onnx,
onnx/onnx.proto and docs/Operators.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.errors import MissingWeightsError, WeightsMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_DTYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {1: np.dtype("<f4"), 6: np.dtype("<i4"), 7: np.dtype("<i8"), 11: np.dtype("<f8")}
)
"""TensorProto.DataType to numpy."""
_PACKED: Mapping[int, np.dtype[Any]] = MappingProxyType({4: np.dtype("<f4"), 10: np.dtype("<f8")})
"""Fields of a tensor that hold packed floating-point numbers."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation."""

    kind: str
    """Its name in ONNX, e.g. `Conv`."""
    inputs: tuple[str, ...]
    """Names of what it takes."""
    outputs: tuple[str, ...]
    """Names of what it gives."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Numbers, lists of integers, texts and arrays by name."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A network as the file describes it."""

    nodes: tuple[Node, ...]
    """In an order in which they can be run."""
    weights: Mapping[str, NDArray[Any]]
    """Name to numbers."""
    input: str
    """Name of the one input."""
    output: str
    """Name of the one output."""


def read_graph(path: Path) -> Graph:
    """Read an ONNX file with one input and one output.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: The file is damaged, or has another number of inputs or outputs.
    """
    if not path.is_file():
        raise MissingWeightsError(f"{path} does not exist; `thbench weights list` says where each file comes from")
    content = memoryview(path.read_bytes())
    try:
        model = _gather(content)
        graph = _gather(model[7][0])
        weights = dict(_tensor(item) for item in graph.get(5, []))
        nodes = tuple(_node(item) for item in graph.get(1, []))
        inputs = [name for item in graph.get(11, []) if (name := _name(item)) not in weights]
        outputs = [_name(item) for item in graph.get(12, [])]
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise WeightsMismatchError(
            f"{path} ({len(content)} bytes) is truncated, damaged or no ONNX file ({error}); delete it and get the "
            "file again"
        ) from error
    if (len(inputs), len(outputs)) != (1, 1):
        raise WeightsMismatchError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs instead of one each; get the published file"
        )
    return Graph(nodes, weights, inputs[0], outputs[0])


def _fields(content: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field; values are integers, or the bytes of texts, messages and fixed numbers."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(content, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _varint(content, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"field {number} is of the unknown type {kind}")
        if place + size > len(content):
            raise ValueError(f"field {number} goes beyond the end")
        yield number, content[place : place + size]
        place += size


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(content) or shift > 63:
            raise ValueError("a number goes beyond the end")
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if not byte & 128:
            return value, place


def _gather(content: memoryview) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, value in _fields(content):
        found.setdefault(number, []).append(value)
    return found


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8")


def _name(content: memoryview) -> str:
    return _text(_gather(content)[1][0])


def _node(content: memoryview) -> Node:
    found = _gather(content)
    attributes = dict(_attribute(item) for item in found.get(5, []))
    inputs, outputs = (tuple(_text(item) for item in found.get(number, [])) for number in (1, 2))
    return Node(_text(found[4][0]), inputs, outputs, attributes)


def _attribute(content: memoryview) -> tuple[str, Any]:
    found = _gather(content)
    name = _text(found[1][0])
    if 8 in found:
        return name, tuple(_integers(found[8]))
    if 2 in found:
        return name, struct.unpack("<f", found[2][0])[0]
    if 4 in found:
        return name, _text(found[4][0])
    if 5 in found:
        return name, _tensor(found[5][0])[1]
    # A protocol buffer leaves out zeros.
    return name, _signed(found.get(3, [0])[0])


def _integers(values: list[Any]) -> Iterator[int]:
    """Yield integers that came one by one or packed into bytes."""
    for value in values:
        if isinstance(value, int):
            yield _signed(value)
            continue
        place = 0
        while place < len(value):
            number, place = _varint(value, place)
            yield _signed(number)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _tensor(content: memoryview) -> tuple[str, NDArray[Any]]:
    found = _gather(content)
    name = _text(found[8][0]) if 8 in found else ""
    if 13 in found:
        raise ValueError(f"the numbers of {name!r} lie in another file")
    dtype = _DTYPES.get(found[2][0])
    if dtype is None:
        raise ValueError(f"{name!r} holds numbers of the unknown type {found[2][0]}")
    shape = tuple(_integers(found.get(1, [])))
    if 9 in found:
        values = np.frombuffer(found[9][0], dtype)
    elif packed := next((number for number in _PACKED if number in found), None):
        values = np.concatenate([np.frombuffer(item, _PACKED[packed]) for item in found[packed]])
    else:
        values = np.fromiter(_integers(found.get(7, found.get(5, []))), dtype)
    return name, values.reshape(shape)
