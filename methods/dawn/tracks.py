"""Pose and blinks that the user gives instead of PBNet's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.tracks import read_track

if TYPE_CHECKING:
    import numpy as np
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
    allowed = (1, columns) if what == "blink" else (3, columns)
    rows = read_track(path, f"dawn: {what}", (GENERATED, STILL), allowed)
    return rows.repeat(columns, axis=1) if rows.shape[1] == 1 else rows
