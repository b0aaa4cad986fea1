"""Whether two runs hold the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NUMBERS = ("value", "low", "high")


def differences(one: Path, other: Path) -> dict[tuple[str, str], tuple[Any, Any]]:
    """Cells of two run folders that differ: in anything but numbers at all, in numbers by more than 1e-9 of them.

    The last digits of a sum of floats depend on how its buffer lies in memory; nothing else may differ.
    """
    ours, theirs = _rows(one), _rows(other)
    assert ours.keys() == theirs.keys()
    found = {}
    for key, cell in ours.items():
        same_words = {k: v for k, v in cell.items() if k not in NUMBERS} == {
            k: v for k, v in theirs[key].items() if k not in NUMBERS
        }
        if not same_words or not all(_near(cell[name], theirs[key][name]) for name in NUMBERS):
            found[key] = (cell, theirs[key])
    return found


def _near(a: Any, b: Any) -> bool:
    return bool(a == pytest.approx(b, rel=1e-9, abs=1e-12)) if isinstance(a, float) and isinstance(b, float) else a == b


def _rows(folder: Path) -> dict[tuple[str, str], Any]:
    board = json.loads((folder / "leaderboard.json").read_text())
    return {(row["variant"], metric): cell for row in board["rows"] for metric, cell in row["cells"].items()}
