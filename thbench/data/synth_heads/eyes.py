"""Eyeballs and lashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.mesh import grid_triangles
from thbench.data.synth_heads.part import Material, Part, grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points

IRIS_DEGREES = 29.0
"""Angle from the axis of the eye to the border of its iris."""
CAP_DEGREES = 105.0
"""Angle to which the eyeball is drawn; the rest is never seen."""
_RINGS, _SECTORS = 9, 24
_MARGINS = {
    "right": (topo.RIGHT_EYE_UPPER, topo.RIGHT_EYE_LOWER),
    "left": (topo.LEFT_EYE_UPPER, topo.LEFT_EYE_LOWER),
}
SIDES = ("right", "left")
"""Order of the eyes in arrays with one row per eye: that of the iris landmarks."""


class Eyeball(NamedTuple):
    """Place of an eye at rest."""

    centre: NDArray[np.float64]
    """Shape (3,)."""
    radius: float
    """Centimetres."""


def eyeball(control: Points, side: str) -> Eyeball:
    """Fit an eyeball behind the lids of a person's control mesh."""
    upper, lower = (control[list(line)] for line in _MARGINS[side])
    corners = upper[[0, -1]]
    width = float(np.linalg.norm(corners[0] - corners[1]))
    radius = 0.54 * width
    middle = 0.5 * (upper[3:6].mean(axis=0) + lower[3:6].mean(axis=0))
    centre = 0.5 * (corners.mean(axis=0) + middle)
    centre[2] = middle[2] - 0.06 - radius
    return Eyeball(centre, radius)


def eye_part(eye: Eyeball, side: str) -> Part:
    """The front of an eyeball looking along z, with its texture in polar form around the pupil."""
    row, column = grid(_RINGS, _SECTORS)
    angle = np.radians(np.interp(row, (0, 0.15, 0.4, 1), (0, 12.0, IRIS_DEGREES, CAP_DEGREES)))
    around = 2 * np.pi * column * (_SECTORS - 1) / _SECTORS
    direction = np.stack((np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)), axis=1)
    reach = np.degrees(angle) / CAP_DEGREES
    flat = 0.5 + 0.48 * reach[:, None] * np.stack((np.cos(around), -np.sin(around)), axis=1)
    triangles = grid_triangles(_RINGS, _SECTORS, wrap=True)
    points = eye.centre + eye.radius * direction
    return Part(points, triangles, flat, "eye", Material.EYE, np.ones(len(points)), turns=side)


def iris_points(eye: Eyeball) -> Points:
    """Centre of the pupil and four points on the border of the iris of an eye that looks along z, shape (5, 3)."""
    s, c = np.sin(np.radians(IRIS_DEGREES)), np.cos(np.radians(IRIS_DEGREES))
    directions = np.array(((0, 0, 1), (s, 0, c), (0, s, c), (-s, 0, c), (0, -s, c)))
    return np.asarray(eye.centre + eye.radius * directions)


def lash_part(control: Points, deltas: Mapping[str, Points], side: str, length: float) -> Part:
    """Upper lashes: a strip along the upper lid that curls forward and up.

    Args:
        control: Control mesh of the person at rest.
        deltas: Expression deltas of the control mesh.
        side: `right` or `left`.
        length: Centimetres.
    """
    line = np.array(_MARGINS[side][0])
    t = np.linspace(0, len(line) - 1, 17)
    low = np.floor(t).astype(int).clip(0, len(line) - 2)
    mix = (t - low)[:, None]

    def along(values: Points) -> Points:
        return np.asarray((1 - mix) * values[line[low]] + mix * values[line[low + 1]])

    base = along(control)
    taper = np.sin(np.pi * np.linspace(0.06, 1.0, 17)) ** 0.5
    outer = np.where(np.linspace(0, 1, 17) < 0.5, 1.25, 0.8)
    sideways = np.sign(base[0, 0]) * np.linspace(0.5, -0.2, 17)
    tip = length * (taper * outer)[:, None] * np.stack((sideways, np.full(17, 0.45), np.full(17, 0.8)), axis=1)
    points = np.concatenate((base + (0, -0.03, 0.02), base + tip + (0, 0.02, 0.03)))
    # A lash tip swings down farther than the margin it stands on when the lid closes.
    moved = {n: np.concatenate((along(d), along(d) * (1.0, 1.25, 1.0))) for n, d in deltas.items() if np.any(d[line])}
    row, column = grid(2, 17)
    flat = np.stack((column, row), axis=1)
    return Part(points, grid_triangles(2, 17), flat, "lash", Material.LASH, np.ones(34), two_sided=True, deltas=moved)
