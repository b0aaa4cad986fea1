"""Tracks of numbers that users give in the place of generated ones, such as head pose: a row for each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray


def read_track(path: Path, what: str, words: Collection[str], columns: Collection[int]) -> NDArray[np.float32]:
    """Read a `.npy` file, or one of numbers with commas between.

    Args:
        path: The file.
        what: Method and control, for errors, e.g. `dawn: pose`.
        words: What may be given in the place of a file, for errors.
        columns: How many it may have.

    Returns:
        Shape (rows, columns), at least one row; a single row of numbers in a `.npy` file is a column.

    Raises:
        MethodError: The file cannot be read, or does not hold such rows.
    """
    try:
        values = (
            np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", ndmin=2)
        )
        rows = np.asarray(values, dtype=np.float32)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise MethodError(
            f"{what} is {str(path)!r}, which cannot be read ({reason}); give {', '.join(map(repr, words))}, or the path"
            " of a .npy or .csv file with a row per frame"
        ) from error
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or len(rows) < 1 or rows.shape[1] not in columns or not np.isfinite(rows).all():
        raise MethodError(
            f"{what} is {str(path)!r}, which holds an array of shape {rows.shape}; it must hold finite numbers, one row"
            f" per frame, {' or '.join(map(str, columns))} columns"
        )
    return rows
