"""Head, gaze, lids and brows of a speaker: habits, prosody, emotion and intent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.emotion import LEVEL_STRENGTH, RECIPES
from thbench.data.synth_heads.part import smoothstep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.emotion import Emotion
    from thbench.data.synth_heads.style import Style

    Values = NDArray[np.float64]

INTENTS: tuple[str, ...] = ("none", "nod", "shake", "tilt", "look away")
INTENT_TEXT: Mapping[str, str] = {
    "none": "keeps facing the camera",
    "nod": "nods in agreement",
    "shake": "shakes the head",
    "tilt": "tilts the head to one side",
    "look away": "looks away and back",
}
"""Intent to words for people and for text-driven methods."""
MOST_GAZE = 26.0
"""The eyes turn no farther than this from straight ahead; degrees."""


class Cue(NamedTuple):
    """What a clip asks of the body."""

    duration: float
    """Seconds."""
    accents: tuple[float, ...]
    """Seconds of the stressed syllables (the audio beats)."""
    pauses: tuple[float, ...]
    """Seconds at which a phrase begins or ends."""
    emotion: str
    level: int
    intent: str


class Body(NamedTuple):
    """Movements of everything but the mouth; one row per time."""

    pose: Values
    """Shape (n, 3): yaw, pitch, roll; degrees."""
    gaze: Values
    """Shape (n, 2): yaw and pitch relative to the head; degrees."""
    place: Values
    """Shape (n, 3): displacement of the neck's top; centimetres."""
    chest: Values
    """Shape (n, 3): displacement of the chest; centimetres."""
    blink: Values
    """Shape (n,): closure of the lids by blinks, 0 to 1."""
    brow: Values
    """Shape (n,): raise of the brows on accents, 0 to 1."""
    blinks: tuple[float, ...]
    """Seconds at which each blink is closed."""
    gesture: tuple[float, float] | None
    """Begin and end of the intent's gesture; seconds."""


def body(rng: np.random.Generator, style: Style, cue: Cue, times: Values) -> Body:
    """Move a speaker through a clip.

    Args:
        rng: Source of what differs from clip to clip.
        style: Habits of the speaker.
        cue: What the clip asks.
        times: Seconds of the frames.
    """
    emotion, strength = RECIPES[cue.emotion], LEVEL_STRENGTH[cue.level]
    energy = 1 + (emotion.energy - 1) * strength
    pose = _rest_pose(rng, style, emotion, strength) + _wander(rng, style, energy, times)
    nods, brow = _accents(rng, style, energy, cue.accents, times)
    gesture, turn, glance = _gesture(rng, cue, times)
    pose = pose + nods + turn
    blink, blinks = _blinks(rng, style, emotion, cue, times)
    place = 0.35 * energy * np.stack([smooth_walk(rng, times, 2.2) for _ in range(3)], axis=1) * (1.0, 0.6, 0.8)
    place[:, 0] += 0.05 * pose[:, 0]
    chest = 0.3 * place + np.stack((0 * times, 0.1 * np.sin(1.6 * times + rng.uniform(0, 6.28)), 0 * times), axis=1)
    return Body(pose, _gaze(rng, style, pose, glance, cue, times), place, chest, blink, brow, blinks, gesture)


def smooth_walk(rng: np.random.Generator, times: Values, period: float) -> Values:
    """Smooth noise of about unit size whose waves last around `period` seconds."""
    frequency = rng.uniform(0.35, 1.7, 5) / period
    phase = rng.uniform(0, 2 * np.pi, 5)
    size = rng.normal(0, 1, 5) / (frequency * period)
    wave = np.sin(2 * np.pi * times[:, None] * frequency + phase) @ size
    return np.asarray(wave / np.sqrt(0.5 * (size**2).sum() + 1e-9))


def bump(times: Values, centre: float, rise: float, fall: float) -> Values:
    """Raised cosine from 0 to 1 at `centre` and back, `rise` and `fall` seconds wide."""
    t = times - centre
    x = np.where(t < 0, t / rise, t / fall).clip(-1, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * x))


def _rest_pose(rng: np.random.Generator, style: Style, emotion: Emotion, strength: float) -> Values:
    own = np.array((style.turned, 0.0, style.tilted)) + rng.normal(0, 1, 3) * (4.5, 2.5, 1.5)
    return np.asarray(own + strength * np.array(emotion.pose))


def _wander(rng: np.random.Generator, style: Style, energy: float, times: Values) -> Values:
    period = 2.6 / style.head_tempo
    slow = np.stack([smooth_walk(rng, times, period) for _ in range(3)], axis=1)
    fast = np.stack([smooth_walk(rng, times, 0.35 * period) for _ in range(3)], axis=1)
    return style.head_range * energy * (slow * (3.6, 2.2, 1.6) + fast * (0.7, 0.6, 0.35))


def _accents(
    rng: np.random.Generator, style: Style, energy: float, accents: Sequence[float], times: Values
) -> tuple[Values, Values]:
    """Nods and turns on stressed syllables, shape (n, 3), and the raise of the brows."""
    pose, brow = np.zeros((len(times), 3)), np.zeros(len(times))
    for beat in accents:
        size = rng.gamma(2.0, 0.5) * energy
        # The nod goes down into the syllable and comes back more slowly.
        dip = bump(times, beat + rng.normal(0.02, 0.03), 0.16, 0.3)
        pose[:, 1] -= 2.4 * style.accent_nods * size * dip
        pose[:, 0] += 1.6 * style.sway * rng.normal() * energy * bump(times, beat, 0.3, 0.5)
        pose[:, 2] += 0.8 * style.sway * rng.normal() * energy * bump(times, beat, 0.3, 0.5)
        if rng.random() < 0.35 * style.brow_accents:
            brow = np.maximum(brow, rng.uniform(0.25, 0.8) * min(style.brow_accents, 1.5) * bump(times, beat, 0.2, 0.4))
    return pose, brow


def _gesture(rng: np.random.Generator, cue: Cue, times: Values) -> tuple[tuple[float, float] | None, Values, Values]:
    """When the intent is shown, its turn of the head (n, 3) and its glance (n, 2)."""
    turn, glance = np.zeros((len(times), 3)), np.zeros((len(times), 2))
    if cue.intent == "none":
        return None, turn, glance
    length = float(rng.uniform(1.2, 1.9))
    begin = float(rng.uniform(0.1, max(cue.duration - length - 0.2, 0.15)))
    end = begin + length
    window = smoothstep(begin, begin + 0.3, times) * smoothstep(end, end - 0.3, times)
    side = float(rng.choice((-1.0, 1.0)))
    phase = 2 * np.pi * (times - begin)
    if cue.intent == "nod":
        turn[:, 1] = -rng.uniform(6, 10) * window * np.sin(phase * rng.uniform(1.7, 2.3))
    elif cue.intent == "shake":
        turn[:, 0] = side * rng.uniform(9, 14) * window * np.sin(phase * rng.uniform(1.5, 2.1))
    elif cue.intent == "tilt":
        turn[:, 2] = side * rng.uniform(10, 16) * window
    else:
        turn[:, 0] = side * rng.uniform(12, 20) * window
        turn[:, 1] = rng.uniform(-6, 6) * window
        # The eyes lead the head.
        early = smoothstep(begin - 0.1, begin + 0.05, times) * smoothstep(end - 0.1, end - 0.25, times)
        glance[:, 0] = side * rng.uniform(24, 34) * early
        glance[:, 1] = rng.uniform(-8, 6) * early
    return (begin, end), turn, glance


def _blinks(
    rng: np.random.Generator, style: Style, emotion: Emotion, cue: Cue, times: Values
) -> tuple[Values, tuple[float, ...]]:
    rate = style.blink_rate * emotion.eyelids / 60.0
    moments: list[float] = []
    clock = float(rng.exponential(0.7 / rate))
    while clock < cue.duration - 0.1:
        # Blinks keep to the edges of phrases when one is near.
        near = [p for p in cue.pauses if abs(p - clock) < 0.35]
        moment = near[0] + float(rng.normal(0, 0.05)) if near and rng.random() < 0.6 else clock
        if 0.08 < moment < cue.duration - 0.1 and (not moments or moment - moments[-1] > 0.4):
            moments.append(moment)
        clock += 0.35 + float(rng.exponential(max(1.0 / rate - 0.35, 0.2)))
    closure = np.zeros(len(times))
    for moment in moments:
        fall, rise = rng.uniform(0.07, 0.1), rng.uniform(0.13, 0.22)
        shut = smoothstep(moment - fall - 0.02, moment - 0.02, times) * smoothstep(
            moment + 0.03 + rise, moment + 0.03, times
        )
        closure = np.maximum(closure, shut)
    return closure, tuple(moments)


def _gaze(rng: np.random.Generator, style: Style, pose: Values, glance: Values, cue: Cue, times: Values) -> Values:
    """Eyes that hold the camera against the movement of the head, with small jumps."""
    target = np.zeros((len(times), 2))
    clock = 0.0
    while clock < cue.duration:
        away = rng.normal(0, style.gaze_wander, 2) * (1.0, 0.6) * (3.0 if rng.random() < 0.12 else 1.0)
        target[times >= clock] = away
        clock += 0.25 + float(rng.exponential(0.7))
    towards = (target + glance) - pose[:, :2]
    return np.asarray(towards.clip(-MOST_GAZE, MOST_GAZE))
