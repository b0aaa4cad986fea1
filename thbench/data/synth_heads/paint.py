"""Procedural textures of a person, painted on maps of template positions.

Textures are float32 RGBA in linear light: alpha carries gloss for skin and eyes and a sideways tilt of the strands for
hair. Noise comes from small random grids that are enlarged smoothly, so a texture looks the same at every size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.part import smoothstep
from thbench.data.synth_heads.raster import rasterise
from thbench.data.synth_heads.template import surface, template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Colour = NDArray[np.float64]


def linear(srgb: Sequence[float] | NDArray[np.floating]) -> Colour:
    """Turn sRGB in [0, 1] into linear light (IEC 61966-2-1)."""
    c = np.asarray(srgb, dtype=np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


class SkinMap(NamedTuple):
    """What lies at each texel of the skin's texture."""

    position: Image
    """Shape (size, size, 3): position on the template in centimetres."""
    lip: Image
    """Shape (size, size): 1 on the red of the lips, 0.5 on its border."""
    lining: Image
    """Shape (size, size): 0 outside, 1 in the depth of the mouth."""
    rim: Image
    """Shape (size, size): 1 on the inner rim of the lids."""


@lru_cache(maxsize=4)
def skin_map(size: int) -> SkinMap:
    """Draw the template into its own texture coordinates.

    Args:
        size: Texels along each side.
    """
    mean = template()
    values = np.concatenate((mean.points, _lip_field()[:, None], mean.lining[:, None], mean.rim[:, None]), axis=1)
    # The triangles at the back of the head span the whole map and are left out; the back has no features.
    keep = np.tile(~(mean.triangles == mean.pole).any(axis=1), 4)
    step = surface()
    points, flat, triangles = step.matrix @ values, step.matrix @ mean.flat, step.triangles[keep]
    screen = np.concatenate((flat * size, np.ones((len(flat), 1))), axis=1)
    seen = rasterise(screen, triangles, size, size)
    image = np.zeros((size * size, values.shape[1]), dtype=np.float32)
    image[seen.pixel] = np.einsum("nij,ni->nj", points[triangles[seen.triangle]], seen.weights)
    image = _spread(image.reshape(size, size, -1), np.isin(np.arange(size * size), seen.pixel).reshape(size, size))
    return SkinMap(image[..., :3], image[..., 3], image[..., 4], image[..., 5])


def _lip_field() -> NDArray[np.float64]:
    """1 at the vertices inside the border of the lips, 0.5 on the border, 0 elsewhere."""
    mean = template()
    field = np.zeros(len(mean.points))
    border = {*topo.LIP_UPPER_OUTER, *topo.LIP_LOWER_OUTER}
    reached = set(topo.MOUTH_RING)
    face = mean.triangles[(mean.triangles < topo.FACE_POINTS).all(axis=1)]
    for _ in range(4):
        touched = face[np.isin(face, list(reached - border)).any(axis=1)]
        reached |= {int(v) for v in touched.ravel()}
    field[list(reached)] = 1.0
    field[list(border)] = 0.5
    field[mean.lining > 0] = 1.0
    return field


def _spread(image: Image, known: NDArray[np.bool_]) -> Image:
    """Fill unknown texels with the nearest known one, so that filtering at seams finds no holes."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(image[tuple(nearest)])


def smooth_noise(rng: np.random.Generator, size: int | tuple[int, int], cells: int | tuple[int, int]) -> Image:
    """Gaussian noise of `cells` bumps (rows, columns) along the sides, enlarged smoothly; about unit variance."""
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = (cells, cells) if isinstance(cells, int) else cells
    grid = rng.standard_normal((rows + 3, columns + 3)).astype(np.float32)
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * rows + 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * columns + 0.5
    map_x, map_y = np.meshgrid(x, y)
    return np.asarray(1.25 * cv2.remap(grid, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def mix(image: Image, colour: Sequence[float] | Colour, amount: NDArray[np.floating] | float) -> Image:
    """Blend the RGB of an image towards a colour by `amount` in [0, 1]; returns a new image, alpha kept."""
    weight = np.asarray(amount, dtype=np.float32)[..., None]
    result = image.copy()
    result[..., :3] = image[..., :3] * (1 - weight) + np.asarray(colour, dtype=np.float32) * weight
    return result


def blob(position: NDArray[np.floating], centre: Sequence[float], radius: Sequence[float]) -> Image:
    """Gaussian around a template position, mirrored to both sides of the face."""
    p = np.stack((np.abs(position[..., 0]), position[..., 1], position[..., 2]), axis=-1)
    return np.asarray(np.exp(-0.5 * (((p - centre) / radius) ** 2).sum(axis=-1)), dtype=np.float32)


__all__ = ["SkinMap", "blob", "linear", "mix", "skin_map", "smooth_noise", "smoothstep"]
