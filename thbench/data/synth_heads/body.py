"""Neck, shoulders, garment and collar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from thbench.data.synth_heads.mesh import grid_triangles
from thbench.data.synth_heads.part import Material, Part, grid, smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points

    Values = NDArray[np.float64]

Garment = Literal["crew", "v-neck", "shirt", "suit", "hoodie", "turtleneck", "wide"]
GARMENTS: tuple[Garment, ...] = ("crew", "v-neck", "shirt", "suit", "hoodie", "turtleneck", "wide")

NECK_TOP, NECK_BASE = -3.5, -14.5
"""Heights between which the neck reaches; centimetres."""
_AXIS = -5.6
"""Depth of the axis of the neck at its base; centimetres."""


def from_front(around: Values) -> Values:
    """Angle from the front, in [0, pi], of angles around the neck (0 in front, pi / 2 at the subject's left)."""
    return np.asarray(np.abs((around + np.pi) % (2 * np.pi) - np.pi))


def neck_part(width: float, muscle: float) -> Part:
    """The neck: bends with the head at its top and stays with the chest at its base.

    Args:
        width: Relative to the mean.
        muscle: How far the trapezius and the larynx stand out, 0 to 1.
    """
    rows, columns = 12, 32
    row, column = grid(rows, columns)
    around = 2 * np.pi * column * (columns - 1) / columns
    side, front, away = np.sin(around), np.cos(around), from_front(around)
    y = NECK_TOP + (NECK_BASE - NECK_TOP) * row
    spread = smoothstep(0.5, 1.0, row)
    rx = width * (5.1 - 0.35 * np.sin(np.pi * row) + 2.3 * spread * (0.6 + 0.7 * muscle))
    rz = width * (5.0 - 0.2 * np.sin(np.pi * row) + 0.3 * spread)
    larynx = 0.5 * muscle * np.exp(-(((row - 0.5) / 0.12) ** 2)) * np.exp(-((away / 0.28) ** 2))
    tendon = 0.3 * np.exp(-(((away - 0.85 + 0.6 * row) / 0.17) ** 2)) * smoothstep(0.15, 0.6, row)
    notch = -0.5 * np.exp(-((away / 0.22) ** 2)) * smoothstep(0.8, 1.0, row)
    z = -4.6 + (_AXIS + 4.6) * row
    points = np.stack((rx * side, y, z + (rz + larynx + tendon + notch) * front), axis=1)
    flat = np.stack((0.5 + 0.4 * side, 0.05 + 0.45 * row), axis=1)
    triangles = grid_triangles(rows, columns, wrap=True)
    return Part(points, triangles, flat, "neck", Material.SKIN, smoothstep(NECK_BASE + 0.5, NECK_TOP - 3.0, y))


def chest(row: Values, around: Values, breadth: float, slope: float) -> Points:
    """Points of the shoulders and the chest, shape (n, 3).

    They are lofted from inside the neck (row 0) outwards and down (row 1).

    Args:
        row: Shape (n,), range [0, 1].
        around: Shape (n,): angle around the neck, 0 in front.
        breadth: Of the shoulders relative to the mean.
        slope: How far the shoulders hang beyond the mean; centimetres.
    """
    side, front = np.sin(around), np.cos(around)
    key = (0.0, 0.1, 0.2, 0.35, 0.5, 0.68, 0.82, 1.0)
    rx = np.interp(row, key, (4.6, 6.6, 8.6, 11.6, 15.0, 18.6, 20.4, 21.0)) * (0.4 + 0.6 * breadth)
    rz = np.interp(row, key, (4.3, 5.5, 6.6, 7.8, 9.0, 10.2, 11.0, 11.6))
    y = np.interp(row, key, (-11.8, -12.5, -13.1, -14.0, -15.2, -17.4, -21.5, -44.0))
    y = y - slope * smoothstep(0.1, 0.7, row) - 1.9 * front.clip(0) ** 1.5 * np.exp(-(((row - 0.15) / 0.35) ** 2))
    # A rounded box rather than an ellipse further down: shoulders are square.
    power = np.interp(row, (0, 0.3, 0.68, 1), (1.0, 0.95, 0.78, 0.72))
    x = rx * np.sign(side) * np.abs(side) ** power
    z = _AXIS - 0.4 + 0.8 * row + rz * np.sign(front) * np.abs(front) ** power
    return np.stack((x, y, z), axis=1)


def neckline(garment: Garment, around: Values) -> Values:
    """Row of `chest` at which the garment begins, shape (n,)."""
    front = np.cos(around).clip(0)
    if garment == "crew":
        return np.asarray(0.1 + 0.06 * front**2)
    if garment == "v-neck":
        return np.asarray(0.12 + 0.4 * np.maximum(1 - from_front(around) / 0.95, 0))
    if garment == "wide":
        return np.asarray(0.34 + 0.1 * front**2 + 0.02 * np.cos(2 * around))
    return np.full_like(around, 0.02)


def chest_parts(garment: Garment, breadth: float, slope: float) -> list[Part]:
    """Bare skin above the neckline, the garment below it, and the hem between them."""
    columns = 48
    parts = []
    for name, rows in (("neck", 5), ("cloth", 13)):
        row, column = grid(rows, columns)
        around = 2 * np.pi * column * (columns - 1) / columns
        cut = neckline(garment, around)
        row = row * cut if name == "neck" else cut + (1 - cut) * row
        points = chest(row, around, breadth, slope)
        if name == "neck":
            flat = np.stack((0.5 + 0.4 * np.sin(around), 0.5 + 0.45 * row), axis=1)
        else:
            flat = np.stack((0.5 + 0.0235 * points[:, 0] / breadth, ((-11.0 - points[:, 1]) / 34.0).clip(0, 1)), axis=1)
        material = Material.SKIN if name == "neck" else Material.CLOTH
        triangles = grid_triangles(rows, columns, wrap=True)
        parts.append(Part(points, triangles, flat, name, material, np.zeros(len(points))))
    if garment in ("crew", "v-neck", "wide"):
        parts.append(_hem(garment, breadth, slope))
    return parts


def _hem(garment: Garment, breadth: float, slope: float) -> Part:
    rows, columns = 5, 64
    row, column = grid(rows, columns)
    around = 2 * np.pi * column * (columns - 1) / columns
    width = 0.02 if garment == "wide" else 0.045
    points = chest(neckline(garment, around) + width * (row - 0.35), around, breadth, slope)
    points += (0.16 * np.sin(np.pi * row) + 0.02)[:, None] * np.stack(
        (0.5 * np.sin(around), np.full_like(around, 0.8), 0.6 * np.cos(around)), axis=1
    )
    flat = np.stack((column, row), axis=1)
    triangles = grid_triangles(rows, columns, wrap=True)
    return Part(points, triangles, flat, "collar", Material.CLOTH, np.zeros(len(points)), two_sided=True)


def collar_part(garment: Garment, width: float, breadth: float, slope: float) -> Part | None:
    """What stands up around the neck; None for garments that only have a neckline.

    Args:
        garment: Kind of garment.
        width: Of the neck relative to the mean.
        breadth: Of the shoulders relative to the mean.
        slope: How far the shoulders hang beyond the mean; centimetres.
    """
    if garment in ("crew", "v-neck", "wide"):
        return None
    rows, columns = 8, 56
    row, column = grid(rows, columns)
    closed = garment in ("turtleneck", "hoodie")
    opening = 0.0 if closed else 0.1
    around = opening + (2 * np.pi - 2 * opening) * column * ((columns - 1) / columns if closed else 1.0)
    side, front, away = np.sin(around), np.cos(around), from_front(around)
    if garment == "turtleneck":
        radius = width * (5.25 + 0.35 * np.sin(np.pi * row.clip(0, 0.5)) + 1.6 * row**2)
        height = -9.0 - 0.9 * front - 4.6 * row
        points = np.stack((radius * side, height, _AXIS + 0.5 * (1 - row) + radius * 0.98 * front), axis=1)
    elif garment == "hoodie":
        turn = np.pi * (1.15 * row - 0.3)
        thick = 1.3 + 1.1 * (0.5 - 0.5 * front)
        base = chest(np.full_like(row, 0.17), around, breadth, slope)
        out = np.stack((side, np.zeros_like(side), front), axis=1)
        points = base + (thick * (-np.cos(turn)))[:, None] * out * -0.9
        points[:, 1] += 1.15 * thick * np.sin(turn)
    else:
        points = _folded(row, around, away, width, breadth, slope)
    flat = np.stack((column, row), axis=1)
    triangles = grid_triangles(rows, columns, wrap=closed)
    head = 0.3 * smoothstep(-13.5, -8.5, points[:, 1]) if closed else np.zeros(len(points))
    return Part(points, triangles, flat, "collar", Material.CLOTH, head, two_sided=True)


def _folded(row: Values, around: Values, away: Values, width: float, breadth: float, slope: float) -> Points:
    """A shirt collar: up along the neck, over, and down onto the chest with two points in front."""
    side, front = np.sin(around), np.cos(around)
    tips = np.exp(-((away / 0.42) ** 2))
    top = -11.0 - 1.9 * front.clip(0) ** 1.5
    rest = chest(0.2 + 0.12 * tips, around + np.sign(np.sin(around)) * 0.16 * tips, breadth, slope)
    rest[:, 1] += 0.3
    rest[:, 2] += 0.35 * front.clip(0)
    radius = width * np.interp(row, (0, 0.45, 0.6), (5.7, 5.75, 6.1))
    height = np.interp(row, (0, 0.45, 0.6), (-3.0, 0.0, 0.0)) + top
    stand = np.stack((radius * side, height, _AXIS + radius * 0.97 * front), axis=1)
    down = smoothstep(0.5, 1.0, row)[:, None]
    return np.asarray(stand * (1 - down) + rest * down)
