"""Pictures of people who say their own words with the emotion of others, for the training of styles.

In clips of synth-heads, as in films, voice and face show the same emotion, so that a network that hears has no need to
be told the style. Here each clip is acted once more by the same person, with the same words at the same times, but with
the face of another clip's emotion; the style that is told is that clip's, and the voice is no help. Heads are at rest
as in `common.still`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from thbench_methods.common.still import acted_at_rest, seen_at_rest
from thbench_methods.dreamtalk.acted import Faces

from thbench.data.synth_heads.dataset import truth_of
from thbench.data.synth_heads.performance import perform, utter
from thbench.data.synth_heads.person import make_person, stream
from thbench.data.synth_heads.pictures import FOLDER, keep
from thbench.data.synth_heads.plan import VERSION
from thbench.data.synth_heads.style import make_style, make_voice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.data.synth_heads.motion import Motion
    from thbench.data.synth_heads.pictures import Pictures
    from thbench.data.synth_heads.style import Style
    from thbench.data.synth_heads.truth import Truth
    from thbench.types import Clip


class Restyled(NamedTuple):
    """A split once more, with other faces."""

    pictures: Pictures
    """As of `still`: frames, landmarks and masks are those of the clips as they are acted here."""
    style: NDArray[np.int64]
    """Shape (clips,): number of the clip whose emotion each shows."""


def restyled(folder: Path, pictures: Pictures) -> Restyled:
    """Return the same clips, each with the emotion of another; what was never drawn is drawn now and kept.

    Args:
        folder: Of the split.
        pictures: Clips of it, from the first.
    """
    faces = restyled_faces(pictures)
    place = folder / FOLDER / f"{faces.name}-v{VERSION}-{len(pictures)}"
    numbers = {clip.id: number for number, clip in enumerate(pictures.clips)}

    def drawn(clip: Clip) -> Mapping[str, NDArray[Any]]:
        return acted_at_rest(truth_of(clip), faces.of(numbers[clip.id]))

    keep(place, pictures.clips, drawn)
    return Restyled(seen_at_rest(place, pictures), drawn_others(pictures.emotion))


def restyled_faces(pictures: Pictures) -> Faces:
    """Return the faces of a split, each with the emotion of another clip."""
    others = drawn_others(pictures.emotion)

    def of(number: int) -> Motion:
        other = int(others[number])
        return with_emotion(truth_of(pictures.clips[number]), pictures.emotion[other], int(pictures.level[other]))

    return Faces("restyled", of)


def drawn_others(emotion: Sequence[str]) -> NDArray[np.int64]:
    """Draw for each clip another with a different emotion; itself where all have the same.

    Args:
        emotion: Of each clip.
    """
    rng = stream(0x4E57, len(emotion))
    others = [[number for number, name in enumerate(emotion) if name != own] for own in emotion]
    return np.array([rng.choice(some) if some else number for number, some in enumerate(others)], np.int64)


def with_emotion(truth: Truth, emotion: str, level: int) -> Motion:
    """Return the motion of a clip with the face of another emotion: speech, its times, head and chest stay as they are.

    Args:
        truth: Of the clip.
        emotion: A name in `EMOTIONS`.
        level: 1 to 3.
    """
    return with_habits(truth, make_style(truth.about.person), emotion, level)


def with_habits(truth: Truth, habits: Style, emotion: str, level: int) -> Motion:
    """Return the same with the habits of somebody else, too."""
    about, seconds = truth.about, len(truth) / truth.about.fps
    person = make_person(about.person)
    said = utter(about.text, make_voice(person, about.language), about.emotion, about.level, seconds)
    other = perform(said, habits, emotion, level, about.intent, seed=about.seed, seconds=seconds, fps=about.fps).motion
    return dataclasses.replace(truth.motion, expression=other.expression, gaze=other.gaze)
