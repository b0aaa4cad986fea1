"""What degradations work on: the frames, sound and truth of one clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.dataset import truth_of
from thbench.errors import UsageError
from thbench.media import read_audio, read_frames
from thbench.types import Audio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.model import Model
    from thbench.data.synth_heads.motion import Motion
    from thbench.data.synth_heads.person import Person
    from thbench.data.synth_heads.scene import Scene
    from thbench.data.synth_heads.truth import Truth
    from thbench.types import Clip

    Frames = Sequence[NDArray[np.uint8]]
    """Each (height, width, 3), RGB."""


MOVEMENTS = ("expression", "gaze", "pose", "place", "chest")
"""Fields of a `Motion` that hold one row for each frame."""
ACTED_SECONDS = 2.6
"""How much of a clip is acted: drawing new frames and looking at them is most of the work."""
BLINK_BEFORE, BLINK_AFTER = 0.2, 0.36
"""Seconds around the middle of a blink within which it happens."""


@dataclass(frozen=True, slots=True)
class Video:
    """A degraded clip."""

    frames: Frames
    audio: Audio


class Stretch(NamedTuple):
    """Part of a clip."""

    start: int
    """First frame."""
    blinks: tuple[float, ...]
    """Middles of the blinks that happen within it; seconds from its start."""


def busiest_stretch(truth: Truth, seconds: float = ACTED_SECONDS) -> Stretch:
    """The stretch of that length with most blinks, the first of equals: what is not there cannot be removed."""
    fps = truth.about.fps
    found = []
    for start in range(max(1, len(truth) - round(seconds * fps) + 1)):
        middles = (middle - start / fps for middle in truth.about.blinks)
        found.append(Stretch(start, tuple(m for m in middles if m >= BLINK_BEFORE and m + BLINK_AFTER <= seconds)))
    return max(found, key=lambda stretch: len(stretch.blinks))


class Actor:
    """Draws a stretch of a clip of SynthHeads again, with other movements or another face."""

    def __init__(self, truth: Truth, seconds: float = ACTED_SECONDS) -> None:
        """Learn the part.

        Args:
            truth: The clip.
            seconds: How much of it to act.
        """
        self.truth = truth
        self.start, self.blinks = busiest_stretch(truth, seconds)
        shown = slice(self.start, self.start + round(seconds * truth.motion.fps))
        self.motion = replace(truth.motion, **{name: getattr(truth.motion, name)[shown] for name in MOVEMENTS})
        """What the clip's own person does in it."""
        self._own: dict[int, NDArray[np.uint8]] = {}

    @cached_property
    def person(self) -> Person:
        """Who acts."""
        from thbench.data.synth_heads.person import make_person

        return make_person(self.truth.about.person)

    @cached_property
    def _scene(self) -> Scene:
        from thbench.data.synth_heads.scene import make_scene

        return make_scene(self.truth.about.seed)

    @cached_property
    def _model(self) -> Model:
        return self._modelled(self.person)

    def _modelled(self, person: Person) -> Model:
        from thbench.data.synth_heads.model import make_model

        return make_model(person, max(2 * self.truth.about.size, 256))

    def draw(self, motion: Motion | None = None, person: Person | None = None) -> Frames:
        """Draw all frames; those in which the clip's own person does what the clip has are drawn once.

        Args:
            motion: What happens, at the rate of the clip and no longer than what is acted; None takes the clip's own.
            person: Who acts; None takes the clip's own.
        """
        played = self.motion if motion is None else motion
        if person is not None:
            return list(self._drawn(self._modelled(person), played, range(len(played))))
        own = self._as_in_clip(played)
        todo = [number for number in range(len(played)) if not (own[number] and number in self._own)]
        drawn = dict(zip(todo, self._drawn(self._model, played, todo), strict=True))
        self._own |= {number: rgb for number, rgb in drawn.items() if own[number]}
        return [drawn[number] if number in drawn else self._own[number] for number in range(len(played))]

    def _as_in_clip(self, motion: Motion) -> NDArray[np.bool_]:
        """Frames in which a movement is to the bit what the clip has at the same place, shape (frames,)."""
        pairs = [(getattr(motion, n), getattr(self.motion, n)[: len(motion)]) for n in MOVEMENTS]
        return np.asarray(np.all([(ours == own).all(axis=1) for ours, own in pairs], axis=0), bool)

    def _drawn(self, model: Model, motion: Motion, frames: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        from thbench.data.synth_heads.render import render_rgb

        return render_rgb(model, motion, self._scene, self.truth.about.size, frames)


@dataclass(frozen=True, slots=True)
class Material:
    """One clip, not degraded."""

    frames: Frames
    audio: Audio
    other: Audio
    """Another clip's speech."""
    fps: float
    seed: int = 0
    """Seed of everything drawn at random; the same pattern at every dose, so that only the dose differs."""
    actor: Actor | None = None
    """Draws the clip again; None where no movement has to change."""

    @property
    def video(self) -> Video:
        """The clip as it is."""
        return Video(self.frames, self.audio)

    def require_actor(self) -> Actor:
        """The actor.

        Raises:
            UsageError: There is none.
        """
        if self.actor is None:
            raise UsageError("movements can only be changed in clips whose truth is known; give a clip of synth-heads")
        return self.actor


def acted_material(clip: Clip, other: Clip, seed: int) -> Material:
    """A stretch of a clip of SynthHeads drawn afresh from its truth: no compression lies between two variants."""
    actor = Actor(truth_of(clip))
    begin, end = (frame / actor.motion.fps for frame in (actor.start, actor.start + len(actor.motion)))
    return Material(
        frames=actor.draw(),
        audio=_between(read_audio(clip.path), begin, end),
        other=_between(read_audio(other.path), begin, end),
        fps=actor.truth.about.fps,
        seed=seed,
        actor=actor,
    )


def _between(sound: Audio, begin: float, end: float) -> Audio:
    return Audio(sound.samples[round(begin * sound.rate) : round(end * sound.rate)], sound.rate)


def recorded_material(clips: Sequence[Clip], other: Sequence[Clip], fps: float, seed: int) -> Material:
    """Clips as they are stored, one after another."""
    return Material(
        frames=[frame.rgb for clip in clips for frame in read_frames(clip.path, fps)],
        audio=_joined(clips, fps),
        other=_joined(other, fps),
        fps=fps,
        seed=seed,
    )


def _joined(clips: Sequence[Clip], fps: float) -> Audio:
    """The sound of clips in a row, each exactly as long as its picture, so that none shifts the next."""
    parts = []
    for clip in clips:
        sound = read_audio(clip.path)
        count = round(sum(1 for _ in read_frames(clip.path, fps)) * sound.rate / fps)
        parts.append(np.pad(sound.samples[:count], (0, max(0, count - len(sound.samples)))))
        rate = sound.rate
    return Audio(np.concatenate(parts), rate)
