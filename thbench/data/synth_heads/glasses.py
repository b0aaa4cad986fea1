"""Spectacle frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.mesh import grid_triangles
from thbench.data.synth_heads.part import Material, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.eyes import Eyeball
    from thbench.data.synth_heads.mesh import Points, Triangles

_SIDES = 6


def glasses_part(control: Points, eyes: Sequence[Eyeball], *, round_: bool) -> Part:
    """Two rims, a bridge and two temples, as thin tubes.

    Args:
        control: Control mesh of the person at rest.
        eyes: The person's eyeballs.
        round_: Round rims instead of rectangular ones.
    """
    thick = 0.11 if round_ else 0.17
    tubes = []
    front = float(control[6, 2]) - 0.05
    edges = []
    for eye in eyes:
        sign = float(np.sign(eye.centre[0]))
        angle = np.linspace(0, 2 * np.pi, 33)
        power = 1.0 if round_ else 0.45
        x = 2.25 * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
        y = (2.0 if round_ else 1.6) * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
        z = front - 0.02 * (x * sign + 2.25) ** 2 * 1.4
        centre = eye.centre + (0.1 * sign, -0.35, 0.0)
        tubes.append(_tube(np.stack((centre[0] + x, centre[1] + y, z), axis=1), thick))
        edges.append((centre[0] + 2.25 * sign, centre[1] + 0.5, float(z[np.argmax(x * sign)])))
        ear = control[234 if sign < 0 else 454] + (0.25 * sign, 1.6, -2.0)
        tubes.append(_tube(np.linspace(edges[-1], ear, 8), thick))
    inner = [eye.centre + (-2.1 * np.sign(eye.centre[0]), 0.25, 0.0) for eye in eyes]
    arc = np.linspace(inner[0], inner[1], 9)
    arc[:, 2] = front + 0.15 * np.sin(np.linspace(0, np.pi, 9))
    tubes.append(_tube(arc, thick))
    offset = np.cumsum([0, *(len(p) for p, _ in tubes)])
    points = np.concatenate([p for p, _ in tubes])
    triangles = np.concatenate([t + o for (_, t), o in zip(tubes, offset[:-1], strict=True)]).astype(np.int32)
    flat = np.full((len(points), 2), 0.5)
    return Part(points, triangles, flat, "frame", Material.FRAME, np.ones(len(points)), two_sided=True)


def _tube(path: NDArray[np.float64], radius: float) -> tuple[Points, Triangles]:
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    aside = np.cross(along, (0.0, 0.13, 1.0))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    third = np.cross(along, aside)
    angle = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    ring = np.cos(angle)[None, :, None] * aside[:, None] + np.sin(angle)[None, :, None] * third[:, None]
    return (path[:, None] + radius * ring).reshape(-1, 3), grid_triangles(len(path), _SIDES, wrap=True)
