"""Pictures of people who show what others show, for trainings in which faces are to change what they show.

The emotion of a clip of synth-heads does not change, so a renderer that only ever makes frames of a clip from another
frame of it never learns to change it. The published renderer is PIRenderer tuned on emotional videos, MEAD's, where
everybody is filmed in one place with all emotions (arXiv 2312.09767). Here the same is drawn: a person of the split in
the scene and with the head movement of a clip, with expression and gaze of instants of other clips.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from thbench_methods.common.still import rested, resting_frame

from thbench.data.synth_heads.dataset import truth_of
from thbench.data.synth_heads.model import make_model
from thbench.data.synth_heads.person import make_person, stream
from thbench.data.synth_heads.pictures import FOLDER
from thbench.data.synth_heads.plan import VERSION
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import landmarks, select68, small_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.data.synth_heads.motion import Motion
    from thbench.data.synth_heads.truth import Truth
    from thbench.types import Clip

CLIPS, EACH = 128, 20
"""Clips whose people act, the first of the split, and pictures of each. To paint a person costs as much as 20
pictures."""
OPAQUE = 128
"""Share of a pixel, of 255, from which on it counts as face."""


class Faces(NamedTuple):
    """Expressions and gazes that are shown in the place of those of the clips."""

    name: str
    """Of what is kept of them."""
    of: Callable[[int], Motion]
    """Number of a clip to a motion as long as it."""


@dataclass(frozen=True)
class Acted:
    """Pictures of the first clips of a split; arrays begin with (clips, EACH)."""

    frames: NDArray[np.uint8]
    """Shape (clips, EACH, size, size, 3), RGB."""
    landmarks68: NDArray[np.float32]
    """Shape (clips, EACH, 68, 2); pixels."""
    mask: NDArray[np.bool_]
    """Face mask, shape (clips, EACH, 64, 64)."""
    body: NDArray[np.int64]
    """Frame of the clip itself whose head and chest are shown, if they do not rest."""
    source: NDArray[np.int64]
    """Number of the clip whose expression and gaze are shown."""
    instant: NDArray[np.int64]
    """Frame of that clip."""

    def __len__(self) -> int:
        return len(self.frames)


def open_acted(folder: Path, clips: Sequence[Clip], *, resting: bool = False, faces: Faces | None = None) -> Acted:
    """Open the pictures of a split; what was never drawn is drawn now and kept.

    Args:
        folder: Of the split.
        clips: Of it, from the first; no more than `CLIPS` of them count.
        resting: Heads and backdrops are where they are in the pictures of `still`.
        faces: What is shown; expression and gaze of the clips themselves unless stated.
    """
    clips = clips[:CLIPS]
    kind = ("resting-" if resting else "") + (f"{faces.name}-" if faces else "")
    place = folder / FOLDER / f"acted-{kind}v{VERSION}-{len(clips)}x{EACH}"
    place.mkdir(exist_ok=True, parents=True)
    paths = [place / f"{clip.id}.npz" for clip in clips]
    if not all(path.exists() for path in paths):
        truths = [truth_of(clip) for clip in clips]
        shown = [faces.of(number) if faces else truth.motion for number, truth in enumerate(truths)]
        for number, path in enumerate(paths):
            if not path.exists():
                part = path.with_suffix(".part.npz")
                np.savez(part, allow_pickle=False, **drawn(truths, number, shown, resting=resting))
                part.replace(path)
    parts = []
    for path in paths:
        with np.load(path) as kept:
            parts.append([kept[field.name] for field in dataclasses.fields(Acted)])
    return Acted(*map(np.stack, zip(*parts, strict=True)))


def drawn(
    truths: Sequence[Truth], number: int, shown: Sequence[Motion], *, resting: bool = False
) -> dict[str, NDArray[np.generic]]:
    """Draw the person of one clip with what is shown in others: the fields of `Acted`, without the leading axis.

    Args:
        truths: Of all clips.
        number: Of the clip.
        shown: Motion of all clips, whose expression and gaze are shown.
        resting: As of `open_acted`.
    """
    own = truths[number]
    rng = stream(0x57AC7, own.about.seed)
    body = np.sort(rng.choice(len(own), EACH, replace=False))
    source = rng.integers(len(truths), size=EACH)
    instant = np.array([rng.integers(len(truths[other])) for other in source])
    expression, gaze = own.expression.copy(), own.gaze.copy()
    for frame, other, at in zip(body, source, instant, strict=True):
        expression[frame], gaze[frame] = shown[other].expression[at], shown[other].gaze[at]
    motion = dataclasses.replace(own.motion, expression=expression, gaze=gaze)
    if resting:
        motion = rested(motion, resting_frame(own.about.seed, len(own)))
    size = own.about.size
    model, scene = make_model(make_person(own.about.person), max(2 * size, 256)), make_scene(own.about.seed)
    pictures = list(render(model, motion, scene, size, body.tolist()))
    points = [select68(landmarks(model.geometry, motion, scene.camera, size, int(frame))) for frame in body]
    return {
        "frames": np.stack([picture.rgb for picture in pictures]),
        "landmarks68": np.stack(points),
        "mask": np.stack([small_mask(picture.face >= OPAQUE) for picture in pictures]),
        "body": body,
        "source": source,
        "instant": instant,
    }
