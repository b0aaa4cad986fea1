"""Clips of synth-heads with their coefficients, for all trainings of the mini preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from thbench_methods.dreamtalk.faces import Face, face_of

from thbench.backbones.mini import loaded
from thbench.backbones.mini.digests import digest
from thbench.backbones.mini.face import look
from thbench.data.synth_heads.pictures import FOLDER, Pictures, open_pictures

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.float32]]

EVERY = 10
"""One frame of so many may be the portrait: it is read by the face regressor, as in use."""


@dataclass(frozen=True)
class Examples:
    """The first clips of a split with their coefficients."""

    pictures: Pictures
    truth: Face
    """Arrays begin with (clips, frames)."""
    read: Face
    """What the face regressor reads; arrays begin with (clips, frames / EVERY)."""

    def __len__(self) -> int:
        return len(self.pictures)


def open_examples(folder: Path, count: int | None = None) -> Examples:
    """Open a split; what was never read of its frames is read now and kept.

    Args:
        folder: Made by `thbench data make synth-heads`.
        count: How many clips, from the first; None takes all.
    """
    pictures = open_pictures(folder, count)
    truth = face_of(pictures.expression, pictures.pose, pictures.landmarks68)
    read = _read(pictures, folder / FOLDER / f"face-{digest('face')[:12]}-every-{EVERY}.npz")
    return Examples(pictures, truth, face_of(read["expression"], read["pose"], read["landmarks"]))


def _read(pictures: Pictures, place: Path) -> Arrays:
    """Return expression, pose and landmarks of every so manieth frame as the face regressor of this version sees it."""
    kept = _kept(place)
    known = len(kept["expression"]) if kept else 0
    fresh = [look(loaded.face(), pictures.frames[clip, ::EVERY]) for clip in range(known, len(pictures))]
    if fresh:
        for name in ("expression", "pose", "landmarks"):
            new = np.stack([getattr(seen, name) for seen in fresh])
            kept[name] = np.concatenate((kept[name], new)) if known else new
        part = place.with_suffix(".part.npz")
        np.savez(part, **kept)  # type: ignore[arg-type]
        part.replace(place)
    return {name: array[: len(pictures)] for name, array in kept.items()}


def _kept(place: Path) -> Arrays:
    if not place.exists():
        return {}
    with np.load(place) as kept:
        return {name: kept[name] for name in kept.files}
