"""Weight files that the user put in the place of published ones, with the size and digest that they had then."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thbench.errors import UsageError
from thbench.spec import WeightSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "own"
"""Folder of the user's own files, in the weights folder."""
TERMS = "user-supplied"
"""Licence of the spec of a user's own file."""


def spec(weights: Path, name: str, used_for: str) -> WeightSpec | None:
    """Return the spec of the user's own file, as it was when it was added; None if none was.

    Args:
        weights: The weights folder.
        name: Name of the weight file.
        used_for: What thbench does with it.

    Raises:
        UsageError: What was written of the file cannot be read.
    """
    note = weights / FOLDER / f"{name}.json"
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        return WeightSpec(
            name=name,
            file=f"{FOLDER}/{name}/{content['file']}",
            bytes=content["bytes"],
            sha256=content["sha256"],
            licence=TERMS,
            source=content["source"],
            used_for=used_for,
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{note} cannot be read: {error}; remove it and run: thbench weights add {name} FILE"
        ) from error


def measure(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file.

    Raises:
        UsageError: It cannot be read or is empty.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a weight file") from error
    if size == 0:
        raise UsageError(f"{path} is empty; give the path of a weight file")
    return size, digest


def store(weights: Path, name: str, source: Path, measured: tuple[int, str]) -> None:
    """Copy a file of the user's, then write down what it is.

    Args:
        weights: The weights folder.
        name: Name of the weight file.
        source: The user's file.
        measured: Its size and digest.

    Raises:
        UsageError: It cannot be copied.
    """
    target = weights / FOLDER / name / source.name
    note = weights / FOLDER / f"{name}.json"
    size, digest = measured
    content = {"file": source.name, "bytes": size, "sha256": digest, "source": str(source.resolve())}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(target) as part:
            shutil.copyfile(source, part)
            part.replace(target)
        with partial_file(note) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            part.replace(note)
    except OSError as error:
        raise UsageError(f"{source} cannot be copied to {target.parent}: {error}; make room or rights there") from error


def remove(weights: Path, name: str) -> bool:
    """Take away the user's own file; say whether there was one.

    Raises:
        UsageError: It cannot be removed.
    """
    note = weights / FOLDER / f"{name}.json"
    was_there = note.exists()
    try:
        note.unlink(missing_ok=True)
        if (weights / FOLDER / name).is_dir():
            shutil.rmtree(weights / FOLDER / name)
    except OSError as error:
        raise UsageError(f"the file for {name!r} in {note.parent} cannot be removed: {error}; free it") from error
    return was_there


@contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`; removed at the end if it still exists."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
