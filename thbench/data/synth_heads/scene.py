"""Camera, light and backdrop of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.paint import linear
from thbench.data.synth_heads.person import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rgb = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera on the z axis that looks at the head from the front."""

    distance: float
    """From the origin of the head (between the ears, level with the nose) at rest; centimetres."""
    height: float
    """Of its axis in head coordinates; centimetres."""
    view: float
    """Width and height that the square image covers in the plane of the origin; centimetres."""

    def project(self, points: NDArray[np.floating], size: int) -> NDArray[np.float64]:
        """Pixels of points in camera space.

        Args:
            points: Shape (..., 3): x right, y up, z towards the viewer, centimetres from the origin of the head.
            size: Pixels along each side of the image.

        Returns:
            Shape (..., 3): x right and y down in pixels (the centre of the first pixel is 0.5, 0.5), and distance along
            the axis.
        """
        depth = self.distance - np.asarray(points[..., 2], dtype=np.float64)
        scale = size / self.view * self.distance / depth
        x = size / 2 + points[..., 0] * scale
        y = size / 2 - (points[..., 1] - self.height) * scale
        return np.stack((x, y, depth), axis=-1)


@dataclass(frozen=True, slots=True)
class Light:
    """A key light, the light of the surroundings and a light from behind; linear colours."""

    key_direction: Rgb
    """Unit vector (3,) towards the key light, camera space."""
    key: Rgb
    """Colour times strength."""
    sky: Rgb
    """Light from above."""
    ground: Rgb
    """Light from below."""
    rim_direction: Rgb
    """Unit vector (3,) towards the light behind."""
    rim: Rgb
    """Colour times strength."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything of a clip's picture that is not the person."""

    seed: int
    """Number of the scene; the backdrop follows from it."""
    camera: Camera
    light: Light
    backdrop: str
    """Name in `backdrop.KINDS`."""
    palette: Rgb
    """Shape (3, 3): colours of the backdrop, linear."""


def make_scene(seed: int) -> Scene:
    """Draw a scene.

    Args:
        seed: Any non-negative number; equal seeds give equal scenes.
    """
    from thbench.data.synth_heads.backdrop import KINDS

    rng = stream(0x5CE, seed)
    camera = Camera(
        distance=float(rng.uniform(75, 130)), height=float(rng.uniform(-0.4, 1.0)), view=float(rng.uniform(28.5, 33.5))
    )
    azimuth, elevation = np.radians(rng.uniform(-65, 65)), np.radians(rng.uniform(8, 50))
    warm = rng.uniform(-1, 1)
    key = np.array((1 + 0.1 * warm, 1.0, 1 - 0.1 * warm)) * rng.uniform(0.65, 0.92)
    hue = rng.uniform(0, 1)
    palette = np.stack([linear(_tint(hue + rng.normal(0, 0.08), rng.uniform(0.1, 0.5), v)) for v in (0.28, 0.5, 0.75)])
    around = palette.mean(axis=0) / palette.mean()
    strength = rng.uniform(0.32, 0.5)
    light = Light(
        key_direction=_direction(azimuth, elevation),
        key=key,
        sky=strength * (0.65 + 0.35 * around) * (1 - 0.06 * warm * np.array((1, 0, -1))),
        ground=0.5 * strength * (0.5 + 0.5 * around) * np.array((1.1, 1.0, 0.9)),
        rim_direction=_direction(np.pi - azimuth * rng.uniform(0.4, 1.2), np.radians(rng.uniform(10, 45))),
        rim=rng.uniform(0.15, 0.9) * (0.6 + 0.4 * around),
    )
    return Scene(seed, camera, light, str(rng.choice(KINDS)), palette)


def _direction(azimuth: float, elevation: float) -> Rgb:
    return np.array((np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)))


def _tint(hue: float, saturation: float, value: float) -> Rgb:
    """HSV to sRGB."""
    k = (np.array((5.0, 3.0, 1.0)) + 6.0 * (hue % 1.0)) % 6.0
    return np.asarray(value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))
