"""What is seen of a style: how strongly each emotion is shown.

A style of synth-heads is an emotion at a level, beside habits, and an emotion is a pattern of facial actions. The mean
expression of a clip is taken apart into these patterns by least squares; actions that speech, blinks and gaze move are
left out. The paper tells styles by a classifier over groups of roughly constant style (speaker, emotion and level of
MEAD) that is not published; here the groups are known, so nothing has to be learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.emotion import EMOTIONS, LEVEL_STRENGTH, RECIPES
from thbench.data.synth_heads.expression import EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

SHOWN: tuple[str, ...] = tuple(name for name in EMOTIONS if RECIPES[name].face)
"""Emotions that are a pattern; without expression a face is neutral."""
_OTHERWISE_MOVED = ("jaw", "mouthFunnel", "mouthPucker", "mouthClose", "mouthRoll", "tongue", "eyeBlink", "eyeLook")
ACTIONS: tuple[int, ...] = tuple(
    number
    for number, name in enumerate(EXPRESSIONS)
    if any(name in RECIPES[emotion].face for emotion in SHOWN) and not name.startswith(_OTHERWISE_MOVED)
)
"""Places of the expressions that are looked at."""
PATTERNS: Values = np.array([[RECIPES[e].face.get(EXPRESSIONS[action], 0.0) for action in ACTIONS] for e in SHOWN])
"""Shape (emotions, actions): each emotion at full strength."""


class Named(NamedTuple):
    """A group of styles."""

    emotion: str
    level: int


GROUPS: tuple[Named, ...] = (
    Named("neutral", 1),
    *(Named(emotion, level) for emotion in SHOWN for level in LEVEL_STRENGTH),
)
"""All emotions at all their levels."""


def strengths(expression: NDArray[np.floating]) -> Values:
    """Return how strongly each of `SHOWN` is shown, shape (emotions,): 0 not at all, 1 fully.

    Args:
        expression: Shape (frames, expressions), range [0, 1], order of `EXPRESSIONS`.
    """
    mean = np.asarray(expression, np.float64)[:, ACTIONS].mean(axis=0)
    return np.asarray(np.linalg.lstsq(PATTERNS.T, mean, rcond=None)[0])


def named(shown: Values) -> list[Named]:
    """Return the group whose strengths lie nearest to each row of (n, emotions)."""
    places = np.array([[LEVEL_STRENGTH[g.level] * (g.emotion == emotion) for emotion in SHOWN] for g in GROUPS])
    away = np.linalg.norm(shown[:, None] - places, axis=2)
    return [GROUPS[nearest] for nearest in away.argmin(axis=1)]


def nearness(found: Values, wanted: Values) -> Values:
    """Return how alike rows (n, emotions) are to others (m, emotions), shape (n, m): the distance, negated."""
    return np.asarray(-np.linalg.norm(found[:, None] - wanted, axis=2))


def cosines(found: Values, wanted: Values) -> Values:
    """Return how alike style codes (n, width) are to others (m, width): cosine, both in deviations from the others."""
    mean, deviation = wanted.mean(axis=0), wanted.std(axis=0) + 1e-6
    one, other = ((x - mean) / deviation for x in (found, wanted))
    lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
    return np.asarray(one @ other.T / lengths)


def right_emotions(shown: Values, asked: Sequence[str]) -> list[float]:
    """Return 1 where the emotion that is named is the one that was asked for, else 0."""
    return [float(name.emotion == emotion) for name, emotion in zip(named(shown), asked, strict=True)]
