"""Files that commands write beside their output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from thbench.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def write_text(path: Path, text: str, option: str) -> None:
    """Write a file, or standard output for `-`.

    Raises:
        UsageError: It cannot be written.
    """
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{option}: cannot write {path}: {error.strerror}; give another file") from error
