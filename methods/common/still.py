"""Pictures of people who speak with their heads at rest, for trainings in which speech is to be most of what changes.

Of what changes around a mouth in the clips of synth-heads, the head's movement is the larger part, and a small network
that is to learn from sound what lips do mostly sees noise. Here each clip is acted once more by the same person in the
same scene with the same speech, expression, gaze and blinks, while head and chest rest as they are in one frame of it,
and the backdrop rests too: as a presenter in front of a camera.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.data.synth_heads.dataset import truth_of
from thbench.data.synth_heads.model import make_model
from thbench.data.synth_heads.person import make_person, stream
from thbench.data.synth_heads.pictures import FOLDER, Pictures, keep, kept
from thbench.data.synth_heads.plan import VERSION
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import landmarks, select68, small_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.data.synth_heads.motion import Motion
    from thbench.data.synth_heads.truth import Truth
    from thbench.types import Clip

RESTING = ("pose", "place", "chest")
"""Fields of a motion that rest."""
OPAQUE = 128
"""Share of a pixel, of 255, from which on it counts as face."""


def still(folder: Path, pictures: Pictures, on_clip: Callable[[int, int], None] | None = None) -> Pictures:
    """Return the same clips with heads at rest; what was never drawn is drawn now and kept.

    Args:
        folder: Of the split.
        pictures: Clips of it, from the first.
        on_clip: Called with how many are drawn and how many there are.

    Returns:
        Frames, landmarks and masks are those of the clips at rest, frames as drawn, without the losses of a codec;
        each clip's pose is that of its resting frame. All else is as it was.
    """
    place = folder / FOLDER / f"still-v{VERSION}"
    keep(place, pictures.clips, drawn, on_clip)
    return seen_at_rest(place, pictures)


def seen_at_rest(place: Path, pictures: Pictures) -> Pictures:
    """Return clips as they were drawn at rest into a folder: frames, landmarks and masks, and the pose that rests."""
    frames, points, mask = pictures.frames, pictures.landmarks68, pictures.mask
    return dataclasses.replace(
        pictures,
        frames=kept(place, "frames", frames.dtype, frames.shape),
        landmarks68=kept(place, "landmarks68", points.dtype, points.shape),
        mask=kept(place, "mask", mask.dtype, mask.shape),
        pose=np.stack([np.tile(pose[at], (len(pose), 1)) for pose, at in _resting(pictures)]),
    )


def resting_frame(seed: int, frames: int) -> int:
    """Return the frame of a clip in which the head is as it rests, by the seed of the clip."""
    return int(stream(0x57111, seed).integers(frames))


def rested(motion: Motion, at: int) -> Motion:
    """Return a motion in which head and chest rest as in frame `at`, and a backdrop that drifts rests too."""
    resting = {name: np.tile(getattr(motion, name)[at], (len(motion), 1)) for name in RESTING}
    # Frames are an instant apart, so that nothing behind the head has time to move.
    return dataclasses.replace(motion, fps=math.inf, **resting)


def drawn(clip: Clip) -> Mapping[str, NDArray[Any]]:
    """Draw one clip at rest: its frames (F, size, size, 3), 68 landmarks (F, 68, 2) and face masks (F, 64, 64)."""
    return acted_at_rest(truth_of(clip))


def acted_at_rest(truth: Truth, motion: Motion | None = None) -> dict[str, NDArray[Any]]:
    """Draw a clip with its head at rest as `drawn` does, with its own motion or with another of the same length."""
    size = truth.about.size
    motion = rested(truth.motion if motion is None else motion, resting_frame(truth.about.seed, len(truth)))
    model, scene = make_model(make_person(truth.about.person), max(2 * size, 256)), make_scene(truth.about.seed)
    pictures = list(render(model, motion, scene, size))
    points = [select68(landmarks(model.geometry, motion, scene.camera, size, frame)) for frame in range(len(truth))]
    return {
        "frames": np.stack([picture.rgb for picture in pictures]),
        "landmarks68": np.stack(points).astype(np.float32),
        "mask": np.stack([small_mask(picture.face >= OPAQUE) for picture in pictures]),
    }


def _resting(pictures: Pictures) -> list[tuple[NDArray[np.float32], int]]:
    seeds = [truth_of(clip).about.seed for clip in pictures.clips]
    return [(pose, resting_frame(seed, len(pose))) for pose, seed in zip(pictures.pose, seeds, strict=True)]
