"""What is behind the person: blurred surroundings, some of them moving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.data.synth_heads.paint import smooth_noise
from thbench.data.synth_heads.part import smoothstep
from thbench.data.synth_heads.person import stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from thbench.data.synth_heads.scene import Scene

    Image = NDArray[np.float32]
    Draw = Callable[[np.random.Generator, NDArray[np.float64], Image, Image], Image]

_WIDE = 3
"""The backdrop is drawn this many times as wide as the image, so that it can drift."""
_SIZE = 128
"""Rows at which a backdrop is drawn; it is out of focus, so this is enough for every size."""


def _studio(rng: np.random.Generator, palette: NDArray[np.float64], x: Image, y: Image) -> Image:
    centre = rng.uniform(0.3, 0.7) * _WIDE
    glow = np.exp(-(((x - centre) / 0.55) ** 2 + ((y - 0.45) / 0.5) ** 2))[..., None]
    return np.asarray(palette[0] * (1 - glow) + palette[1] * glow * 1.1, dtype=np.float32)


def _gradient(rng: np.random.Generator, palette: NDArray[np.float64], x: Image, y: Image) -> Image:
    angle = rng.uniform(-0.5, 0.5)
    t = smoothstep(0, 1, y * np.cos(angle) + (x - _WIDE / 2) * np.sin(angle) * 0.7)[..., None]
    return np.asarray(palette[2] * (1 - t) + palette[0] * t, dtype=np.float32)


def _room(rng: np.random.Generator, palette: NDArray[np.float64], x: Image, y: Image) -> Image:
    image = np.ones((*x.shape, 3)) * palette[1] * (1.05 - 0.3 * y[..., None])
    for _ in range(int(rng.integers(5, 11))):
        left, top = rng.uniform(0, _WIDE), rng.uniform(0, 0.75)
        wide, high = rng.uniform(0.1, 0.55), rng.uniform(0.12, 0.6)
        colour = palette[int(rng.integers(3))] * rng.uniform(0.35, 1.5)
        edge = rng.uniform(0.015, 0.05)
        box = smoothstep(-edge, edge, wide / 2 - np.abs(x - left)) * smoothstep(-edge, edge, high / 2 - np.abs(y - top))
        image = image * (1 - box[..., None]) + colour * box[..., None]
    return np.asarray(image, dtype=np.float32)


def _bokeh(rng: np.random.Generator, palette: NDArray[np.float64], x: Image, y: Image) -> Image:
    image = np.ones((*x.shape, 3)) * palette[0] * (0.35 + 0.4 * y[..., None])
    for _ in range(36):
        cx, cy, r = rng.uniform(0, _WIDE), rng.uniform(-0.1, 1.0), rng.uniform(0.04, 0.13)
        disc = smoothstep(r, r * 0.82, np.hypot(x - cx, y - cy))[..., None]
        image = image + disc * (palette[int(rng.integers(3))] + 0.15) * rng.uniform(0.15, 0.7)
    return np.asarray(image, dtype=np.float32)


def _outdoors(rng: np.random.Generator, palette: NDArray[np.float64], x: Image, y: Image) -> Image:
    sky = np.array((0.42, 0.62, 0.88)) * (1 - y[..., None]) + np.array((0.85, 0.87, 0.86)) * y[..., None]
    shape = x.shape
    cloud = smoothstep(0.1, 1.4, smooth_noise(rng, shape, (4, 14)) + 0.5 * smooth_noise(rng, shape, (9, 30)))[..., None]
    image = sky * (1 - 0.6 * cloud) + 0.9 * 0.6 * cloud
    for level, shade in ((0.45, 0.55), (0.62, 0.33), (0.8, 0.2)):
        ridge = (
            level + 0.05 * smooth_noise(rng, (1, shape[1]), (1, 10)) + 0.03 * smooth_noise(rng, (1, shape[1]), (1, 40))
        )
        hill = smoothstep(-0.015, 0.02, y - ridge)[..., None]
        green = np.array((0.35, 0.5, 0.25)) * (0.6 + 0.8 * palette[1]) * shade * 1.6
        leaves = 1 + 0.25 * smooth_noise(rng, shape, (20, 60))[..., None]
        image = image * (1 - hill) + green * leaves * hill
    return np.asarray(image, dtype=np.float32)


def _curtain(rng: np.random.Generator, palette: NDArray[np.float64], x: Image, y: Image) -> Image:
    folds = np.sin(x * rng.uniform(14, 30) + 0.8 * smooth_noise(rng, x.shape, (3, 9)))
    return np.asarray(palette[1] * (0.75 + 0.25 * folds[..., None]) * (1.1 - 0.4 * y[..., None]), dtype=np.float32)


_DRAW: dict[str, tuple[Draw, float]] = {
    "studio": (_studio, 0.0),
    "gradient": (_gradient, 0.0),
    "room": (_room, 0.0),
    "bokeh": (_bokeh, 0.0),
    "outdoors": (_outdoors, 0.0),
    "curtain": (_curtain, 0.0),
    "moving bokeh": (_bokeh, 0.06),
    "moving room": (_room, 0.025),
    "train window": (_outdoors, 0.22),
    "moving curtain": (_curtain, 0.015),
}
"""Painter and speed in image widths per second."""
KINDS: tuple[str, ...] = tuple(_DRAW)
"""Names of the backdrops."""


class Backdrop:
    """The backdrop of a scene at one image size."""

    def __init__(self, scene: Scene, size: int) -> None:
        rng = stream(0xBAC, scene.seed)
        y, x = np.mgrid[0:_SIZE, 0 : _SIZE * _WIDE].astype(np.float32) / _SIZE
        draw, speed = _DRAW[scene.backdrop]
        image = cv2.GaussianBlur(draw(rng, scene.palette, x, y), (0, 0), rng.uniform(1.2, 3.0))
        self._image = np.asarray(image.clip(0, 1.2), dtype=np.float32)
        self._size = size
        self._speed = speed * float(rng.choice((-1.0, 1.0)))
        self._sway = float(rng.uniform(0, 6.28))

    @property
    def moves(self) -> bool:
        """Whether it changes over time."""
        return self._speed != 0.0

    def at(self, seconds: float) -> Image:
        """The backdrop at a time, shape (size, size, 3), linear light."""
        sway = 0.01 * np.sin(0.9 * seconds + self._sway) if self.moves else 0.0
        middle = (_WIDE - 1) / 2 + self._speed * seconds + sway
        # A drift beyond the drawn width turns round instead of ending.
        middle = float(np.abs(middle % (2 * (_WIDE - 1)) - (_WIDE - 1)))
        scale = _SIZE / self._size
        matrix = np.array(((scale, 0, middle * _SIZE + 0.5 * scale - 0.5), (0, scale, 0.5 * scale - 0.5)))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(self._image, matrix, (self._size, self._size), flags=flags, borderMode=cv2.BORDER_REFLECT)
        )
