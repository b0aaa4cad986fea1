"""Any folder of videos as a dataset."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from thbench.errors import UsageError
from thbench.types import Clip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

VIDEO_ENDINGS = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v"})
"""Files with these endings are videos; others are left alone."""


def videos_of(folder: Path, *, role: str) -> dict[str, Path]:
    """Videos of a folder by clip id (file name without ending), sorted; hidden files are left out.

    Args:
        folder: Where to look; subfolders are not searched.
        role: What the folder is, for errors (e.g. "--generated").

    Raises:
        UsageError: The folder does not exist, holds no video, or holds two videos of one name.
    """
    if not folder.exists():
        raise UsageError(f"{role}: no folder {folder}; give a folder of videos")
    if not folder.is_dir():
        raise UsageError(f"{role}: {folder} is a file; give the folder that holds the videos")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in VIDEO_ENDINGS or path.name.startswith(".") or path.is_dir():
            continue
        clip = printable(path.stem)
        if clip in found:
            raise UsageError(f"{role}: {found[clip].name} and {path.name} have one clip name; keep one of them")
        found[clip] = path
    if not found:
        raise UsageError(f"{role}: no video in {folder}; files must end in {', '.join(sorted(VIDEO_ENDINGS))}")
    return found


def printable(name: str) -> str:
    """A file name as text that can be stored: bytes that are no UTF-8 are written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def clips_of(folder: Path) -> tuple[Clip, ...]:
    """Every video of a folder as a clip; who speaks is read from its `identities.csv`, where there is one."""
    videos = videos_of(folder, role="--data")
    table = folder / "identities.csv"
    who = identities_of(videos, table=table if table.is_file() else None)
    return tuple(Clip(id=name, identity=who[name], path=path) for name, path in videos.items())


def identities_of(clips: Iterable[str], *, table: Path | None = None, pattern: str | None = None) -> Mapping[str, str]:
    """Who speaks in which clip.

    Args:
        clips: Clip ids.
        table: CSV with the columns `clip` and `identity`.
        pattern: Regular expression whose first group, searched in the clip id, is the identity.

    Returns:
        Clip id to identity; a clip of which nothing is said is its own identity.

    Raises:
        UsageError: The table lacks a column, or the pattern is no regular expression with a group.
    """
    said: dict[str, str] = {}
    if table is not None:
        said = _read_identities(table)
    if pattern is None:
        return {clip: said.get(clip, clip) for clip in clips}
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--identity {pattern!r} is not a regular expression: {error}") from error
    if compiled.groups < 1:
        raise UsageError(
            f"--identity {pattern!r} has no group; put the identity's part in parentheses, e.g. '^([^_]+)_'"
        )
    found = {clip: compiled.search(clip) for clip in clips}
    return {clip: said.get(clip) or (match[1] if match and match[1] else clip) for clip, match in found.items()}


def _read_identities(table: Path) -> dict[str, str]:
    if not table.is_file():
        raise UsageError(f"no identity table {table}; give a CSV file with the columns clip,identity")
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"clip", "identity"} <= set(reader.fieldnames or ()):
            raise UsageError(f"{table} has the columns {reader.fieldnames}; it must have clip,identity")
        return {row["clip"]: row["identity"] for row in reader if row["clip"] and row["identity"]}
