"""Named modes of a person's head shape.

Each mode moves the template by smooth local fields; a person is a vector of mode strengths. One unit of a mode is about
one standard deviation between people.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.template import template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points

    Vector = tuple[float, float, float]

_EVERYWHERE = 1e6


class Field(NamedTuple):
    """A displacement that fades with a Gaussian around its centre; one beside x = 0 acts on both sides of the face."""

    centre: Vector
    """Centimetres."""
    radius: Vector
    """Standard deviations of the Gaussian along x, y, z in centimetres."""
    shift: Vector = (0.0, 0.0, 0.0)
    """Displacement at the centre in centimetres; x away from the middle of the face."""
    stretch: Vector = (0.0, 0.0, 0.0)
    """Relative growth around the centre."""
    lift: float = 0.0
    """Displacement in y per centimetre of x away from the centre (tilts an eye)."""
    both: bool = True
    """Whether a field beside the middle is mirrored to the other side."""


def displacement(fields: tuple[Field, ...], points: Points) -> Points:
    """Sum of the displacements, shape (n, 3), at points (n, 3)."""
    total = np.zeros_like(points)
    for field in fields:
        mirrored = field.both and field.centre[0] != 0.0
        for side in (1.0, -1.0) if mirrored else (1.0,):
            flip = np.array((side, 1.0, 1.0))
            local = points * flip - field.centre
            weight = np.exp(-0.5 * ((local / field.radius) ** 2).sum(axis=1))
            move = np.asarray(field.shift) + local * field.stretch
            move[:, 1] += field.lift * local[:, 0]
            total += weight[:, None] * move * flip
    return total


_EYE = (3.16, 2.65, 3.7)
_ALL = (_EVERYWHERE, _EVERYWHERE, _EVERYWHERE)
_MODES: Mapping[str, tuple[Field, ...]] = {
    "head_width": (Field((0, 0, 0), _ALL, stretch=(0.035, 0, 0)),),
    "head_height": (Field((0, 2.6, 0), _ALL, stretch=(0, 0.035, 0)),),
    "skull_height": (Field((0, 13, -3), (9, 3.5, 9), shift=(0, 0.6, 0)),),
    "skull_depth": (Field((0, 3, -12), (9, 9, 5), shift=(0, 0, -0.7)),),
    "temple_width": (Field((7.4, 5.5, 0.5), (2.5, 3.0, 4.0), shift=(0.3, 0, 0)),),
    "forehead_slope": (Field((0, 8.5, 4.5), (6, 2.6, 5), shift=(0, 0.1, -0.4)),),
    "brow_ridge": (Field((2.4, 4.7, 5.0), (2.2, 0.8, 1.6), shift=(0, -0.05, 0.22)),),
    "brow_height": (Field((2.8, 4.9, 5.0), (2.4, 0.9, 2.0), shift=(0, 0.18, 0)),),
    "eye_size": (Field(_EYE, (1.7, 0.95, 2.0), stretch=(0.07, 0.14, 0)),),
    "eye_width": (Field(_EYE, (1.7, 0.95, 2.0), stretch=(0.07, 0, 0)),),
    "eye_spacing": (Field(_EYE, (1.7, 1.5, 2.5), shift=(0.16, 0, 0)),),
    "eye_height": (Field(_EYE, (2.5, 1.6, 2.5), shift=(0, 0.15, 0)),),
    "eye_tilt": (Field(_EYE, (1.5, 1.0, 2.0), lift=0.08),),
    "eye_depth": (Field((3.0, 3.0, 3.8), (1.9, 1.3, 2.0), shift=(0, 0, -0.18)),),
    "upper_lid": (Field((3.16, 3.6, 3.9), (1.6, 0.5, 1.5), shift=(0, -0.1, 0.12)),),
    "cheekbones": (Field((5.0, 0.8, 2.8), (1.8, 1.4, 2.0), shift=(0.2, 0.05, 0.25)),),
    "cheek_fullness": (Field((4.6, -2.8, 2.8), (2.0, 2.2, 2.2), shift=(0.3, 0, 0.22)),),
    "nose_length": (Field((0, -1.2, 6.5), (1.8, 1.4, 2.5), shift=(0, -0.28, 0)),),
    "nose_width": (Field((0, -1.3, 6.2), (2.4, 1.2, 2.2), stretch=(0.13, 0, 0)),),
    "nose_projection": (Field((0, -0.7, 7.4), (1.2, 1.4, 1.8), shift=(0, 0, 0.3)),),
    "nose_bridge": (Field((0, 2.0, 5.9), (0.8, 1.6, 1.6), shift=(0, 0, 0.22)),),
    "nose_bridge_width": (Field((0, 1.6, 5.4), (1.4, 1.8, 1.8), stretch=(0.15, 0, 0)),),
    "nose_bump": (Field((0, 1.0, 6.7), (0.7, 0.7, 1.2), shift=(0, 0, 0.16)),),
    "nose_tip_up": (Field((0, -0.8, 7.4), (0.9, 0.8, 1.2), shift=(0, 0.22, 0.02)),),
    "nose_tip_size": (Field((0, -0.7, 7.2), (0.9, 0.7, 1.0), stretch=(0.18, 0.1, 0.1)),),
    "lip_height": (
        Field((0, -3.75, 5.8), (1.7, 0.42, 1.2), shift=(0, 0.1, 0.06)),
        Field((0, -5.15, 5.6), (1.6, 0.45, 1.2), shift=(0, -0.12, 0.04)),
    ),
    "upper_lip_volume": (Field((0, -3.85, 5.7), (1.5, 0.32, 1.0), shift=(0, 0, 0.12)),),
    "lower_lip_volume": (Field((0, -4.8, 5.6), (1.4, 0.38, 1.0), shift=(0, 0, 0.14)),),
    "mouth_width": (Field((0, -4.3, 4.8), (2.8, 1.0, 2.5), stretch=(0.08, 0, 0)),),
    "mouth_height": (Field((0, -4.3, 5.2), (2.6, 1.3, 2.5), shift=(0, 0.18, 0)),),
    "mouth_corners": (Field((2.4, -4.3, 4.4), (0.8, 0.6, 1.2), shift=(0, 0.08, 0)),),
    "mouth_projection": (Field((0, -4.3, 5.4), (2.4, 1.4, 2.0), shift=(0, 0, 0.2)),),
    "philtrum": (Field((0, -2.9, 6.0), (0.6, 0.6, 1.0), shift=(0, 0, -0.1)),),
    "jaw_width": (Field((6.2, -5.4, -0.2), (1.8, 2.4, 3.0), shift=(0.42, 0, 0.05)),),
    "jaw_height": (Field((6.0, -5.8, 0.0), (1.8, 1.6, 3.0), shift=(0.1, -0.4, 0)),),
    "chin_length": (Field((0, -9.0, 4.5), (3.0, 1.6, 3.0), shift=(0, -0.35, 0)),),
    "chin_projection": (Field((0, -8.0, 5.0), (2.0, 1.3, 2.5), shift=(0, 0, 0.35)),),
    "chin_width": (Field((0, -8.8, 4.3), (3.2, 1.5, 3.0), stretch=(0.16, 0, 0)),),
    "chin_cleft": (Field((0, -8.2, 5.1), (0.35, 0.6, 1.0), shift=(0, 0, -0.12)),),
    "nasolabial": (Field((2.75, -2.5, 4.7), (0.35, 1.2, 1.0), shift=(0, 0, -0.1)),),
    "eye_bags": (Field((2.9, 1.45, 4.1), (1.2, 0.25, 1.0), shift=(0, 0, 0.08)),),
    "chin_sideways": (Field((0, -8.5, 4.5), (4.0, 2.5, 4.0), shift=(0.2, 0, 0)),),
    "nose_sideways": (Field((0, -0.8, 7.0), (1.5, 1.6, 2.0), shift=(0.1, 0, 0)),),
    "mouth_sideways": (Field((0, -4.3, 5.0), (2.8, 1.2, 2.5), shift=(0.1, 0, 0)),),
}
SHAPE_MODES: tuple[str, ...] = tuple(_MODES)
"""Names of the modes, in the order of `shape_basis`."""

_STYLISED = {"eye_size": 2.0, "lip_height": 0.6, "upper_lip_volume": 1.2, "lower_lip_volume": 1.4, "head_width": -1.2}
"""What is added to the canonical face for everybody: its eyes are narrow, its lips thin and its face wide for an
avatar."""


@lru_cache(maxsize=1)
def shape_basis() -> NDArray[np.float64]:
    """Displacement of each template vertex per unit of each mode, shape (modes, vertices, 3)."""
    points = template().points
    return np.stack([displacement(_MODES[name], points) for name in SHAPE_MODES])


def shaped(strengths: Mapping[str, float]) -> Points:
    """Control mesh of a person at rest, shape (vertices, 3).

    Args:
        strengths: Mode name to strength; modes that are not named are 0.
    """
    vector = np.array([strengths.get(name, 0.0) + _STYLISED.get(name, 0.0) for name in SHAPE_MODES])
    return np.asarray(template().points + np.einsum("m,mvc->vc", vector, shape_basis()))
