"""Pose and blinks that the user gives instead of PBNet's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.errors import MethodError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

GENERATED, STILL = "generated", "still"
"""Words that a track may be; anything else is a file."""


def given_track(what: str, choice: str, portrait: Tensor, frames: int) -> Tensor | None:
    """Return a track that is not to be generated.

    Args:
        what: `pose` or `blink`, for errors.
        choice: `generated`, `still`, or the path of a `.npy` or `.csv` file with one row for each frame at 25 frames
            per second. A file of fewer columns than the state has sets the first ones (yaw, pitch, roll), or both eyes
            where it has one; a shorter one holds its last row.
        portrait: The state of the portrait, shape (n,).
        frames: Of the clip.

    Returns:
        Shape (frames, n); None where it is to be generated.

    Raises:
        MethodError: The file cannot be read, or does not hold such rows.
    """
    if choice == GENERATED:
        return None
    track = portrait.expand(frames, -1).clone()
    if choice == STILL:
        return track
    rows = torch.from_numpy(_rows(what, Path(choice), len(portrait)))
    rows = torch.cat((rows, rows[-1:].expand(max(frames - len(rows), 0), -1)))[:frames]
    track[:, : rows.shape[1]] = rows
    return track


def _rows(what: str, path: Path, columns: int) -> NDArray[np.float32]:
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            values = np.loadtxt(path, delimiter=",", ndmin=2)
        rows = np.asarray(values, dtype=np.float32)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise MethodError(
            f"dawn: {what} is {str(path)!r}, which cannot be read ({reason}); give {GENERATED!r}, {STILL!r}, or the"
            " path of a .npy or .csv file with a row per frame"
        ) from error
    rows = rows[:, None] if rows.ndim == 1 else rows
    if what == "blink" and rows.ndim == 2 and rows.shape[1] == 1:
        rows = rows.repeat(2, axis=1)
    allowed = (columns,) if what == "blink" else (3, columns)
    if rows.ndim != 2 or len(rows) < 1 or rows.shape[1] not in allowed or not np.isfinite(rows).all():
        raise MethodError(
            f"dawn: {what} is {str(path)!r}, which holds an array of shape {rows.shape}; it must hold finite numbers,"
            f" one row per frame, {' or '.join(map(str, allowed))} columns"
        )
    return rows
