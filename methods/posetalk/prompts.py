"""Prompts that ask for an action of the head, in the family of CelebV-Text's action descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ACTIONS: dict[str, tuple[str, ...]] = {
    "none": ("keeps the head still", "talks", "is speaking", "keeps looking straight forward", "looks at the camera"),
    "nod": ("nods", "nods the head", "is nodding", "nods in agreement", "nods up and down"),
    "shake": ("shakes the head", "is shaking the head", "shakes the head left and right", "wags the head"),
    "tilt": ("tilts the head", "tilts the head to one side", "is tilting the head", "leans the head to one side"),
    "look away": (
        "looks away",
        "looks away and back",
        "turns the head",
        "turns and looks to the side",
        "is turning the head to one side",
        "gazes to the side",
    ),
}
"""Intent of synth-heads to ways to say it."""
SUBJECTS = ("he", "she", "the man", "the woman", "this man", "this woman", "the person", "a female", "a male")
ENDINGS = ("", "", " for a short time", " for a moment", " once", " slowly")
BEFORE = ("", "", "talks and ", "speaks and then ", "is talking and ")


def prompt_of(intent: str, rng: np.random.Generator) -> str:
    """Draw a sentence that asks for an intent of synth-heads."""

    def one(of: tuple[str, ...]) -> str:
        return of[int(rng.integers(len(of)))]

    return f"{one(SUBJECTS)} {one(BEFORE)}{one(ACTIONS[intent])}{one(ENDINGS)}"
