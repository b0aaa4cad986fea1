"""Which generated video belongs to which reference video."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.data.folder import videos_of
from thbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Pair:
    """One clip of a comparison; at least one side is there."""

    clip: str
    """Clip id."""
    generated: Path | None
    """None: the method gave no video for this clip, which counts as failed."""
    reference: Path | None
    """None: only metrics that need no reference are scored."""


def pair_folders(generated: Path, reference: Path | None, table: Path | None = None) -> tuple[Pair, ...]:
    """Match two folders by file name without ending, or by a table.

    Args:
        generated: Folder of generated videos.
        reference: Folder of reference videos; None scores only what needs none.
        table: CSV with the columns `generated` and `reference` (file names within the folders) for methods that name
            their outputs otherwise.

    Returns:
        Every clip of either folder, by clip id.

    Raises:
        UsageError: A folder holds no videos, or the table names files that are not there.
    """
    made = videos_of(generated, role="--generated")
    if reference is None:
        if table is not None:
            raise UsageError("--pairs names partners in a reference folder; give it with --reference")
        return tuple(Pair(clip, path, None) for clip, path in made.items())
    real = videos_of(reference, role="--reference")
    if table is not None:
        made = _renamed(made, real, table)
    return tuple(Pair(clip, made.get(clip), real.get(clip)) for clip in sorted(made.keys() | real.keys()))


def _renamed(made: Mapping[str, Path], real: Mapping[str, Path], table: Path) -> dict[str, Path]:
    """The generated videos under the names of their references."""
    if not table.is_file():
        raise UsageError(f"--pairs: no file {table}; give a CSV file with the columns generated,reference")
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"generated", "reference"} <= set(reader.fieldnames or ()):
            raise UsageError(f"--pairs: {table} has the columns {reader.fieldnames}; it must have generated,reference")
        rows = [(row["generated"] or "", row["reference"] or "") for row in reader]
    by_reference: dict[str, Path] = {}
    for ours, theirs in rows:
        path = made.get(ours) or made.get(Path(ours).stem)
        if path is None:
            raise UsageError(f"--pairs: {table} names generated video {ours!r}{did_you_mean(ours, made)}")
        clip = theirs if theirs in real else Path(theirs).stem
        if clip not in real:
            raise UsageError(f"--pairs: {table} names reference video {theirs!r}{did_you_mean(theirs, real)}")
        if clip in by_reference:
            raise UsageError(f"--pairs: {table} gives reference {clip!r} twice; one generated video per reference")
        by_reference[clip] = path
    return by_reference
