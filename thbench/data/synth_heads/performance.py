"""One clip acted out: speech, mouth and body together, frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.behaviour import Cue, body
from thbench.data.synth_heads.emotion import LEVEL_STRENGTH, RECIPES
from thbench.data.synth_heads.expression import EXPRESSIONS, both, coefficients
from thbench.data.synth_heads.motion import Motion
from thbench.data.synth_heads.part import smoothstep
from thbench.data.synth_heads.person import stream
from thbench.data.synth_heads.speech.espeak import RATE, Phoneme, Utterance, Voice, say
from thbench.data.synth_heads.speech.visemes import ARTICULATORS, activations, articulate, gestures
from thbench.types import Audio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.behaviour import Body
    from thbench.data.synth_heads.style import Style

    Values = NDArray[np.float64]

_MOST_JAW = 0.68
"""`jawOpen` of the widest vowel at ordinary effort."""
_LEAD = (0.18, 0.4)
"""Shortest and longest silence before the first sound; seconds."""
_TAIL = 0.15
"""Shortest silence after the last sound; seconds."""


class Performance(NamedTuple):
    """A clip without its picture."""

    motion: Motion
    audio: Audio
    phonemes: tuple[Phoneme, ...]
    """Times on the axis of the clip."""
    visemes: NDArray[np.float32]
    """Shape (frames, visemes): how far each is in force, rows sum to one."""
    beats: tuple[float, ...]
    """Seconds of the stressed vowels."""
    body: Body


def utter(text: str, voice: Voice, emotion: str, level: int, seconds: float) -> Utterance:
    """Say a text within the time that a clip leaves for it, faster if it must be."""
    recipe, strength = RECIPES[emotion], LEVEL_STRENGTH[level]
    rate = voice.rate * (1 + (recipe.rate - 1) * strength)
    pitch = int(np.clip(voice.pitch + recipe.pitch * strength, 0, 99))
    room = seconds - _LEAD[0] - _TAIL
    for _ in range(4):
        said = say(text, Voice(voice.voice, round(rate), pitch, voice.range))
        end = said.phonemes[-1].end if said.phonemes else 0.0
        if end <= room:
            return said
        rate = min(rate * max(end / room * 1.04, 1.05), 449)
    raise ValueError(f"{text!r} takes {end:.2f} s, more than the {room:.2f} s of the clip, at the highest speed")


def perform(
    said: Utterance, style: Style, emotion: str, level: int, intent: str, *, seed: int, seconds: float, fps: float
) -> Performance:
    """Act out an utterance.

    Args:
        said: Speech; it is placed after a short silence.
        style: Habits of the speaker.
        emotion: A name in `EMOTIONS`.
        level: 1 to 3.
        intent: A name in `INTENTS`.
        seed: What differs from clip to clip follows from it.
        seconds: Length of the clip.
        fps: Frames per second; frame i shows the instant i / fps.
    """
    rng = stream(0xAC7, seed)
    audio, phonemes = _placed(rng, said, seconds)
    times = np.arange(round(seconds * fps)) / fps
    line = gestures(phonemes, seconds)
    beats = tuple(0.5 * (g.start + g.end) for g in line if g.stress == 1.0)
    edges = [p.start for p in phonemes[:1]] + [p.start for p in phonemes if not p.ipa] + [p.end for p in phonemes[-1:]]
    acted = body(rng, style, Cue(seconds, beats, tuple(edges), emotion, level, intent), times)
    loud = _loudness(audio, times)
    mouth = articulate(line, times, effort=style.jaw_gain * (0.85 + 0.3 * LEVEL_STRENGTH[level] * (emotion != "sad")))
    face = _face(rng, style, emotion, level, mouth, loud, acted, times)
    motion = quantised(
        Motion(fps, coefficients(face, len(times)), *_f32(acted.gaze, acted.pose, acted.place, acted.chest))
    )
    return Performance(motion, audio, phonemes, activations(line, times), beats, acted)


def _f32(*arrays: Values) -> list[NDArray[np.float32]]:
    return [np.asarray(a, dtype=np.float32) for a in arrays]


EXPRESSION_STEP, ANGLE_STEP, LENGTH_STEP = 1 / 255, 0.01, 0.002
"""Steps of expression coefficients, angles (degrees) and displacements (centimetres)."""


def to_steps(values: NDArray[np.floating], step: float) -> NDArray[np.int64]:
    """Whole numbers of steps nearest to the values."""
    return np.asarray(np.rint(np.asarray(values, dtype=np.float64) / step), dtype=np.int64)


def from_steps(steps: NDArray[np.integer], step: float) -> NDArray[np.float32]:
    """Values of whole numbers of steps; the one way in which stored movements become numbers again."""
    return np.asarray(steps, dtype=np.float32) * np.float32(step)


def quantised(motion: Motion) -> Motion:
    """Round a motion to the steps in which it is stored, so that the stored truth is exactly what is drawn."""

    def snap(values: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        return from_steps(to_steps(values, step), step)

    return Motion(
        motion.fps,
        snap(motion.expression, EXPRESSION_STEP),
        snap(motion.gaze, ANGLE_STEP),
        snap(motion.pose, ANGLE_STEP),
        snap(motion.place, LENGTH_STEP),
        snap(motion.chest, LENGTH_STEP),
    )


def _placed(rng: np.random.Generator, said: Utterance, seconds: float) -> tuple[Audio, tuple[Phoneme, ...]]:
    """Put the utterance on the time axis of the clip, on a whole sample."""
    end = said.phonemes[-1].end if said.phonemes else 0.0
    latest = max(min(_LEAD[1], seconds - _TAIL - end), _LEAD[0])
    first = round(float(rng.uniform(_LEAD[0], latest)) * RATE)
    samples = np.zeros(round(seconds * RATE), dtype=np.float32)
    stop = min(first + len(said.audio.samples), len(samples))
    samples[first:stop] = said.audio.samples[: stop - first]
    peak = float(np.abs(samples).max())
    samples *= 0.7 / peak if peak > 0 else 1.0
    shift = first / RATE
    return Audio(samples, RATE), tuple(Phoneme(p.ipa, p.start + shift, p.end + shift) for p in said.phonemes)


def _loudness(audio: Audio, times: Values) -> Values:
    """Loudness around each time relative to the loudest, 0 to 1 (root mean square over 60 ms)."""
    power = np.concatenate(([0.0], np.cumsum(audio.samples.astype(np.float64) ** 2)))
    centre = np.rint(times * audio.rate).astype(int)
    half = round(0.03 * audio.rate)
    low, high = (centre - half).clip(0, len(audio.samples)), (centre + half).clip(0, len(audio.samples))
    level = np.sqrt((power[high] - power[low]) / np.maximum(high - low, 1))
    return np.asarray(level / max(float(level.max()), 1e-9))


def _face(
    rng: np.random.Generator,
    style: Style,
    emotion: str,
    level: int,
    mouth: Values,
    loud: Values,
    acted: Body,
    times: Values,
) -> dict[str, Values]:
    """Expression coefficients of all frames: speech, emotion, lids and brows added up."""
    values = {name: np.zeros(len(times)) for name in EXPRESSIONS}
    part = dict(zip(ARTICULATORS, mouth.T, strict=True))
    seal = smoothstep(0.3, 0.75, part["seal"])
    _add_emotion(values, rng, emotion, level, style, seal, times)
    _add_speech(values, part, seal, style, loud)
    for name in both("eyeBlink"):
        values[name] = np.maximum(values[name], acted.blink)
    values["browInnerUp"] += 0.7 * acted.brow
    for name in both("browOuterUp"):
        values[name] += 0.6 * acted.brow
    _add_lids(values, acted.gaze)
    return values


def _add_emotion(
    values: dict[str, Values],
    rng: np.random.Generator,
    emotion: str,
    level: int,
    style: Style,
    seal: Values,
    times: Values,
) -> None:
    from thbench.data.synth_heads.behaviour import smooth_walk

    recipe = dict(RECIPES[emotion].face)
    breath = 1 + 0.12 * smooth_walk(rng, times, 1.8)
    for name, full in recipe.items():
        # Raised and lowered lips and an open jaw would break the closure of p, b and m.
        open_ = name.startswith(("mouthUpperUp", "mouthLowerDown", "jawOpen", "mouthFunnel"))
        values[name] += full * LEVEL_STRENGTH[level] * breath * (1 - seal if open_ else 1.0)
    for name in both("mouthSmile"):
        values[name] += style.smile_bias


def _add_speech(values: dict[str, Values], part: dict[str, Values], seal: Values, style: Style, loud: Values) -> None:
    jaw = _MOST_JAW * part["jaw"] * (0.75 + 0.45 * loud)
    values["jawOpen"] += jaw
    values["mouthClose"] += values["jawOpen"] * seal
    values["mouthPucker"] += 0.85 * style.lip_gain * part["round"]
    values["mouthFunnel"] += 0.7 * style.lip_gain * part["funnel"] * (1 - seal)
    values["mouthRollLower"] += 0.8 * part["tuck"]
    values["mouthShrugLower"] += 0.25 * part["tuck"]
    values["tongueUp"] += part["tip"]
    values["tongueOut"] += 0.85 * part["out"]
    for side, more in (("Left", 1 + style.lopsided), ("Right", 1 - style.lopsided)):
        values["mouthPress" + side] += 0.3 * seal
        values["mouthStretch" + side] += 0.5 * style.lip_gain * part["wide"] * more
        values["mouthSmile" + side] += 0.15 * part["wide"] * more
        values["mouthUpperUp" + side] += 0.5 * part["lift"] * (1 - seal) * more
        values["mouthLowerDown" + side] += 0.6 * part["drop"] * (1 - seal) * more


def _add_lids(values: dict[str, Values], gaze: Values) -> None:
    yaw, pitch = gaze.T
    for name in both("eyeLookDown"):
        values[name] += (-pitch / 25).clip(0, 1)
    for name in both("eyeLookUp"):
        values[name] += (pitch / 25).clip(0, 1)
    # To the subject's left is out for the left eye and in for the right one.
    values["eyeLookOutLeft"] = values["eyeLookInRight"] = (yaw / 30).clip(0, 1)
    values["eyeLookInLeft"] = values["eyeLookOutRight"] = (-yaw / 30).clip(0, 1)
