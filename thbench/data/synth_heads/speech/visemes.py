"""From speech sounds to movements of the mouth, with coarticulation.

Each sound pulls the articulators towards a target with a dominance that rises and falls around its middle; the pulls of
all sounds are averaged by dominance (Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993, eq.
1 to 6). Sounds that need the lips or the teeth (p, f, w, ...) dominate their articulator; the others yield to their
neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.speech.espeak import Phoneme

VISEMES: tuple[str, ...] = (*("silence", "p", "f", "T", "t", "k", "S", "s", "n", "r", "a", "e", "i", "o", "u"),)
"""The 15 visemes of MPEG-4 Face Animation (ISO/IEC 14496-2, table C-5) by a sound of each: none; p b m; f v; th; t d; k
g; sh ch j; s z; n l; r; a; e; i; o; u."""

ARTICULATORS: tuple[str, ...] = ("jaw", "seal", "round", "funnel", "wide", "tuck", "lift", "drop", "tip", "out")
"""Opening of the jaw; lips pressed together; rounded; pushed out; spread; lower lip under the teeth; upper lip raised;
lower lip lowered; tip of the tongue raised; tongue between the teeth. Each in [0, 1]."""


class Pull(NamedTuple):
    """Target and strength of one articulator for one viseme."""

    target: float
    strength: float = 0.5


_PULLS: Mapping[str, Mapping[str, Pull]] = {
    "silence": {a: Pull(0.0, 0.35) for a in ARTICULATORS} | {"jaw": Pull(0.0, 0.6)},
    "p": {"seal": Pull(1.0, 6.0), "jaw": Pull(0.16, 0.9), "drop": Pull(0.0, 2.0), "funnel": Pull(0.0, 1.0),
        "lift": Pull(0, 2.0)},
    "f": {"tuck": Pull(1.0, 4.0), "jaw": Pull(0.2, 1.2), "lift": Pull(0.3, 1.0), "seal": Pull(0.0, 2.0),
        "round": Pull(0.0, 0.8)},
    "T": {"out": Pull(1.0, 2.5), "tip": Pull(0.45, 1.5), "jaw": Pull(0.26, 1.0), "drop": Pull(0.2, 0.6)},
    "t": {"tip": Pull(1.0, 2.0), "jaw": Pull(0.2, 0.8), "drop": Pull(0.15, 0.3)},
    "k": {"jaw": Pull(0.28, 0.5)},
    "S": {"funnel": Pull(0.8, 2.2), "jaw": Pull(0.16, 1.2), "lift": Pull(0.25, 0.8), "drop": Pull(0.25, 0.8),
        "wide": Pull(0, 1.0)},
    "s": {"jaw": Pull(0.1, 1.6), "wide": Pull(0.3, 0.7), "drop": Pull(0.3, 0.7), "tip": Pull(0.6, 0.8),
        "lift": Pull(0.15, 0.5)},
    "n": {"tip": Pull(0.95, 1.6), "jaw": Pull(0.24, 0.6)},
    "r": {"round": Pull(0.4, 1.0), "funnel": Pull(0.35, 0.9), "jaw": Pull(0.22, 0.6), "tip": Pull(0.4, 0.8)},
    "a": {"jaw": Pull(0.82, 1.3), "drop": Pull(0.25, 0.5), "wide": Pull(0.15, 0.4), "round": Pull(0.0, 0.5)},
    "e": {"jaw": Pull(0.5, 1.1), "wide": Pull(0.45, 0.8), "drop": Pull(0.2, 0.4), "round": Pull(0.0, 0.7)},
    "i": {"jaw": Pull(0.24, 1.0), "wide": Pull(0.75, 1.1), "drop": Pull(0.25, 0.4), "round": Pull(0.0, 0.9)},
    "o": {"jaw": Pull(0.52, 1.2), "round": Pull(0.62, 1.5), "funnel": Pull(0.3, 0.8), "wide": Pull(0.0, 0.9)},
    "u": {"jaw": Pull(0.24, 1.1), "round": Pull(0.95, 2.0), "funnel": Pull(0.35, 1.0), "wide": Pull(0.0, 1.2)},
}  # fmt: skip
_REST = {"seal": 1.6, "tuck": 1.0, "out": 0.9, "tip": 0.3}
_WEAK = 0.12
"""Pull to rest on an articulator of which a viseme says nothing: weak, but firm where staying would be another
sound."""

_SOUNDS: tuple[tuple[str, str], ...] = (
    *(("t͡ʃ", "S"), ("d͡ʒ", "S"), ("tʃ", "S"), ("dʒ", "S"), ("pf", "f"), ("ts", "s"), ("θ", "T"), ("ð", "T")),
    *((c, "p") for c in "pbmɓ"),
    *((c, "f") for c in "fvɱʋ"),
    *((c, "t") for c in "tdɾʈɖ"),
    *((c, "k") for c in "kgɡŋxɣχhɦcɟqʔʁɲʝ"),
    *((c, "S") for c in "ʃʒʂʐɕʑçç"),
    *((c, "s") for c in "szβ"),
    *((c, "n") for c in "nlɫɭʎɬ"),
    *((c, "r") for c in "ɹrɻʀɚɝɜ"),
    *((c, "a") for c in "aɑɐʌæɒɶ"),
    *((c, "e") for c in "eɛəɘ"),
    *((c, "i") for c in "iɪjɨᵻ"),
    *((c, "o") for c in "oɔɵœøɤ"),
    *((c, "u") for c in "uʊwyʏɥɯʉ"),
)
"""IPA beginnings to visemes, longest first."""
_MARKS = "ˈˌːˑ̩̃ʲʰ̯͡"
_VOWELS = frozenset("aeiou")


class Gesture(NamedTuple):
    """One viseme on the time axis."""

    viseme: str
    start: float
    end: float
    stress: float
    """1 for a vowel with the main stress, 0.5 for the lesser one, else 0."""


def visemes_of(ipa: str) -> tuple[str, ...]:
    """Visemes of one speech sound in order: two for a diphthong.

    Args:
        ipa: As espeak-ng writes it, with stress and length marks.
    """
    letters = "".join(c for c in ipa if c not in _MARKS)
    found: list[str] = []
    while letters:
        known = next(((s, v) for s, v in _SOUNDS if letters.startswith(s)), (letters[0], ""))
        if known[1] and (not found or found[-1] != known[1]):
            found.append(known[1])
        letters = letters[len(known[0]) :]
    return tuple(found)


def gestures(phonemes: Sequence[Phoneme], duration: float) -> list[Gesture]:
    """Visemes of an utterance with silence before, between and after.

    Args:
        phonemes: In order; times in seconds.
        duration: Seconds of the whole clip.
    """
    line = [Gesture("silence", 0.0, phonemes[0].start if phonemes else duration, 0.0)]
    for sound in phonemes:
        names = visemes_of(sound.ipa) or ("silence",)
        stress = 1.0 if "ˈ" in sound.ipa else 0.5 if "ˌ" in sound.ipa else 0.0
        # A diphthong spends more of its time at its first end.
        cuts = (
            np.interp(np.linspace(0, 1, len(names) + 1), (0, 0.5, 1), (0, 0.58, 1))
            if len(names) == 2
            else np.linspace(0, 1, len(names) + 1)
        )
        times = sound.start + cuts * (sound.end - sound.start)
        line += [
            Gesture(n, float(a), float(b), stress * (n in _VOWELS))
            for n, a, b in zip(names, times, times[1:], strict=False)
        ]
    end = phonemes[-1].end if phonemes else duration
    return [*line, Gesture("silence", end, max(duration, end), 0.0)]


def articulate(line: Sequence[Gesture], times: NDArray[np.floating], effort: float = 1.0) -> NDArray[np.float64]:
    """Position of every articulator, shape (times, articulators), range [0, 1].

    Args:
        line: From `gestures`.
        times: Seconds.
        effort: Scales the opening of the jaw and the spreading of the lips; 1 is ordinary speech.
    """
    targets, strengths = _tables(line)
    weight = _dominance(line, np.asarray(times, dtype=np.float64))
    top = np.einsum("tg,ga->ta", weight, strengths * targets)
    value = top / np.maximum(np.einsum("tg,ga->ta", weight, strengths), 1e-9)
    scale = np.array([effort if a in ("jaw", "wide", "drop", "lift", "funnel") else 1.0 for a in ARTICULATORS])
    return np.asarray((value * scale).clip(0, 1))


def activations(line: Sequence[Gesture], times: NDArray[np.floating]) -> NDArray[np.float32]:
    """How far each viseme is in force, shape (times, visemes), rows sum to one."""
    weight = _dominance(line, np.asarray(times, dtype=np.float64))
    table = np.zeros((len(line), len(VISEMES)))
    table[np.arange(len(line)), [VISEMES.index(g.viseme) for g in line]] = 1.0
    share = weight @ table
    return np.asarray(share / share.sum(axis=1, keepdims=True), dtype=np.float32)


def _tables(line: Sequence[Gesture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    targets = np.zeros((len(line), len(ARTICULATORS)))
    strengths = np.tile([_REST.get(a, _WEAK) for a in ARTICULATORS], (len(line), 1))
    for row, gesture in enumerate(line):
        for name, pull in _PULLS[gesture.viseme].items():
            column = ARTICULATORS.index(name)
            targets[row, column], strengths[row, column] = pull.target, pull.strength
        if gesture.viseme in _VOWELS:
            # Stressed vowels are reached, unstressed ones are undershot.
            targets[row] *= 0.78 + 0.3 * gesture.stress
            strengths[row] *= 0.8 + 0.5 * gesture.stress
    return targets, strengths


def _dominance(line: Sequence[Gesture], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dominance of each gesture at each time, shape (times, gestures): flat over its middle, exponential beyond."""
    start = np.array([g.start for g in line])
    end = np.array([g.end for g in line])
    # The middle half of a sound is its own; the lips start for the next one within the last quarter.
    quarter = 0.25 * np.minimum(end - start, 0.2)
    before = (start + quarter - times[:, None]).clip(0)
    after = (times[:, None] - (end - quarter)).clip(0)
    return np.asarray(np.exp(-before / 0.034 - after / 0.028) + 1e-12)
