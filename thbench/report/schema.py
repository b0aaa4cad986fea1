"""The JSON schema of `leaderboard.json`."""

from __future__ import annotations

import json
from typing import Any

from thbench.report.leaderboard import Leaderboard

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The dialect in which the schema is written."""


def leaderboard_schema() -> dict[str, Any]:
    """The schema of the newest layout; what is told of a field is its description.

    Numbers that JSON lacks are the strings `Infinity`, `-Infinity` and `NaN`.
    """
    schema = Leaderboard.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, **_with_infinities(schema)}


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(leaderboard_schema(), indent=2, ensure_ascii=False) + "\n"


def _with_infinities(node: Any) -> Any:
    """Let every number also be one of the strings that stand for what JSON lacks."""
    if isinstance(node, list):
        return [_with_infinities(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _with_infinities(value) for key, value in node.items()}
    if changed.get("type") == "number":
        rest = {key: value for key, value in changed.items() if key != "type"}
        return {"anyOf": [{"type": "number"}, {"enum": ["Infinity", "-Infinity", "NaN"]}], **rest}
    return changed
