"""The textures of one person: skin, eyes, teeth, tongue, hair and clothes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.eyes import CAP_DEGREES, IRIS_DEGREES
from thbench.data.synth_heads.hair import HAIR_STYLES, HairStyle, angles, hairline_of, varied
from thbench.data.synth_heads.mouth import TEETH
from thbench.data.synth_heads.paint import blob, linear, mix, skin_map, smooth_noise
from thbench.data.synth_heads.part import smoothstep
from thbench.data.synth_heads.person import stream
from thbench.data.synth_heads.template import template

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.paint import Image
    from thbench.data.synth_heads.person import Person

SIZES = {
    "skin": 1.0, "hair": 0.5, "cloth": 0.5, "eye": 0.25, "ear": 0.25, "neck": 0.25, "collar": 0.25, "tooth": 0.25,
    "tongue": 0.125, "lash": 0.125, "frame": 0.125,
}  # fmt: skip
"""Side of each texture relative to that of the skin."""


def textures(person: Person, size: int) -> dict[str, Image]:
    """Paint a person.

    Args:
        person: Whom.
        size: Side of the skin's texture in texels; a multiple of 8.

    Returns:
        Texture name to an image (n, n, 4), linear light, with n as in `SIZES`.
    """
    side = {name: round(size * share) for name, share in SIZES.items()}
    return {
        "skin": _skin(person, side["skin"]),
        "hair": _hair(person, side["hair"]),
        "cloth": _cloth(person, side["cloth"]),
        "eye": _eye(person, side["eye"]),
        "ear": _ear(person, side["ear"]),
        "neck": _neck(person, side["neck"]),
        "collar": _collar(person, side["collar"]),
        "tooth": _tooth(person, side["tooth"]),
        "tongue": _plain(side["tongue"], linear((0.72, 0.36, 0.37)), 0.5),
        "lash": _plain(side["lash"], linear(0.25 * np.asarray(person.look.brow)), 0.1),
        "frame": _plain(side["frame"], linear((0.08, 0.07, 0.07) if person.glasses == 2 else (0.32, 0.24, 0.16)), 0.6),
    }


def _plain(size: int, colour: NDArray[np.float64], gloss: float) -> Image:
    return np.tile(np.array((*colour, gloss), dtype=np.float32), (size, size, 1))


def _grid(size: int) -> tuple[Image, Image]:
    """Columns and rows of the texel centres in [0, 1], each (size, size)."""
    t = ((np.arange(size) + 0.5) / size).astype(np.float32)
    u, v = np.meshgrid(t, t)
    return u, v


def _skin(person: Person, size: int) -> Image:
    look, where = person.look, skin_map(size)
    rng = stream(0x5C1, person.seed)
    p = where.position
    base = linear(look.skin)
    image = _plain(size, base, 0.3)
    image[..., :3] *= (1 + 0.018 * smooth_noise(rng, size, 14) + 0.022 * smooth_noise(rng, size, 70))[..., None]
    red = base * (1.02, 0.66, 0.62)
    image = mix(image, red, 0.42 * look.blush * blob(p, (4.2, -0.8, 3.6), (1.6, 1.2, 2.0)))
    image = mix(image, red, 0.4 * look.blush * blob(p, (0.0, -0.7, 7.4), (1.2, 0.9, 1.2)))
    image = mix(image, red, 0.2 * blob(p, (0.0, -8.4, 4.8), (1.4, 1.0, 2.0)))
    image = mix(image, base * (0.72, 0.6, 0.62), (0.22 + 0.3 * look.age) * blob(p, (2.7, 1.6, 4.0), (1.0, 0.42, 1.5)))
    image = mix(image, base * (0.5, 0.38, 0.38), 0.55 * look.eyeshadow * blob(p, (3.1, 3.35, 3.9), (1.25, 0.42, 1.2)))
    image = mix(
        image, base * (0.16, 0.08, 0.07), 0.85 * (2.2 * blob(p, (0.66, -1.72, 6.25), (0.26, 0.16, 0.45))).clip(0, 1)
    )
    if look.freckles:
        spots = smoothstep(1.5, 2.3, smooth_noise(rng, size, 110)) * blob(p, (2.2, 0.0, 5.0), (3.0, 1.6, 3.0))
        image = mix(image, base * (0.62, 0.45, 0.36), 0.6 * look.freckles * spots)
    image = _lines(image, base, look.age, p)
    image = _scalp(image, person, rng, p)
    image = _beard(image, person, rng, p, where.lip)
    image = _lips(image, person, rng, where.lip, p)
    image = _brows(image, person, rng, p)
    image = mix(image, base * (0.5, 0.25, 0.24), 0.7 * smoothstep(0.3, 0.9, where.rim))
    image = _lid_line(image, person, p, where.rim)
    inside = smoothstep(0.02, 0.4, where.lining)
    image = mix(image, linear((0.52, 0.20, 0.20)), inside)
    image[..., 3] = np.where(inside > 0.5, 0.4, image[..., 3])
    image[..., 3] += 0.22 * blob(p, (0, -0.5, 7.5), (0.8, 0.8, 1.0)) + 0.12 * blob(p, (0, 6.5, 5.0), (3.0, 1.5, 3.0))
    return image


def _lines(image: Image, base: NDArray[np.float64], age: float, p: Image) -> Image:
    """Folds beside the mouth and on the forehead."""
    x, y = np.abs(p[..., 0]), p[..., 1]
    front = smoothstep(1.0, 3.0, p[..., 2])
    fold = (
        np.exp(-(((x - (2.15 + 0.22 * (-1.3 - y))) / 0.16) ** 2))
        * smoothstep(-4.9, -3.2, y)
        * smoothstep(-0.9, -1.8, y)
    )
    furrow = sum(np.exp(-(((y - level - 0.1 * np.cos(x)) / 0.09) ** 2)) for level in (6.1, 6.9, 7.6))
    furrow = furrow * smoothstep(4.2, 2.5, x)
    dark = base * (0.62, 0.5, 0.47)
    image = mix(image, dark, (0.07 + 0.5 * age) * fold * front)
    return mix(image, dark, 0.5 * max(age - 0.35, 0.0) * furrow * front)


def _scalp(image: Image, person: Person, rng: np.random.Generator, p: Image) -> Image:
    """Roots of the hair that show through at the hairline; a shadow of them where the head is shaven."""
    style = HAIR_STYLES[person.hair]
    azimuth, polar = angles(p)
    inside = hairline_of(varied(style, person.seed) if style else HairStyle(), azimuth) - polar
    grid = smooth_noise(rng, (64, 1024), (6, 300))
    place = np.stack(((azimuth / 360 + 0.5) * 1023, polar / 180 * 63), axis=-1).astype(np.float32)
    strands = cv2.remap(grid, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
    amount = smoothstep(-4.0, 3.5, inside + 2.2 * strands) * (0.92 if style else 0.16)
    return mix(image, linear(0.85 * np.asarray(person.look.hair)), amount)


def _beard(image: Image, person: Person, rng: np.random.Generator, p: Image, lip: Image) -> Image:
    look, size = person.look, len(p)
    x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
    border = 0.35 * smooth_noise(rng, size, 45)
    cheek = smoothstep(-0.2, -1.4, y + border + 3.6 * np.exp(-(((x - 2.2) / 2.2) ** 2)) - 0.55 * (x - 5.0).clip(0)) * (
        x > 1.2
    )
    chin = smoothstep(-5.6, -6.2, y + border) * smoothstep(5.5, 3.5, x)
    moustache = np.exp(-(((y + 2.72 + 0.13 * x * x) / 0.5) ** 4)) * smoothstep(3.0, 2.3, x) * (z > 3)
    below = smoothstep(-5.5, -6.0, y + 0.4 * border) * smoothstep(2.6, 1.6, x)
    jaw = np.maximum(np.maximum(cheek, chin), below) * smoothstep(-8.5, -3.5, z)
    area = np.maximum(jaw, moustache) * smoothstep(0.4, 0.1, lip)
    grain = 0.75 + 0.25 * smooth_noise(rng, size, 170)
    shadow = linear(look.skin) * (0.55, 0.55, 0.6)
    image = mix(image, shadow, (0.5 * look.stubble * area * grain).clip(0, 1))
    hair = linear(look.brow) * 1.1
    opaque = np.maximum(look.beard * jaw, look.moustache * moustache) * smoothstep(0.4, 0.1, lip)
    strands = (0.97 + 0.1 * smooth_noise(rng, size, 130)).clip(0.4, 1)
    tone = hair * (1 + 0.3 * smooth_noise(rng, size, 90)[..., None])
    weight = (opaque * strands).clip(0, 0.97)[..., None].astype(np.float32)
    image = image.copy()
    image[..., :3] = image[..., :3] * (1 - weight) + tone.clip(0).astype(np.float32) * weight
    image[..., 3] *= 1 - 0.7 * weight[..., 0]
    return image


def _lips(image: Image, person: Person, rng: np.random.Generator, lip: Image, p: Image) -> Image:
    look, size = person.look, len(p)
    natural = linear(look.skin) * (0.86, 0.5, 0.5)
    colour = natural * (1 - look.lipstick) + linear(look.lips) * look.lipstick
    crease = 1 + 0.05 * smooth_noise(rng, (size, size), (12, 190))
    area = smoothstep(0.42, 0.62, lip)
    image = mix(image, colour, 0.92 * area)
    image[..., :3] *= np.where(area > 0, crease, 1.0)[..., None]
    seam = np.exp(-((lip - 0.5) ** 2) / 0.01) * 0.12
    image[..., :3] *= (1 - seam)[..., None]
    image[..., 3] += (0.25 + 0.35 * look.lipstick) * area
    return image


def _brows(image: Image, person: Person, rng: np.random.Generator, p: Image) -> Image:
    """Strokes between the upper and the lower line of brow vertices."""
    look, size, points = person.look, len(p), template().points
    upper = points[[107, 66, 105, 63, 70]] * (-1, 1, 1)
    lower = points[[55, 65, 52, 53, 46]] * (-1, 1, 1)
    middle = 0.5 * (upper + lower)
    x, y = np.abs(p[..., 0]), p[..., 1]
    along = ((x - middle[0, 0] + 0.15) / (middle[-1, 0] - middle[0, 0] + 0.35)).clip(-0.2, 1.2)
    line = np.interp(x, middle[:, 0], middle[:, 1]) + look.brow_arch * np.exp(-(((along - 0.62) / 0.22) ** 2))
    half = 0.4 * look.brow_thickness * np.interp(along, (0, 0.15, 0.6, 1), (0.8, 1.0, 0.85, 0.3))
    strokes = smooth_noise(rng, (size, size), (60, 150))
    profile = (
        np.exp(-(np.abs((y - line + 0.12) / half) ** 3))
        * smoothstep(-0.06, 0.08, along)
        * smoothstep(1.04, 0.88, along)
    )
    mask = (1.15 * profile * (1 + 0.12 * strokes)).clip(0, 1) * (p[..., 2] > 0)
    image = mix(image, linear(look.brow), 0.93 * mask)
    image[..., 3] *= 1 - 0.8 * mask
    return image


def _lid_line(image: Image, person: Person, p: Image, rim: Image) -> Image:
    """Dark line of the lash roots along the upper lid, and the crease above it."""
    points = template().points
    upper = points[list(topo.RIGHT_EYE_UPPER)] * (-1, 1, 1)
    order = np.argsort(upper[:, 0])
    x, y = np.abs(p[..., 0]), p[..., 1]
    edge = np.interp(x, upper[order, 0], upper[order, 1])
    span = smoothstep(upper[order[0], 0] - 0.1, upper[order[0], 0] + 0.3, x) * smoothstep(
        upper[order[-1], 0] + 0.35, upper[order[-1], 0], x
    )
    front = (p[..., 2] > 2) * span
    above = y - edge
    line = np.exp(-((above / 0.12) ** 2)) * front * (above > -0.15)
    crease = np.exp(-(((above - 0.42) / 0.07) ** 2)) * front
    base = linear(person.look.skin)
    image = mix(image, base * (0.45, 0.33, 0.3), 0.5 * crease)
    dark = linear(0.3 * np.asarray(person.look.brow))
    image = mix(image, dark, (0.55 + 0.35 * person.look.eyeshadow) * line)
    upper_rim = smoothstep(0.2, 0.7, rim) * (y > edge - 0.45) * front
    return mix(image, dark, 0.5 * upper_rim * (above > -0.3))


def _eye(person: Person, size: int) -> Image:
    u, v = _grid(size)
    x, y = (u - 0.5) / 0.48, (v - 0.5) / 0.48
    degrees = np.hypot(x, y) * CAP_DEGREES
    around = np.arctan2(y, x)
    rng = stream(0xE1E, person.seed)
    white = _plain(size, linear((0.93, 0.91, 0.89)), 0.9)
    white = mix(white, linear((0.80, 0.52, 0.48)), 0.55 * smoothstep(42, 85, degrees))
    iris = linear(person.look.iris)
    fibres = sum(np.sin(k * around + rng.uniform(0, 6.28)) * rng.uniform(0.3, 1) for k in rng.integers(9, 46, 14)) / 4
    r = degrees / IRIS_DEGREES
    shade = (0.8 + 0.75 * np.exp(-(((r - 0.62) / 0.2) ** 2)) + 0.22 * fibres * (1 - r)).clip(0.2, 2.2)
    shade = shade * (1 - 0.72 * smoothstep(0.8, 1.0, r)) * (0.82 + 0.3 * smoothstep(-1, 1, y / 0.28))
    disc = smoothstep(1.04, 0.96, r)[..., None].astype(np.float32)
    image = white.copy()
    image[..., :3] = white[..., :3] * (1 - disc) + (iris * 1.15 * shade[..., None]).clip(0, 1).astype(np.float32) * disc
    return mix(image, (0.004, 0.004, 0.005), smoothstep(0.46, 0.38, r))


def _ear(person: Person, size: int) -> Image:
    u, v = _grid(size)
    base = linear(person.look.skin)
    image = _plain(size, base * (1.0, 0.9, 0.88), 0.25)
    radius = np.hypot(u - 0.5, v - 0.5) / 0.45
    image = mix(image, base * (0.95, 0.6, 0.55), 0.35 * person.look.blush * smoothstep(0.5, 0.95, radius))
    image = mix(image, base * (0.5, 0.36, 0.33), 0.75 * smoothstep(0.55, 0.1, radius))
    groove = np.exp(-(((radius - 0.82) / 0.06) ** 2))
    return mix(image, base * (0.6, 0.45, 0.42), 0.4 * groove)


def _neck(person: Person, size: int) -> Image:
    rng = stream(0x2EC, person.seed)
    image = _plain(size, linear(person.look.skin) * (0.97, 0.94, 0.93), 0.2)
    image[..., :3] *= (1 + 0.03 * smooth_noise(rng, size, 12))[..., None]
    return image


def _tooth(person: Person, size: int) -> Image:
    u, v = _grid(size)
    image = _plain(size, linear((0.93, 0.91, 0.86)), 0.75)
    place = np.abs(np.modf(u * TEETH)[0] - 0.5) * 2
    image = mix(image, linear((0.62, 0.52, 0.44)), 0.75 * smoothstep(0.82, 1.0, place) * smoothstep(0.2, 0.5, v))
    below_gum = v - 0.34 + 0.07 * (1 - place**2)
    return mix(image, linear((0.74, 0.40, 0.40)), smoothstep(0.03, -0.03, below_gum))


def _hair(person: Person, size: int) -> Image:
    """Strands run along v; alpha is their sideways tilt, 0.5 upright."""
    rng = stream(0x4A1, person.seed)
    fine = smooth_noise(rng, size, (5, 170))
    locks = smooth_noise(rng, size, (4, 46))
    wide = smooth_noise(rng, size, (3, 14))
    base = linear(person.look.hair)
    v = _grid(size)[1]
    image = _plain(size, base, 0.5)
    tone = (1 + 0.16 * fine + 0.24 * locks + 0.12 * wide) * (0.8 + 0.35 * v)
    image[..., :3] *= tone.clip(0.3, 2.0)[..., None]
    slope = np.gradient(0.4 * fine + 1.2 * locks + 0.8 * wide, axis=1) * size / 130
    image[..., 3] = (0.5 + 0.32 * np.tanh(slope)).clip(0, 1)
    return image


def _pattern(person: Person, u: Image, v: Image) -> Image:
    """How much of the second colour lies at each place, from the person's pattern."""
    if person.look.pattern == 1:
        return np.asarray(smoothstep(-0.1, 0.1, np.sin(v * 90)), dtype=np.float32)
    if person.look.pattern == 2:
        lines = 0.5 * (smoothstep(0.3, 0.6, np.sin(u * 80)) + smoothstep(0.3, 0.6, np.sin(v * 80)))
        return np.asarray(0.6 * lines, dtype=np.float32)
    if person.look.pattern == 4:
        return np.asarray(smoothstep(0.55, 0.75, np.sin(u * 110) * np.sin(v * 110)), dtype=np.float32)
    return np.zeros_like(u)


def _cloth(person: Person, size: int) -> Image:
    """Front view of the chest: u across the shoulders, v from the base of the neck downwards."""
    u, v = _grid(size)
    rng = stream(0xC10, person.seed)
    look = person.look
    image = _plain(size, linear(look.cloth), 0.1)
    knit = 0.1 * np.sin(u * 240) if look.pattern == 3 else 0.0
    image[..., :3] *= (1 + 0.07 * smooth_noise(rng, size, 8) + 0.03 * smooth_noise(rng, size, 60) + knit)[..., None]
    x = np.abs(u - 0.5) / 0.0235
    down = 34.0 * v
    if person.garment not in ("suit", "hoodie"):
        image = mix(image, linear(look.cloth_second), _pattern(person, u, v))
    if person.garment == "suit":
        opening = smoothstep(0.25, -0.25, x - 5.2 * (1 - down / 24.0).clip(0))
        shirt = linear((0.88, 0.88, 0.9))
        image = mix(image, shirt, opening)
        tie = smoothstep(0.2, -0.1, x - (0.75 + 0.05 * down)) * opening
        image = mix(image, linear(look.cloth_second), tie)
        lapel = np.exp(-(((x - 5.2 * (1 - down / 24.0).clip(0) - 2.6 * smoothstep(0, 5, down)) / 0.16) ** 2)) * (
            down < 20
        )
        image = mix(image, linear(look.cloth) * 0.35, 0.7 * lapel)
    elif person.garment == "shirt":
        placket = np.exp(-((x / 0.9) ** 8)) * 0.12
        buttons = smoothstep(0.4, 0.3, np.hypot(x, (down + 1.5) % 4.5 - 2.0))
        image[..., :3] *= (1 + placket)[..., None]
        image = mix(image, linear((0.9, 0.9, 0.88)), 0.8 * buttons)
    elif person.garment == "hoodie":
        cords = smoothstep(0.3, 0.15, np.abs(x - 2.1)) * (down < 13)
        image = mix(image, linear((0.85, 0.85, 0.85)), 0.9 * cords)
    return image


def _collar(person: Person, size: int) -> Image:
    u = _grid(size)[0]
    colour = linear((0.88, 0.88, 0.9)) if person.garment == "suit" else linear(person.look.cloth) * 1.05
    image = _plain(size, colour.clip(0, 1), 0.1)
    if person.garment in ("crew", "v-neck", "turtleneck", "hoodie"):
        image[..., :3] *= (1 + 0.12 * np.sin(u * 500))[..., None].astype(np.float32)
    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0.6))
