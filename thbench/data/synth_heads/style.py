"""Habits of a speaker: how somebody moves, whatever is said."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.person import stream
from thbench.data.synth_heads.speech.espeak import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.data.synth_heads.person import Person


@dataclass(frozen=True, slots=True)
class Style:
    """Habits of one speaker; 1 is average where nothing else is said."""

    head_range: float
    """Size of the slow wandering of the head."""
    head_tempo: float
    """Speed of that wandering."""
    accent_nods: float
    """Size of the nods on stressed syllables."""
    sway: float
    """Size of the turns of the head on stressed syllables."""
    brow_accents: float
    """How often and how far the brows rise on stressed syllables."""
    blink_rate: float
    """Blinks per minute."""
    gaze_wander: float
    """How far the eyes leave the camera; degrees."""
    jaw_gain: float
    """Opening of the jaw in speech."""
    lip_gain: float
    """Rounding and spreading of the lips in speech."""
    smile_bias: float
    """Smile at rest, 0 to 1."""
    lopsided: float
    """Stronger left (positive) or right half of the mouth, -1 to 1."""
    turned: float
    """Habitual yaw of the head; degrees."""
    tilted: float
    """Habitual roll of the head; degrees."""

    def as_dict(self) -> dict[str, float]:
        """Habits by name."""
        return asdict(self)


STYLE_NAMES: tuple[str, ...] = tuple(f.name for f in fields(Style))
"""Names of the habits, in order."""


def make_style(seed: int) -> Style:
    """Draw the habits of a person.

    Args:
        seed: The person's seed.
    """
    rng = stream(0x57E, seed)

    def around_one(spread: float) -> float:
        return float(np.exp(spread * np.clip(rng.standard_normal(), -2, 2)))

    return Style(
        head_range=around_one(0.45),
        head_tempo=around_one(0.25),
        accent_nods=around_one(0.5),
        sway=around_one(0.5),
        brow_accents=around_one(0.5),
        blink_rate=float(rng.uniform(12, 34)),
        gaze_wander=float(rng.uniform(0.6, 3.5)),
        jaw_gain=around_one(0.16),
        lip_gain=around_one(0.16),
        smile_bias=float(max(rng.normal(0.05, 0.1), 0.0)),
        lopsided=float(0.25 * np.clip(rng.standard_normal(), -2, 2)),
        turned=float(4.0 * np.clip(rng.standard_normal(), -2, 2)),
        tilted=float(2.0 * np.clip(rng.standard_normal(), -2, 2)),
    )


_VOICES: Mapping[str, tuple[str, ...]] = {
    "en": ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd"),
    "de": ("de",),
    "fr": ("fr-be", "fr-ch"),
    "es": ("es", "es-419"),
}
_HIGH = ("f1", "f2", "f3", "f4", "f5", "linda", "steph", "anika", "belinda", "aunty")
_LOW = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "david", "paul", "john", "zac", "ed", "max")


def make_voice(person: Person, language: str) -> Voice:
    """The voice of a person in a language: timbre and pitch stay, the accent of English is the person's own."""
    rng = stream(0x701CE, person.seed)
    variant = str(rng.choice(_HIGH if rng.random() < person.feminine else _LOW))
    accents = _VOICES[language]
    accent = accents[int(rng.integers(1 << 30)) % len(accents)]
    pitch = int(np.clip(38 + 26 * (person.feminine - 0.5) + 9 * rng.standard_normal(), 12, 80))
    lively = int(np.clip(50 + 18 * rng.standard_normal(), 15, 95))
    return Voice(f"{accent}+{variant}", int(rng.integers(140, 190)), pitch, lively)
