"""Clips and the command line, for tests of whole commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from thbench.cli import main
from thbench.data.drawn_clips import write_drawn_clips


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    leaderboard: Mapping[str, Any]

    def cell(self, row: str, metric: str) -> Mapping[str, Any]:
        """The cell of a row and metric."""
        (found,) = [r for r in self.leaderboard["rows"] if r["variant"] == row]
        return dict(found["cells"][metric])


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of three short drawn clips."""
    folder = tmp_path_factory.mktemp("drawn")
    write_drawn_clips(folder, seconds=3.0, size=192)
    return folder


@pytest.fixture
def thbench(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a command in this process and reads its leaderboard."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        words = [str(a) for a in arguments]
        code = main(words)
        out, err = capsys.readouterr()
        folder = Path(words[words.index("--out") + 1]) if "--out" in words else None
        file = folder / "leaderboard.json" if folder else None
        board = json.loads(file.read_text()) if file and file.is_file() else {}
        return Outcome(code, out, err, board)

    return call
