from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thbench.run.hashing import canonical_json, content_hash
from thbench.types import Record

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_order_of_keys_does_not_matter(content: dict[str, object]) -> None:
    assert canonical_json(content) == canonical_json(dict(reversed(content.items())))


@given(JSON)
def test_text_is_json_in_ascii(content: object) -> None:
    text = canonical_json(content)
    assert text.isascii()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_equal_numbers_are_written_alike() -> None:
    assert canonical_json({"fps": 25}) == canonical_json({"fps": 25.0})
    assert canonical_json(-0.0) == canonical_json(0)
    assert canonical_json(True) != canonical_json(1)


def test_what_differs_has_another_hash() -> None:
    contents = [None, "", "a", 0, 1, 0.1, [1], ["1"], {"a": 1}, {"a": "1"}, [], {}, [[1]], math.inf, math.nan]
    assert len({content_hash(content) for content in contents}) == len(contents)


def test_documents_sets_and_tuples_are_content() -> None:
    record = Record(key="k", variant="v", clip="c", identity="i", status="ok", values={"psnr": math.inf})
    assert '"Infinity"' in canonical_json(record)
    assert canonical_json({"b", "a"}) == '["a","b"]'
    assert canonical_json((1, 2)) == "[1,2]"


def test_length_is_as_asked() -> None:
    assert len(content_hash("x", length=12)) == 12
    assert content_hash("x", length=64).startswith(content_hash("x", length=12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": [Path("x")]}, r"value\['a'\]\[0\] is a Posix"),
        (b"x", "is a bytes"),
        ({1: 2}, "keys must be text"),
    ],
)
def test_what_has_no_canonical_text_is_refused(content: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        canonical_json(content)
