"""Degradations of what the head does, drawn again from the truth of a SynthHeads clip."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.validate.material import BLINK_AFTER, BLINK_BEFORE, MOVEMENTS, Video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.data.synth_heads.motion import Motion
    from thbench.data.synth_heads.person import Person
    from thbench.validate.material import Material

MOUTH = tuple(i for i, name in enumerate(EXPRESSIONS) if name.startswith(("jaw", "mouth", "tongue")))
"""Columns of the expressions that move the mouth."""
LIDS = tuple(i for i, name in enumerate(EXPRESSIONS) if name.startswith("eyeBlink"))
"""Columns of the expressions that close the eyes."""


def scaled_pose(motion: Motion, scale: float) -> Motion:
    """Scale turns and shifts of head and chest about their means; 0 is a head that stands still."""
    about_mean = {
        name: (values.mean(axis=0) + scale * (values - values.mean(axis=0))).astype(np.float32)
        for name in ("pose", "place", "chest")
        for values in (getattr(motion, name),)
    }
    return dataclasses.replace(motion, **about_mean)


def scaled_mouth(motion: Motion, scale: float) -> Motion:
    """Scale everything that the mouth does; 0 is a closed mouth at rest. Coefficients stay in [0, 1]."""
    expression = motion.expression.copy()
    expression[:, MOUTH] = (scale * expression[:, MOUTH]).clip(0, 1)
    return dataclasses.replace(motion, expression=expression)


def smoothed(motion: Motion, seconds: float) -> Motion:
    """Pass all movements through a Gaussian of this standard deviation; the ends are continued by their last value."""
    from scipy.ndimage import gaussian_filter1d

    sigma = seconds * motion.fps
    return dataclasses.replace(
        motion, **{n: gaussian_filter1d(getattr(motion, n), sigma, axis=0, mode="nearest") for n in MOVEMENTS}
    )


def without_blinks(motion: Motion, middles: Sequence[float]) -> Motion:
    """Keep the eyes open through these blinks.

    Args:
        motion: The clip.
        middles: Seconds of the blinks to take out.
    """
    expression = motion.expression.copy()
    for middle in middles:
        first, last = _window(motion, middle, 1.0)
        for column in LIDS:
            begin, end = float(expression[first, column]), float(expression[last, column])
            expression[first : last + 1, column] = np.linspace(begin, end, last - first + 1)
    return dataclasses.replace(motion, expression=expression)


def slower_blinks(motion: Motion, middles: Sequence[float], factor: float) -> Motion:
    """Stretch these blinks in time by a factor of at least 1, each about its middle."""
    opened = without_blinks(motion, middles)
    expression, frames = opened.expression, np.arange(len(motion))
    for middle in middles:
        first, last = _window(motion, middle, factor)
        span = frames[first : last + 1]
        source = middle * motion.fps + (span - middle * motion.fps) / factor
        for column in LIDS:
            closing = np.interp(source, frames, motion.expression[:, column])
            expression[span, column] = np.maximum(expression[span, column], closing)
    return opened


def morphed(person: Person, other: Person, share: float) -> Person:
    """Change the shape of a face towards another one; colours, hair and clothes stay."""
    shape = {name: (1 - share) * value + share * other.shape[name] for name, value in person.shape.items()}
    return dataclasses.replace(person, shape=shape)


def pose_scale(material: Material, scale: float) -> Video:
    """The head moves as much as `scale` says; 1 is the clip's own."""
    actor = material.require_actor()
    return Video(actor.draw(scaled_pose(actor.motion, scale)), material.audio)


def mouth_scale(material: Material, scale: float) -> Video:
    """The mouth moves as much as `scale` says; 1 is the clip's own."""
    actor = material.require_actor()
    return Video(actor.draw(scaled_mouth(actor.motion, scale)), material.audio)


def smoothing(material: Material, seconds: float) -> Video:
    """All movements are smoothed over time."""
    actor = material.require_actor()
    return Video(actor.draw(smoothed(actor.motion, seconds)), material.audio)


def blink_removal(material: Material, share: float) -> Video:
    """A share of the blinks is taken out, from the first on."""
    actor = material.require_actor()
    blinks = actor.blinks
    return Video(actor.draw(without_blinks(actor.motion, blinks[: round(share * len(blinks))])), material.audio)


def slow_blinks(material: Material, factor: float) -> Video:
    """All blinks last longer by a factor."""
    actor = material.require_actor()
    return Video(actor.draw(slower_blinks(actor.motion, actor.blinks, factor)), material.audio)


def face_morph(material: Material, share: float) -> Video:
    """The face takes on the shape of the next person's."""
    from thbench.data.synth_heads.person import make_person

    actor = material.require_actor()
    other = make_person(actor.truth.about.person + 1)
    return Video(actor.draw(person=morphed(actor.person, other, share)), material.audio)


def _window(motion: Motion, middle: float, factor: float) -> tuple[int, int]:
    """First and last frame of a blink."""
    first = int(np.floor((middle - BLINK_BEFORE * factor) * motion.fps))
    last = int(np.ceil((middle + BLINK_AFTER * factor) * motion.fps))
    return int(np.clip(first, 0, len(motion) - 1)), int(np.clip(last, 0, len(motion) - 1))
