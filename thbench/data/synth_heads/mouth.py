"""Teeth and tongue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.expression import jaw_turn
from thbench.data.synth_heads.mesh import grid_triangles
from thbench.data.synth_heads.part import Material, Part, grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points

_ARCH_DEGREES = 78.0
TEETH = 12
"""Teeth drawn in each row."""


def mouth_centre(control: Points) -> NDArray[np.float64]:
    """Middle of the closed lips of a person's control mesh, shape (3,)."""
    return np.asarray(control[[13, 14]].mean(axis=0))


def teeth_part(control: Points, *, upper: bool, size: float) -> Part:
    """One row of teeth with its gum.

    Args:
        control: Control mesh of the person at rest.
        upper: The upper row, which stays with the skull, or the lower one, which moves with the jaw.
        size: Height relative to the mean.
    """
    rows, columns = 4, 25
    row, column = grid(rows, columns)
    half = 0.5 * abs(float(control[topo.LIP_UPPER_INNER[-1], 0] - control[topo.LIP_UPPER_INNER[0], 0]))
    angle = np.radians(_ARCH_DEGREES) * (2 * column - 1)
    width, depth = (0.98 * half, 3.0) if upper else (0.88 * half, 2.7)
    centre = mouth_centre(control) - (0.0, 0.0, 0.5 if upper else 0.72)
    # From the gum over the belly of the tooth to its edge.
    height = np.interp(row, (0, 0.33, 0.75, 1), (1.5, 0.85, 0.25, 0.0)) * size
    belly = np.interp(row, (0, 0.33, 0.75, 1), (-0.12, 0.0, 0.02, -0.06))
    edge = -0.2 * np.cos(angle) if upper else -0.28 + 0.0 * angle
    points = centre + np.stack(
        (
            (width + belly) * np.sin(angle),
            edge + (height if upper else -height),
            belly - depth * (1 - np.cos(angle)),
        ),
        axis=1,
    )
    triangles = grid_triangles(rows, columns)
    flat = np.stack((column, row), axis=1)
    if not upper:
        triangles = triangles[:, [0, 2, 1]]
    deltas = {} if upper else {"jawOpen": jaw_turn(points)}
    depth_inside = 0.08 + 0.8 * (1 - np.cos(angle))
    return Part(
        points,
        triangles,
        flat,
        "tooth",
        Material.TOOTH,
        np.ones(len(points)),
        deltas=deltas,
        depth=depth_inside.clip(0, 1),
    )


def tongue_part(control: Points) -> Part:
    """The tongue: a rounded blade that moves with the jaw, and on its own with the two tongue coefficients."""
    rows, columns = 9, 9
    row, column = grid(rows, columns)
    across = 2 * column - 1
    half = 0.3 * abs(float(control[topo.LIP_UPPER_INNER[-1], 0] - control[topo.LIP_UPPER_INNER[0], 0]))
    outline = np.sqrt((1 - (1 - row.clip(0, 0.45) / 0.45) ** 2).clip(0.0)) * half * 1.15
    rise = 0.55 * np.sin(np.pi * (0.08 + 0.5 * row)) - 0.35 * across**2 - 0.12 * (1 - np.abs(across)) ** 4
    centre = mouth_centre(control)
    points = centre + np.stack((outline * across, -0.62 + rise, -1.0 - 3.2 * row), axis=1)
    tip = (1 - row) ** 2
    back = np.zeros(len(row))
    deltas = {
        "jawOpen": 0.95 * jaw_turn(points),
        "tongueUp": np.stack((back, 0.8 * tip, 0.1 * tip), axis=1),
        "tongueOut": np.stack((back, 0.2 * tip, 1.0 * (1 - row)), axis=1),
    }
    flat = np.stack((column, row), axis=1)
    return Part(
        points,
        grid_triangles(rows, columns)[:, [0, 2, 1]],
        flat,
        "tongue",
        Material.MOUTH,
        np.ones(len(points)),
        two_sided=True,
        deltas=deltas,
        depth=0.12 + 0.7 * row,
    )
