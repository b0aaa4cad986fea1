"""Single pictures of very many faces, for training alone: `python -m thbench.backbones.mini.train.strangers`.

Nothing in a picture marks where the line of a jaw is cut into landmarks; that follows from the shape of the face, and
has to be learnt from many shapes. To paint a head and to see what light reaches it costs thirty times as much as to
bend its mesh, so that each painted head is drawn with many shapes, each in a scene of its own and in a movement that
a clip of the train split made. Seeds begin at `FIRST`, beyond those of every split and of `stills`.
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

from thbench.backbones.mini.train.stills import SIZE, instant
from thbench.data.synth_heads.cache import data_folder, split_folder
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.model import make_geometry, make_model
from thbench.data.synth_heads.person import make_person, reshaped, stream
from thbench.data.synth_heads.plan import VERSION
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import landmarks, select68
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from thbench.types import Clip

FIRST = 4_000_000
"""Seed of the first head that is painted."""
EACH = 24
"""Shapes of a painted head, each in one picture."""


@dataclass(frozen=True, slots=True)
class Strangers:
    """Pictures of faces that are in no split, no two of one shape; all arrays begin with (pictures,)."""

    frames: NDArray[np.uint8]
    """Shape (pictures, size, size, 3), RGB."""
    landmarks68: NDArray[np.float32]
    """Shape (pictures, 68, 2); pixels."""
    pose: NDArray[np.float32]
    """Yaw, pitch, roll, shape (pictures, 3); degrees."""
    expression: NDArray[np.float32]
    """Shape (pictures, expressions), range [0, 1], in the order of `expression.EXPRESSIONS`."""

    def __len__(self) -> int:
        return len(self.frames)


def strangers_folder() -> Path:
    """Where they are made when nobody names a folder."""
    return data_folder() / f"v{VERSION}-strangers-{SIZE}px"


def make_strangers(
    folder: Path, heads: int, clips: Sequence[Clip], on_head: Callable[[int, int], None] | None = None
) -> None:
    """Draw strangers, or those of them that are missing.

    Args:
        folder: Where to; made if absent.
        heads: How many are painted, from the first; each is drawn with `EACH` shapes.
        clips: Of the train split, whose movements are used.
        on_head: Called with how many are done and how many there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(heads):
        path = _file(folder, number)
        if not path.exists():
            part = path.with_suffix(".part.npz")
            made = _draw(FIRST + number, clips)
            np.savez(
                part,
                frames=made.frames,
                landmarks68=made.landmarks68,
                pose=made.pose,
                expression=made.expression,
            )
            part.replace(path)
        if on_head:
            on_head(number + 1, heads)


def open_strangers(folder: Path, heads: int) -> Strangers:
    """Read strangers.

    Raises:
        UsageError: There are not so many in the folder.
    """
    if not _file(folder, heads - 1).exists():
        raise UsageError(
            f"{folder} does not hold the pictures of {heads} heads; make them with"
            f" `python -m thbench.backbones.mini.train.strangers --heads {heads}`"
        )
    files = [np.load(_file(folder, number)) for number in range(heads)]
    return Strangers(*(np.concatenate([f[field.name] for f in files]) for field in dataclasses.fields(Strangers)))


def _file(folder: Path, number: int) -> Path:
    return folder / f"h{FIRST + number:07d}.npz"


def _draw(seed: int, clips: Sequence[Clip]) -> Strangers:
    rng = stream(0x57123, seed)
    painted = make_model(make_person(seed), 2 * SIZE)
    rows = []
    for number in range(EACH):
        geometry = make_geometry(reshaped(painted.geometry.person, rng))
        model = dataclasses.replace(painted, geometry=geometry)
        motion = instant(truth_of(clips[int(rng.integers(len(clips)))]).motion, rng)
        scene = make_scene(FIRST + EACH * (seed - FIRST) + number)
        picture = next(iter(render(model, motion, scene, SIZE))).rgb
        points = select68(landmarks(geometry, motion, scene.camera, SIZE, 0))
        rows.append((picture, points, motion.pose[0], motion.expression[0]))
    return Strangers(*map(np.stack, zip(*rows, strict=True)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw strangers."""
    parser = argparse.ArgumentParser(prog="python -m thbench.backbones.mini.train.strangers")
    parser.add_argument("--heads", type=int, default=160, help=f"how many, each with {EACH} shapes (%(default)s)")
    parser.add_argument("--folder", type=Path, default=strangers_folder(), help="where to (%(default)s)")
    parser.add_argument("--clips", type=int, default=256, help="clips of the train split to take movements from")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    clips = clips_of(split_folder("train", SIZE, 4.0))[: options.clips]
    make_strangers(options.folder, options.heads, clips, lambda done, of: logging.info("%d of %d", done, of))


if __name__ == "__main__":
    main()
