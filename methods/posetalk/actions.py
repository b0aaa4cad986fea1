"""Which actions a track of head pose and gaze shows, by rules.

A nod and a shake are oscillations of pitch and of yaw at a gesture's pace. A tilt is held away from the head's usual
attitude, and so is a look, the direction of the eyes in space. A turn is held too, and takes the eyes along: speakers
turn their heads by ten degrees all the time while their eyes stay where they are. The thresholds are those that
tell the clips of the train split of synth-heads apart best, by their truth: `calibrated` finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from thbench_methods.posetalk.tracks import HEAD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

FPS = 25.0
SLOWEST, FASTEST = 1.2, 3.5
"""Hertz of a nod or a shake."""
GESTURE = 1.0
"""Seconds over which an oscillation is judged."""
HELD = 0.5
"""Seconds that a turn, a tilt or a look lasts at least."""
SHOWN: dict[str, tuple[str, ...]] = {
    "none": (), "nod": ("nod",), "shake": ("shake",), "tilt": ("tilt",), "look away": ("turn", "look"),
}  # fmt: skip
"""Intent of synth-heads to the actions that it shows."""
NAMES = ("nod", "shake", "tilt", "turn", "look")
"""Of the actions."""


def strengths(track: NDArray[np.floating]) -> dict[str, float]:
    """Return how strongly a track (frames, 8) shows each action, degrees."""
    degrees = np.degrees(np.asarray(track, np.float64))
    yaw, pitch, roll = (degrees[:, axis] - np.median(degrees[:, axis]) for axis in range(3))
    # Where the eyes look to: the head's turn and theirs within it.
    seen = degrees[:, 0] + degrees[:, HEAD]
    seen = seen - np.median(seen)
    along = np.where(yaw * seen > 0, np.sign(yaw) * np.minimum(np.abs(yaw), np.abs(seen)), 0)
    return {
        "nod": _swing(pitch),
        "shake": _swing(yaw),
        "tilt": _held(roll),
        "turn": _held(along),
        "look": _held(seen),
    }


@dataclass(frozen=True, slots=True)
class Rules:
    """Least strengths, degrees."""

    nod: float
    shake: float
    tilt: float
    turn: float
    look: float

    def actions(self, track: NDArray[np.floating]) -> frozenset[str]:
        """Return which actions a track (frames, 8) shows."""
        return frozenset(name for name, value in strengths(track).items() if value >= getattr(self, name))


RULES = Rules(nod=5.677, shake=6.704, tilt=7.767, turn=4.663, look=17.300)
"""What `calibrated` gives for the truth of the first 400 clips of the train split."""


def calibrated(tracks: Sequence[NDArray[np.floating]], intents: Sequence[str]) -> Rules:
    """Return the thresholds that tell true tracks of some intents apart best, by the F1 of each action."""
    rows = [strengths(track) for track in tracks]
    return Rules(**{name: _best([row[name] for row in rows], [name in SHOWN[i] for i in intents]) for name in NAMES})


def agreement(shown: Sequence[frozenset[str]], intents: Sequence[str]) -> Mapping[str, tuple[float, float]]:
    """Return precision and recall of each action; not a number where nothing was shown or asked for."""
    found = {}
    for name in NAMES:
        asked = np.array([name in SHOWN[intent] for intent in intents])
        seen = np.array([name in actions for actions in shown])
        both = float((asked & seen).sum())
        found[name] = (both / seen.sum() if seen.any() else np.nan, both / asked.sum() if asked.any() else np.nan)
    return found


def _swing(values: Values) -> float:
    """Largest deviation over `GESTURE` of what swings at a gesture's pace, times √2: the amplitude of a sine."""
    if len(values) < 2:
        return 0.0
    rate = np.fft.rfftfreq(len(values), 1 / FPS)
    spectrum = np.fft.rfft(values)
    spectrum[(rate < SLOWEST) | (rate > FASTEST)] = 0
    swing = np.fft.irfft(spectrum, len(values))
    length = min(round(GESTURE * FPS), len(values))
    power = np.convolve(np.square(swing), np.ones(length) / length, mode="valid")
    return float(np.sqrt(2 * max(power.max(), 0)))


def _held(values: Values) -> float:
    """Largest distance that is kept for `HELD` on one side."""
    length = min(round(HELD * FPS), len(values))
    windows = np.lib.stride_tricks.sliding_window_view(values, length)
    return float(max(windows.min(axis=1).max(), (-windows).min(axis=1).max(), 0.0))


def _best(values: Sequence[float], wanted: Sequence[bool]) -> float:
    """Threshold of the highest F1, half-way to the next lower value."""
    order = np.sort(np.unique(values))
    known = np.array(wanted)
    scores = [2 * (known & (values >= edge)).sum() / (known.sum() + (values >= edge).sum()) for edge in order]
    place = int(np.argmax(scores))
    return float(order[place] if place == 0 else (order[place] + order[place - 1]) / 2)
