"""Content hashes: one canonical text for one content, and its SHA-256."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from thbench.types import Document

LARGEST_EXACT = 2**53
"""Whole floats up to here are exact integers."""


def canonical_json(value: object) -> str:
    """Write `value` as JSON such that equal contents give equal text.

    Keys are sorted, there is no white space, text is ASCII. Numbers that are equal in Python are written alike (25 and
    25.0), since a TOML file may hold either; NaN and infinities are written as the strings that records use. Sets are
    sorted by their own canonical text.

    Args:
        value: JSON-like data (mappings with text keys, sequences, sets, text, numbers, booleans, None) or a `Document`.

    Raises:
        TypeError: Something else is in it; its place is named.

    Example:
        >>> canonical_json({"b": 25.0, "a": [1, None]})
        '{"a":[1,null],"b":25}'
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: object, length: int = 16) -> str:
    """First `length` hexadecimal digits of the SHA-256 of `canonical_json(value)`.

    Sixteen digits (64 bits) make an accidental collision among a million jobs a 3e-8 event.

    Example:
        >>> content_hash({"clip": "may", "seed": 0})
        '34e55e97b625baf1'
    """
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()[:length]


def _plain(value: object, where: str) -> Any:
    if isinstance(value, Document):
        return _plain(json.loads(value.model_dump_json()), where)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {_text_key(key, where): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((_plain(item, where) for item in value), key=canonical_json)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{where} is a {type(value).__name__}; only JSON-like data and documents have a content hash")


def _number(value: float) -> float | int | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) <= LARGEST_EXACT:
        return int(value)
    return value


def _text_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{where} has the key {key!r}; keys must be text")
    return key
