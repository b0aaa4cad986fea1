"""Speech and expression of many more people, for the training of the mini style predictor alone.

What a voice tells of a style it tells over many voices: in a split of some hundred people a predictor learns these
people. Nothing is drawn here, since the predictor sees no picture: people who are in no split say sentences of the
train split, and of their faces only the landmarks are computed that tell who somebody is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from thbench_methods.dreamtalk.faces import face_of

from thbench.data.synth_heads.model import make_geometry
from thbench.data.synth_heads.performance import perform, utter
from thbench.data.synth_heads.person import make_person, stream
from thbench.data.synth_heads.plan import VERSION, plan
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.style import make_style, make_voice
from thbench.data.synth_heads.truth import landmarks, select68
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.data.synth_heads.motion import Motion

FIRST = 6_000_000
"""Seed of the first person, beyond those of every split."""
COUNT = 2048
"""People, each with one clip."""
SECONDS, FPS, SIZE = 4.0, 25.0, 128
PART = 128
"""People of one file."""


@dataclass(frozen=True)
class Voices:
    """Clips that nobody drew; arrays begin with (people,)."""

    sound: NDArray[np.int16]
    """Shape (people, samples), 16 kHz."""
    expression: NDArray[np.float32]
    """Shape (people, frames, expressions), [0, 1]."""
    speaker: NDArray[np.float32]
    """Shape (people, SPEAKER): as of a portrait of another clip."""

    def __len__(self) -> int:
        return len(self.sound)


def open_voices(folder: Path, count: int = COUNT) -> Voices:
    """Open voices; who never spoke speaks now and is kept.

    Args:
        folder: Where they are kept; made if absent.
        count: How many, a multiple of `PART`.

    Raises:
        UsageError: There cannot be so many.
    """
    return Voices(**kept_people(folder, "voices", count, PART, spoken))


def kept_people(
    folder: Path, name: str, count: int, part: int, make: Callable[[range], Mapping[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Return arrays of people by their names; who was never made is made now and kept.

    Args:
        folder: Where files are kept; made if absent.
        name: Of the files.
        count: How many people, a multiple of `part`.
        part: People of one file.
        make: The arrays of people of some numbers, each beginning with (people,).

    Raises:
        UsageError: There cannot be so many.
    """
    if count % part or count < 1:
        raise UsageError(f"{count} {name} cannot be made; choose a multiple of {part}")
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, count, part):
        path = folder / f"{name}-v{VERSION}-{FIRST + first}.npz"
        if not path.exists():
            unfinished = path.with_suffix(".part.npz")
            np.savez(unfinished, allow_pickle=False, **make(range(first, first + part)))
            unfinished.replace(path)
        with np.load(path) as kept:
            parts.append(dict(kept))
    return {key: np.concatenate([one[key] for one in parts]) for key in parts[0]}


def spoken(numbers: range) -> dict[str, NDArray[np.generic]]:
    """Let people speak: the fields of `Voices`. What a portrait shows is what the one before shows."""
    sounds, expressions, speakers = [], [], []
    shown = spoken_clip(numbers[-1])[1]
    for number in numbers:
        sound, motion = spoken_clip(number)
        sounds.append(np.rint(sound * 32767).astype(np.int16))
        expressions.append(motion.expression)
        speakers.append(_portrait(number, shown))
        shown = motion
    return {"sound": np.stack(sounds), "expression": np.stack(expressions), "speaker": np.stack(speakers)}


def spoken_clip(number: int) -> tuple[NDArray[np.float32], Motion]:
    """Return sound and movement of a person; text, emotion and intent are those of `plan("train", number)`."""
    seed, planned = FIRST + number, plan("train", number, SECONDS)
    voice = make_voice(make_person(seed), planned.language)
    said = utter(planned.text, voice, planned.emotion, planned.level, SECONDS)
    acted = perform(
        said, make_style(seed), planned.emotion, planned.level, planned.intent, seed=seed, seconds=SECONDS, fps=FPS
    )
    return acted.audio.samples, acted.motion


def _portrait(number: int, shown: Motion) -> NDArray[np.float32]:
    """Return what tells the person (SPEAKER,), in an instant of somebody's movement."""
    seed = FIRST + number
    frame = int(stream(0x50CE, seed).integers(len(shown)))
    geometry, camera = make_geometry(make_person(seed)), make_scene(seed).camera
    points = select68(landmarks(geometry, shown, camera, SIZE, frame))
    return face_of(shown.expression[frame], shown.pose[frame], points).speaker.numpy()
