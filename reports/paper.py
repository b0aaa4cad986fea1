"""Writes the published tables of every method, with what was computed anew beside them, into `paper/` here."""

from __future__ import annotations

from pathlib import Path

from thbench.cli import main as thbench
from thbench.report.published import published_methods

FOLDER = Path(__file__).resolve().parent / "paper"


def write(folder: Path) -> None:
    """Write one Markdown file for each method."""
    folder.mkdir(parents=True, exist_ok=True)
    for method in published_methods():
        if code := thbench(["paper", method, "--markdown", str(folder / f"{method}.md")]):
            raise SystemExit(code)


if __name__ == "__main__":
    write(FOLDER)
