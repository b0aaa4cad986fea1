"""Single pictures of many more people, for training alone: `python -m thbench.backbones.mini.train.stills`.

A model of a person costs more than its pictures, and an embedding of identity learns from people, not from frames. Each
person is drawn once in each of several scenes, in movements that clips of the train split made. Seeds of people and
scenes begin at `FIRST`, beyond those of every split.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.cache import data_folder, split_folder
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.model import make_model
from thbench.data.synth_heads.person import make_person, stream
from thbench.data.synth_heads.plan import VERSION
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import identity_vector, landmarks, select68
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.motion import Motion
    from thbench.types import Clip

FIRST = 3_000_000
"""Seed of the first person."""
EACH = 8
"""Pictures of a person, each in a scene of its own."""
SIZE = 128
"""Pixels along each side."""
_CHANNELS = ("expression", "gaze", "pose", "place", "chest")


@dataclass(frozen=True, slots=True)
class Stills:
    """Pictures of people who are in no split."""

    frames: NDArray[np.uint8]
    """Shape (people, pictures, size, size, 3), RGB."""
    landmarks68: NDArray[np.float32]
    """Shape (people, pictures, 68, 2); pixels."""
    vectors: NDArray[np.float32]
    """Identity vectors, shape (people, d)."""


def stills_folder() -> Path:
    """Where they are made when nobody names a folder."""
    return data_folder() / f"v{VERSION}-stills-{SIZE}px"


def make_stills(
    folder: Path, people: int, clips: Sequence[Clip], on_person: Callable[[int, int], None] | None = None
) -> None:
    """Draw people, or those of them that are missing.

    Args:
        folder: Where to; made if absent.
        people: How many, from the first.
        clips: Of the train split, whose movements are used.
        on_person: Called with how many are done and how many there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(people):
        path = _file(folder, number)
        if not path.exists():
            part = path.with_suffix(".part.npz")
            frames, points = _draw(FIRST + number, clips)
            np.savez(part, frames=frames, landmarks68=points)
            part.replace(path)
        if on_person:
            on_person(number + 1, people)


def open_stills(folder: Path, people: int) -> Stills:
    """Read people.

    Raises:
        UsageError: There are not so many in the folder.
    """
    if people and not _file(folder, people - 1).exists():
        raise UsageError(
            f"{folder} does not hold the pictures of {people} people; make them with"
            f" `python -m thbench.backbones.mini.train.stills --people {people}`"
        )
    files = [np.load(_file(folder, number)) for number in range(people)]
    return Stills(
        frames=np.stack([f["frames"] for f in files]),
        landmarks68=np.stack([f["landmarks68"] for f in files]),
        vectors=np.array([list(identity_vector(FIRST + n).values()) for n in range(people)], np.float32),
    )


def _file(folder: Path, number: int) -> Path:
    return folder / f"p{FIRST + number:07d}.npz"


def _draw(person: int, clips: Sequence[Clip]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    rng = stream(0x57111, person)
    model = make_model(make_person(person), 2 * SIZE)
    frames, points = [], []
    for number in range(EACH):
        motion = instant(truth_of(clips[int(rng.integers(len(clips)))]).motion, rng)
        scene = make_scene(FIRST + EACH * (person - FIRST) + number)
        frames.append(next(iter(render(model, motion, scene, SIZE))).rgb)
        points.append(select68(landmarks(model.geometry, motion, scene.camera, SIZE, 0)))
    return np.stack(frames), np.stack(points)


def instant(motion: Motion, rng: np.random.Generator) -> Motion:
    """A motion of one frame, any one of another."""
    at = int(rng.integers(len(motion)))
    return dataclasses.replace(motion, **{name: getattr(motion, name)[at : at + 1] for name in _CHANNELS})


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw people."""
    parser = argparse.ArgumentParser(prog="python -m thbench.backbones.mini.train.stills")
    parser.add_argument("--people", type=int, default=384, help="how many (%(default)s)")
    parser.add_argument("--folder", type=Path, default=stills_folder(), help="where to (%(default)s)")
    parser.add_argument("--clips", type=int, default=256, help="clips of the train split to take movements from")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    clips = clips_of(split_folder("train", SIZE, 4.0))[: options.clips]
    make_stills(options.folder, options.people, clips, lambda done, of: logging.info("%d of %d", done, of))


if __name__ == "__main__":
    main()
