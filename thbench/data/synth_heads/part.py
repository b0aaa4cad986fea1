"""Pieces of a person's mesh and how each is carried by the head, the eyes and the expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points, Triangles


class Material(IntEnum):
    """What a triangle is made of; rows of the shading table."""

    SKIN = 0
    EYE = 1
    MOUTH = 2
    TOOTH = 3
    HAIR = 4
    CLOTH = 5
    LASH = 6
    FRAME = 7


@dataclass(frozen=True, slots=True)
class Part:
    """One piece at rest, in head coordinates (centimetres, x to the subject's left, y up, z forward)."""

    points: Points
    """Shape (vertices, 3)."""
    triangles: Triangles
    """Shape (triangles, 3), anti-clockwise from outside."""
    flat: NDArray[np.float64]
    """Shape (vertices, 2): texture coordinates in [0, 1] within the part's own texture, v down."""
    texture: str
    """Name of the texture."""
    material: Material
    """What it is made of."""
    head: NDArray[np.float64]
    """Shape (vertices,): 1 moves with the head, 0 stays with the chest."""
    two_sided: bool = False
    """Whether the back of its triangles is drawn."""
    turns: str | None = None
    """`right` or `left`: turns with that eye."""
    deltas: Mapping[str, Points] = field(default_factory=dict)
    """Expression name to displacement (vertices, 3) at strength 1."""
    depth: NDArray[np.float64] | None = None
    """Shape (vertices,): how far inside the mouth, 0 to 1; None outside it."""


def grid(rows: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column position in [0, 1] of each vertex of a row-major grid, each of shape (rows * columns,)."""
    row, column = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    return row.ravel(), column.ravel()


def smoothstep(low: float, high: float, x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cubic step from 0 at `low` to 1 at `high`."""
    t = ((np.asarray(x, dtype=np.float64) - low) / (high - low)).clip(0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))
