"""Speech without a synthesiser: syllables of noise whose phoneme times are known."""

from __future__ import annotations

import numpy as np

from thbench.data.synth_heads.expression import coefficients
from thbench.data.synth_heads.motion import Motion
from thbench.data.synth_heads.speech.espeak import RATE, Phoneme, Utterance
from thbench.types import Audio

SOUNDS = ("m", "ˈa", "p", "ˈiː", "f", "ˈuː", "b", "ˈoʊ", "t", "ˈa", "m")
"""A short word-like row of sounds with several closures of the lips."""


def babble(sounds: tuple[str, ...] = SOUNDS, seconds_each: float = 0.11) -> Utterance:
    """Speak sounds as noise, vowels louder than consonants."""
    rng = np.random.default_rng(0)
    step = round(seconds_each * RATE)
    loud = [0.6 if "ˈ" in s else 0.12 for s in sounds]
    samples = np.concatenate([level * rng.uniform(-1, 1, step) for level in loud]).astype(np.float32)
    times = [i * step / RATE for i in range(len(sounds) + 1)]
    phonemes = tuple(Phoneme(s, a, b) for s, a, b in zip(sounds, times, times[1:], strict=False))
    return Utterance(Audio(samples, RATE), phonemes)


def still(frames: int = 1, pose=(0.0, 0.0, 0.0), gaze=(0.0, 0.0), **expression: object) -> Motion:
    """A motion that holds one pose, with expression coefficients by name."""
    return Motion(
        25.0,
        coefficients(expression, frames),  # type: ignore[arg-type]
        np.tile(np.asarray(gaze, dtype=np.float32), (frames, 1)),
        np.tile(np.asarray(pose, dtype=np.float32), (frames, 1)),
        np.zeros((frames, 3), dtype=np.float32),
        np.zeros((frames, 3), dtype=np.float32),
    )
