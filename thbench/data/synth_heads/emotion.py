"""The eight emotions of MEAD (Wang et al., ECCV 2020) at three levels, as expression, posture and voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from thbench.data.synth_heads.expression import both

if TYPE_CHECKING:
    from collections.abc import Mapping

EMOTIONS: tuple[str, ...] = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
LEVEL_STRENGTH: Mapping[int, float] = {1: 0.4, 2: 0.7, 3: 1.0}
"""Weak, medium and strong; neutral has level 1 only."""


class Emotion(NamedTuple):
    """An emotion at full strength."""

    face: Mapping[str, float]
    """Expression coefficients."""
    pose: tuple[float, float, float]
    """Added yaw, pitch and roll; degrees."""
    energy: float
    """Factor on the size of head movements."""
    eyelids: float
    """Factor on the blink rate."""
    pitch: int
    """Added to the pitch of the voice."""
    rate: float
    """Factor on the speed of speech."""


def _face(sides: Mapping[str, float], **whole: float) -> Mapping[str, float]:
    return {name: value for key, value in sides.items() for name in both(key)} | whole


RECIPES: Mapping[str, Emotion] = {
    "neutral": Emotion({}, (0, 0, 0), 1.0, 1.0, 0, 1.0),
    "happy": Emotion(
        _face({"mouthSmile": 0.85, "cheekSquint": 0.7, "eyeSquint": 0.3, "mouthUpperUp": 0.25, "browOuterUp": 0.15},
        browInnerUp=0.1),
        *((0, 2, 2), 1.3, 1.0, 6, 1.05),
    ),
    "sad": Emotion(
        _face({"mouthFrown": 0.75, "browDown": 0.12, "eyeLookDown": 0.25, "eyeSquint": 0.12}, browInnerUp=0.85,
        mouthShrugLower=0.35),
        *((0, -7, 3), 0.6, 0.8, -8, 0.85),
    ),
    "angry": Emotion(
        _face({"browDown": 0.95, "eyeSquint": 0.35, "noseSneer": 0.4, "mouthFrown": 0.3, "mouthPress": 0.35,
        "mouthLowerDown": 0.2, "eyeWide": 0.2}),
        *((0, -4, 0), 1.5, 0.7, 4, 1.1),
    ),
    "fear": Emotion(
        _face({"browOuterUp": 0.3, "eyeWide": 0.85, "mouthStretch": 0.7, "mouthLowerDown": 0.25, "browDown": 0.1},
        browInnerUp=0.9, jawOpen=0.08),
        *((0, 3, -2), 0.8, 1.7, 10, 1.1),
    ),
    "disgusted": Emotion(
        _face({"noseSneer": 1.0, "mouthUpperUp": 0.6, "browDown": 0.5, "eyeSquint": 0.5, "cheekSquint": 0.45,
        "mouthFrown": 0.35}, mouthShrugUpper=0.25),
        *((4, 3, 3), 0.8, 1.1, -3, 0.95),
    ),
    "surprised": Emotion(
        _face({"browOuterUp": 0.9, "eyeWide": 0.9}, browInnerUp=0.9, jawOpen=0.22, mouthFunnel=0.12),
        *((0, 4, 0), 1.1, 0.6, 10, 1.05),
    ),
    "contempt": Emotion(
        {"mouthSmileLeft": 0.55, "mouthDimpleLeft": 0.7, "mouthPressRight": 0.3, "eyeSquintLeft": 0.35,
        "eyeSquintRight": 0.35,
         "browOuterUpLeft": 0.35, "browDownRight": 0.3, "mouthUpperUpLeft": 0.3},
        *((-3, 5, 5), 0.7, 0.9, -2, 0.95),
    ),
}  # fmt: skip
"""Emotion name to its recipe; the facial actions follow the usual FACS descriptions of each emotion."""
