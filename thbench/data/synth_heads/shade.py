"""Colour of every visible point: a small physically minded shading model in linear light."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.part import Material

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.scene import Light

    Field = NDArray[np.float32]


class Points(NamedTuple):
    """Visible surface points."""

    normal: Field
    """Shape (n, 3): unit normals towards the viewer, camera space."""
    view: Field
    """Shape (n, 3): unit vectors to the camera."""
    albedo: Field
    """Shape (n, 4): linear colour, and gloss (or strand tilt of hair)."""
    ambient: Field
    """Shape (n,): share of the surroundings that is seen."""
    shadow: Field
    """Shape (n,): share of the key light that arrives."""
    material: NDArray[np.int64]
    """Shape (n,)."""


_WRAP = np.zeros((len(Material), 3), dtype=np.float32)
_WRAP[Material.SKIN] = (0.3, 0.18, 0.13)
_WRAP[Material.MOUTH] = (0.3, 0.15, 0.1)
_WRAP[Material.EYE] = (0.35, 0.32, 0.3)
_WRAP[Material.TOOTH] = (0.3, 0.25, 0.2)
_WRAP[Material.HAIR] = (0.2, 0.2, 0.2)
_WRAP[Material.CLOTH] = (0.12, 0.12, 0.12)
"""How far light reaches round the edge of shadow, by colour: red goes deepest through skin."""

_SHINE = np.zeros((len(Material), 2), dtype=np.float32)
_SHINE[Material.SKIN] = (0.55, 14.0)
_SHINE[Material.MOUTH] = (0.5, 30.0)
_SHINE[Material.EYE] = (2.2, 120.0)
_SHINE[Material.TOOTH] = (0.5, 40.0)
_SHINE[Material.CLOTH] = (0.12, 6.0)
_SHINE[Material.LASH] = (0.0, 1.0)
_SHINE[Material.FRAME] = (1.0, 50.0)
"""Strength and exponent of the highlight."""


def shade(points: Points, light: Light) -> Field:
    """Linear colour of each point, shape (n, 3)."""
    normal, material = points.normal, points.material
    hair = np.flatnonzero(material == Material.HAIR)
    if len(hair):
        normal = _combed(normal, points.albedo[:, 3], hair)
    key = np.asarray(light.key_direction, dtype=np.float32)
    facing = normal @ key
    wrap = _WRAP[material]
    diffuse = ((facing[:, None] + wrap) / (1 + wrap)).clip(0)
    diffuse *= points.shadow[:, None] * np.asarray(light.key, dtype=np.float32)
    up = (0.5 + 0.5 * normal[:, 1:2]) * points.ambient[:, None]
    sky, ground = np.asarray(light.sky, dtype=np.float32), np.asarray(light.ground, dtype=np.float32)
    around = ground * points.ambient[:, None] + (sky - ground) * up
    colour = points.albedo[:, :3] * (diffuse + around)
    shine = _highlight(points, normal, facing, light)
    if len(hair):
        shine[hair] = _strand_light(points, normal, hair, light)
    return np.asarray(colour + shine, dtype=np.float32)


def _combed(normal: Field, tilt: Field, hair: NDArray[np.int64]) -> Field:
    """Tilt the normals of hair sideways by the strands in its texture."""
    result = normal.copy()
    n = normal[hair]
    # Strands run down the surface; sideways is across the normal and the vertical.
    side = np.stack((n[:, 2], np.zeros(len(n), dtype=np.float32), -n[:, 0]), axis=1)
    n = n + 1.5 * (tilt[hair, None] - 0.5) * side
    result[hair] = n / np.sqrt((n * n).sum(axis=1, keepdims=True))
    return result


def _highlight(points: Points, normal: Field, facing: Field, light: Light) -> Field:
    """Blinn's highlight with the power as an exponential, and a Fresnel edge lit from behind."""
    strength, exponent = _SHINE[points.material].T
    half = points.view + np.asarray(light.key_direction, dtype=np.float32)
    half /= np.sqrt((half * half).sum(axis=1, keepdims=True))
    cosine = (normal * half).sum(axis=1).clip(0, 1)
    lobe = np.exp(exponent * (cosine - 1))
    gloss = strength * points.albedo[:, 3] * lobe * points.shadow * (facing > 0)
    grazing = (1 - (normal * points.view).sum(axis=1)).clip(0, 1)
    behind = (normal @ np.asarray(light.rim_direction, dtype=np.float32)).clip(0)
    edge = 0.75 * grazing**3 * behind * points.ambient
    shine = gloss[:, None] * np.asarray(light.key, dtype=np.float32)
    shine += edge[:, None] * np.asarray(light.rim, dtype=np.float32)
    return np.asarray(shine, dtype=np.float32)


def _strand_light(points: Points, normal: Field, hair: NDArray[np.int64], light: Light) -> Field:
    """Two highlights along the strands (Kajiya and Kay 1989; shifted and coloured as in Marschner et al. 2003)."""
    n, view = normal[hair], points.view[hair]
    strand = np.stack((-n[:, 0] * n[:, 1], 1 - n[:, 1] ** 2, -n[:, 1] * n[:, 2]), axis=1)
    strand /= np.sqrt((strand * strand).sum(axis=1, keepdims=True)) + 1e-6
    half = view + np.asarray(light.key_direction, dtype=np.float32)
    half /= np.sqrt((half * half).sum(axis=1, keepdims=True))
    along = (strand * half).sum(axis=1) + 0.25 * (points.albedo[hair, 3] - 0.5)
    first = (1 - (along - 0.12) ** 2).clip(0) ** 40
    second = (1 - (along + 0.15) ** 2).clip(0) ** 14
    seen = points.shadow[hair] * points.ambient[hair]
    colour = points.albedo[hair, :3]
    shine = 0.12 * first[:, None] + 0.55 * second[:, None] * colour
    lit = shine * seen[:, None] * np.asarray(light.key, dtype=np.float32)
    grazing = (1 - (n * view).sum(axis=1)).clip(0, 1) ** 2
    behind = (n @ np.asarray(light.rim_direction, dtype=np.float32)).clip(0)
    edge = (0.5 * grazing * behind)[:, None] * np.asarray(light.rim, dtype=np.float32) * (0.15 + colour)
    return np.asarray(lit + edge, dtype=np.float32)
