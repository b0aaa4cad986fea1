"""Hair: a shell that grows out of the head and may fall to the shoulders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from thbench.data.synth_heads.mesh import grid_triangles
from thbench.data.synth_heads.part import Material, Part, smoothstep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points

CENTRE = np.array((0.0, 3.2, -3.6))
"""Directions of the hair are measured from here."""
_ROWS, _COLUMNS = 26, 96
_HAIRLINE = (
    (0, 24, 42, 56, 66, 73, 80, 87, 94, 104, 120, 150, 180),
    (52, 51, 51, 60, 79, 101, 112, 107, 96, 100, 124, 143, 149),
)
"""Azimuth from the front and polar angle from the crown of the mean hairline; degrees."""

_PART_DEGREES = 38.0
"""Azimuth of a parting at position 1."""


@dataclass(frozen=True, slots=True)
class HairStyle:
    """Shape of the hair; lengths in centimetres."""

    volume: float = 1.0
    """Thickness on the sides and the back."""
    top: float = 1.4
    """Thickness on the crown."""
    front: float = 1.4
    """Thickness over the forehead (quiff)."""
    recede: float = 0.0
    """Degrees by which the front hairline lies back."""
    length: float = 0.0
    """How far the curtain falls below the ears; 0 for short hair."""
    opening: float = 62.0
    """Azimuth at which the curtain starts; degrees."""
    fringe: float = 0.0
    """Degrees by which hair hangs over the front hairline."""
    curl: float = 0.0
    """Height of curls."""
    swept: float = 0.0
    """Degrees by which hair that is combed from the parting to the sides comes down over the temples."""
    part: float = 0.0
    """Position of the parting, -1 (right) to 1 (left); sweeps the front to the other side."""
    flare: float = 0.0
    """How far the ends of the curtain stand out (positive) or turn in."""
    bun: float = 0.0
    """Radius of a bun on the crown."""


HAIR_STYLES: Mapping[str, HairStyle | None] = {
    "bald": None,
    "buzz": HairStyle(volume=0.3, top=0.35, front=0.3),
    "crop": HairStyle(volume=0.6, top=1.3, front=1.2, part=0.0, curl=0.12),
    "side part": HairStyle(volume=0.7, top=1.5, front=1.7, part=0.6, curl=0.05),
    "quiff": HairStyle(volume=0.6, top=2.0, front=2.7, curl=0.1),
    "receding": HairStyle(volume=0.7, top=0.55, front=0.4, recede=13.0),
    "fringe": HairStyle(volume=1.1, top=1.5, front=1.2, fringe=16.0, curl=0.08),
    "curly": HairStyle(volume=1.7, top=2.4, front=2.1, curl=0.55),
    "afro": HairStyle(volume=3.2, top=3.8, front=3.2, curl=0.4),
    "bob": HairStyle(
        volume=1.3, top=1.5, front=1.2, recede=6.0, swept=20.0, length=7.0, part=0.45, flare=-1.2, opening=60.0
    ),
    "bob with fringe": HairStyle(volume=1.3, top=1.6, front=1.2, length=7.5, fringe=18.0, flare=-1.0, opening=58.0),
    "long": HairStyle(
        volume=1.3, top=1.5, front=1.2, recede=6.0, swept=18.0, length=18.0, part=0.2, flare=0.8, opening=63.0
    ),
    "long wavy": HairStyle(
        volume=1.8,
        top=1.9,
        front=1.5,
        recede=5.0,
        swept=16.0,
        length=17.0,
        part=-0.5,
        flare=1.5,
        curl=0.35,
        opening=64.0,
    ),
    "bun": HairStyle(volume=0.5, top=0.8, front=0.6, recede=5.0, swept=7.0, bun=3.3, part=0.0),
}
"""Named styles, before a person's own variation."""


def hairline_of(style: HairStyle, azimuth: NDArray[np.floating]) -> NDArray[np.float64]:
    """Polar angle from the crown at which the hair ends, in degrees, at azimuths from the front in degrees."""
    away = np.abs(azimuth)
    bay = 1 + 0.4 * np.cos(np.radians(away * 4))
    combed = smoothstep(4.0, 40.0, np.abs(azimuth - _PART_DEGREES * style.part)) * smoothstep(72.0, 50.0, away)
    back = style.recede * np.exp(-((away / 45) ** 2)) * bay
    return np.asarray(np.interp(away, *_HAIRLINE) - back + style.swept * combed)


def varied(style: HairStyle, seed: int) -> HairStyle:
    """A person's own variation of a style."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((0x4A3, seed))))
    scale = 1 + 0.15 * rng.standard_normal(4).clip(-2, 2)
    return replace(
        style,
        volume=style.volume * float(scale[0]),
        top=style.top * float(scale[1]),
        front=style.front * float(scale[2]),
        length=style.length * float(scale[3]),
        recede=style.recede + float(rng.normal(0, 1.5)),
        part=style.part * float(rng.choice((-1.0, 1.0))),
    )


def hair_parts(surface: Points, style: HairStyle, rng: np.random.Generator) -> list[Part]:
    """The hair of a person.

    Args:
        surface: Drawn surface of the face and the skull at rest, shape (vertices, 3).
        style: Shape of the hair.
        rng: Source of its irregularities.
    """
    parts = [_shell(_HeadRadius(surface), style, rng)]
    if style.bun:
        parts.append(_bun(_HeadRadius(surface), style))
    return parts


def angles(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth from the front and polar angle from the crown of points (..., 3), in degrees."""
    x, y, z = np.moveaxis(points - CENTRE, -1, 0)
    return np.degrees(np.arctan2(x, z)), np.degrees(np.arctan2(np.hypot(x, z), y))


class _HeadRadius:
    """Distance from `CENTRE` to the skin in any direction."""

    def __init__(self, surface: Points) -> None:
        local = surface - CENTRE
        self._radius = np.linalg.norm(local, axis=1)
        self._tree = cKDTree(local / self._radius[:, None])

    def __call__(self, direction: Points) -> NDArray[np.float64]:
        distance, index = self._tree.query(direction, k=5)
        weight = 1.0 / (distance + 0.02) ** 2
        return np.asarray((self._radius[index] * weight).sum(axis=1) / weight.sum(axis=1))


def _direction(azimuth: NDArray[np.float64], polar: NDArray[np.float64]) -> Points:
    a, p = np.radians(azimuth), np.radians(polar)
    return np.stack((np.sin(p) * np.sin(a), np.cos(p), np.sin(p) * np.cos(a)), axis=-1)


def _noise(rng: np.random.Generator, azimuth: NDArray[np.float64], waves: int, power: float) -> NDArray[np.float64]:
    """Smooth periodic noise of the azimuth, about unit size."""
    order = np.arange(1, waves + 1)
    phase = rng.uniform(0, 2 * np.pi, waves)
    size = order ** (-power) * rng.normal(1, 0.3, waves)
    wave = np.sin(np.radians(azimuth)[..., None] * order + phase)
    return np.asarray((wave * size).sum(axis=-1) / np.sqrt((size**2).sum() / 2))


def _shell(head: _HeadRadius, style: HairStyle, rng: np.random.Generator) -> Part:
    azimuth = np.linspace(-180, 180, _COLUMNS)
    t = np.linspace(0, 1, _ROWS)[:, None]
    away = np.abs(azimuth)
    hairline = hairline_of(style, azimuth)
    hairline += 0.5 * _noise(rng, azimuth, 14, 0.3) + 0.3 * _noise(rng, azimuth, 40, 0.0)
    curtain = smoothstep(style.opening - 4, style.opening + 10, away) if style.length else np.zeros_like(away)
    hanging = smoothstep(48, 36, away) if style.fringe else np.zeros_like(away)
    ends = hairline + 4.0 + hanging * (style.fringe + 2.2 * _noise(rng, azimuth * 1.5, 20, 0.2) - 4.0)
    split = np.where(curtain > 0, 0.55, 1.0)
    last = np.where(curtain > 0, curtain * 96.0 + (1 - curtain) * ends, ends)
    polar = 2.0 + (last - 2.0) * (t / split).clip(0, 1)
    direction = _direction(np.broadcast_to(azimuth, polar.shape), polar)
    radius = head(direction.reshape(-1, 3)).reshape(polar.shape)
    thick = _thickness(style, azimuth, polar)
    thick += style.curl * _curls(rng, azimuth, polar)
    # At the hairline the shell dives under the skin, unless it hangs over it.
    inside = hairline - polar
    grows = 0.25 * smoothstep(-2.0, 5.0, inside) + 0.75 * smoothstep(2.0, 22.0, inside)
    edge = smoothstep(style.opening - 6, style.opening + 22, away) if style.length else 0.0
    grows = np.maximum(grows, np.maximum(hanging * 0.5, curtain * edge))
    points = CENTRE + direction * (radius - 0.2 + (thick + 0.2) * grows)[..., None]
    points = _fall(points, style, curtain, t, split, azimuth, rng)
    flat = np.stack(
        (np.broadcast_to(np.linspace(0, 1, _COLUMNS), polar.shape), np.broadcast_to(t, polar.shape)), axis=-1
    )
    follow = np.ones(_ROWS * _COLUMNS) - 0.55 * smoothstep(-4.0, -16.0, points[..., 1]).ravel()
    triangles = grid_triangles(_ROWS, _COLUMNS)
    return Part(points.reshape(-1, 3), triangles, flat.reshape(-1, 2), "hair", Material.HAIR, follow, two_sided=True)


def _thickness(style: HairStyle, azimuth: NDArray[np.float64], polar: NDArray[np.float64]) -> NDArray[np.float64]:
    top = np.exp(-((polar / 48) ** 2))
    front = np.exp(-((np.abs(azimuth) / 50) ** 2)) * smoothstep(25, 50, polar)
    thick = style.volume * (1 - top) * (1 - front) + style.top * top + style.front * front * (1 - 0.6 * top)
    if style.part:
        # Hair rises beside the parting line, more on the side it is swept to.
        line = _PART_DEGREES * style.part
        beside = azimuth - line
        fold = np.exp(-((beside / 6) ** 2)) * smoothstep(8, 30, polar) * (np.abs(azimuth) < 100)
        swept = 0.35 * np.sign(-style.part) * np.tanh(beside / 25) * front
        thick = thick * (1 - 0.55 * fold) + swept
    return np.asarray(thick)


def _curls(rng: np.random.Generator, azimuth: NDArray[np.float64], polar: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.stack([_noise(rng, azimuth, 26, 0.0) for _ in range(len(polar))])
    smooth = (rows + np.roll(rows, 1, axis=0)) / np.sqrt(2)
    return np.asarray(smooth * smoothstep(4, 25, polar) * 0.55)


def _fall(
    points: Points,
    style: HairStyle,
    curtain: NDArray[np.float64],
    t: NDArray[np.float64],
    split: NDArray[np.float64],
    azimuth: NDArray[np.float64],
    rng: np.random.Generator,
) -> Points:
    """Let the rows of the curtain hang from the widest part of the head."""
    if not style.length:
        return points
    fall = ((t - split) / (1 - split + 1e-9)).clip(0, 1) * (curtain > 0)
    length = (style.length + 5.0) * curtain * (1 + 0.03 * _noise(rng, azimuth, 16, 0.2))
    outward = _direction(azimuth, np.full_like(azimuth, 90.0))
    wave = style.curl * np.sin(fall * 9.0 + _noise(rng, azimuth, 10, 0.5)) * fall
    # Below the ears hair lies closer to the neck, then spreads over the shoulders.
    away = style.flare * fall**2 - 1.5 * np.sin(np.pi * fall) * (style.length > 10) + 1.6 * wave
    result = points + away[..., None] * outward
    result[..., 1] -= length * fall
    return np.asarray(result)


def _bun(head: _HeadRadius, style: HairStyle) -> Part:
    rows, columns = 12, 20
    polar, azimuth = np.meshgrid(np.linspace(2, 178, rows), np.linspace(-180, 180, columns), indexing="ij")
    towards = _direction(np.array(180.0), np.array(24.0))
    centre = CENTRE + towards * (float(head(towards[None])[0]) + 0.55 * style.bun)
    points = centre + style.bun * _direction(azimuth, polar).reshape(-1, 3) * (1.1, 0.85, 1.0)
    flat = np.stack((azimuth / 360 + 0.5, polar / 180), axis=-1).reshape(-1, 2)
    return Part(points, grid_triangles(rows, columns), flat, "hair", Material.HAIR, np.ones(rows * columns))
