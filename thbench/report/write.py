"""The files of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.aggregate import aggregate
from thbench.report.checks import with_checks
from thbench.report.costs import read_cost_records
from thbench.report.latex import to_latex
from thbench.report.markdown import to_markdown
from thbench.report.tidy import to_csv
from thbench.run.files import write_atomically
from thbench.validate.verdicts import shipped_verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from thbench.cost.record import CostRecord
    from thbench.report.leaderboard import Leaderboard
    from thbench.run.store import Contents, RunStore
    from thbench.validate.document import MetricVerdict


def to_json(leaderboard: Leaderboard) -> str:
    """Write the leaderboard as JSON; `Leaderboard.model_validate_json` reads it back."""
    return leaderboard.model_dump_json(indent=2) + "\n"


FORMATS: Mapping[str, Callable[[Leaderboard], str]] = {
    "leaderboard.json": to_json,
    "leaderboard.csv": to_csv,
    "leaderboard.md": to_markdown,
    "leaderboard.tex": to_latex,
}
"""File name to what writes it."""


def write_report(store: RunStore) -> Leaderboard:
    """Aggregate a run and write its report into the run folder.

    Raises:
        UsageError: The run cannot be read.
        WriteError: A file cannot be written.
    """
    leaderboard = leaderboard_of(store.read())
    write_files(leaderboard, store.folder)
    return leaderboard


def leaderboard_of(contents: Contents, verdicts: Sequence[MetricVerdict] | None = None) -> Leaderboard:
    """The leaderboard of one or several run folders.

    Args:
        contents: What they hold.
        verdicts: On the metrics; None takes those that come with thbench.
    """
    records, refused = costs_of(contents)
    leaderboard = aggregate(
        contents.records,
        contents.info,
        warnings=(*contents.warnings, *refused),
        features=contents.features,
        costs=records,
    )
    return with_checks(leaderboard, shipped_verdicts() if verdicts is None else verdicts)


def costs_of(contents: Contents) -> tuple[list[CostRecord], list[str]]:
    """The cost records of the run folders, and a sentence for each file that is none."""
    found: list[CostRecord] = []
    refused: list[str] = []
    for folder in sorted(set(contents.folders.values())):
        records, words = read_cost_records(folder)
        found += records
        refused += words
    return sorted(found, key=lambda record: record.created), refused


def write_files(leaderboard: Leaderboard, folder: Path) -> None:
    """Write the leaderboard in all formats, each file whole or not at all.

    Raises:
        WriteError: A file cannot be written.
    """
    for name, write in FORMATS.items():
        write_atomically(folder / name, write(leaderboard))
