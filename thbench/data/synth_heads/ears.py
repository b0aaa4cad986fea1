"""Ears."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.mesh import grid_triangles
from thbench.data.synth_heads.part import Material, Part, grid

if TYPE_CHECKING:
    from thbench.data.synth_heads.mesh import Points

_ROOTS = {"right": (127, 234), "left": (356, 454)}
_ROWS, _SECTORS = 9, 28


def ear_part(control: Points, side: str, size: float, flare: float) -> Part:
    """One ear: a shell with a raised helix, a hollow concha and a lobe.

    Args:
        control: Control mesh of the person at rest.
        side: `right` or `left`.
        size: Relative to the mean.
        flare: Degrees that the ear stands off beyond the mean.
    """
    row, column = grid(_ROWS, _SECTORS)
    around = 2 * np.pi * column * (_SECTORS - 1) / _SECTORS
    # Front (row 0 to 5) from the concha over the antihelix to the helix, then round the rim to the back.
    radius = np.interp(row, np.linspace(0, 1, _ROWS), (0.02, 0.25, 0.45, 0.65, 0.82, 0.93, 1.0, 0.95, 0.6))
    height = np.interp(row, np.linspace(0, 1, _ROWS), (-0.75, -0.6, 0.12, 0.3, 0.02, 0.34, 0.12, -0.22, -0.6))
    up, back = np.sin(around), np.cos(around)
    # The lobe and the front of the ear have no rolled rim.
    rolled = (0.5 + 0.8 * up + 0.5 * back).clip(0.0, 1.0)
    height = np.where(row > 0.3, height * (0.25 + 0.75 * rolled), height)
    width = np.where(back > 0, 1.75, 1.25) * (1 + 0.18 * up)
    local = np.stack((height, 3.0 * radius * up + 0.15 * radius * back, -radius * width * back), axis=1) * size
    angle = np.radians(24.0 + flare)
    outward, behind = (np.cos(angle), np.sin(angle)), (np.sin(angle), np.cos(angle))
    x = outward[0] * local[:, 0] - behind[0] * local[:, 2]
    z = outward[1] * local[:, 0] + behind[1] * local[:, 2]
    lean = np.radians(9.0)
    y, z = np.cos(lean) * local[:, 1] + np.sin(lean) * z, np.cos(lean) * z - np.sin(lean) * local[:, 1]
    sign = 1.0 if side == "left" else -1.0
    root = control[list(_ROOTS[side])].mean(axis=0) * (sign, 1.0, 1.0) + (-0.05, -0.6, -1.6)
    points = (root + np.stack((x, y, z), axis=1)) * (sign, 1.0, 1.0)
    triangles = grid_triangles(_ROWS, _SECTORS, wrap=True)
    if sign < 0:
        triangles = triangles[:, [0, 2, 1]]
    flat = 0.5 + 0.45 * radius[:, None] * np.stack((back, -up), axis=1)
    return Part(points, triangles, flat, "ear", Material.SKIN, np.ones(len(points)), two_sided=True)
