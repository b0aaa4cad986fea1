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
    """Visible surface points; the points are the last axis, so that each component lies together in memory."""

    normal: Field
    """Shape (3, n): unit normals towards the viewer, camera space."""
    view: Field
    """Shape (3, n): unit vectors to the camera."""
    albedo: Field
    """Shape (4, n): linear colour, and gloss (or strand tilt of hair)."""
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


_RIM = np.full(len(Material), 0.75, dtype=np.float32)
_RIM[Material.HAIR] = 0.22
_RIM[Material.EYE] = 0.0
"""Strength of the outline lit from behind."""


def unit(vectors: Field) -> Field:
    """Vectors (3, n) at length one."""
    x, y, z = vectors
    return np.asarray(vectors / (np.sqrt(x * x + y * y + z * z) + 1e-6))


def dot(a: Field, b: Field | NDArray[np.float64]) -> Field:
    """Scalar products of vectors (3, n) with vectors (3, n) or with one vector (3,)."""
    x, y, z = (np.float32(v) if np.ndim(v) == 0 else v for v in b)
    return np.asarray(a[0] * x + a[1] * y + a[2] * z)


def shade(points: Points, light: Light) -> Field:
    """Linear colour of each point, shape (3, n)."""
    normal, material = points.normal, points.material
    hair = np.flatnonzero(material == Material.HAIR)
    if len(hair):
        normal = _combed(normal, points.albedo[3], hair)
    facing = dot(normal, light.key_direction)
    up = (0.5 + 0.5 * normal[1]) * points.ambient
    half = unit(points.view + _column(light.key_direction))
    gloss = _highlight(points, dot(normal, half))
    gloss[hair] = 0.0
    gloss *= facing > 0
    edge = _edge(points, normal, light)
    colour = np.empty((3, len(material)), dtype=np.float32)
    for c in range(3):
        wrap = _WRAP[material, c]
        diffuse = ((facing + wrap) / (1 + wrap)).clip(0) * points.shadow * np.float32(light.key[c])
        around = np.float32(light.ground[c]) * points.ambient + np.float32(light.sky[c] - light.ground[c]) * up
        colour[c] = points.albedo[c] * (diffuse + around)
        colour[c] += gloss * np.float32(light.key[c]) + edge * np.float32(light.rim[c])
    if len(hair):
        colour[:, hair] += _strand_light(points, normal, half, hair, light)
    return colour


def _column(vector: NDArray[np.float64]) -> Field:
    return np.asarray(vector, dtype=np.float32)[:, None]


def _combed(normal: Field, tilt: Field, hair: NDArray[np.int64]) -> Field:
    """Tilt the normals of hair sideways by the strands in its texture."""
    result = normal.copy()
    n = normal[:, hair]
    # Strands run down the surface; sideways is across the normal and the vertical.
    aside = 1.5 * (tilt[hair] - 0.5)
    n[0], n[2] = n[0] + aside * n[2], n[2] - aside * n[0]
    result[:, hair] = unit(n)
    return result


def _highlight(points: Points, cosine: Field) -> Field:
    """Blinn's highlight with the power as an exponential, which is the same lobe where it matters."""
    strength, exponent = _SHINE[points.material].T
    lobe = np.exp(exponent * (np.minimum(cosine, 1) - 1))
    return np.asarray(strength * points.albedo[3] * lobe * points.shadow)


def _edge(points: Points, normal: Field, light: Light) -> Field:
    """Light from behind that skims the outline (Fresnel); hair keeps most of it."""
    grazing = (1 - dot(normal, points.view)).clip(0, 1)
    behind = dot(normal, light.rim_direction).clip(0)
    return np.asarray(_RIM[points.material] * grazing * grazing * grazing * behind * points.ambient)


def _strand_light(points: Points, normal: Field, half: Field, hair: NDArray[np.int64], light: Light) -> Field:
    """Two highlights along the strands (Kajiya and Kay 1989; shifted and coloured as in Marschner et al. 2003)."""
    n = normal[:, hair]
    strand = unit(np.stack((-n[0] * n[1], 1 - n[1] * n[1], -n[1] * n[2])))
    along = dot(strand, half[:, hair]) + 0.25 * (points.albedo[3, hair] - 0.5)
    first = np.exp(-40 * (along - 0.12) ** 2)
    second = np.exp(-14 * (along + 0.15) ** 2)
    seen = points.shadow[hair] * points.ambient[hair]
    colour = points.albedo[:3, hair]
    brightness = colour.mean(axis=0)
    return np.asarray((0.25 * (0.15 + brightness) * first + 0.6 * second * colour) * seen * _column(light.key))
