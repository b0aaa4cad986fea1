"""Draws the frames of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from thbench.data.synth_heads.backdrop import Backdrop
from thbench.data.synth_heads.mesh import vertex_normals
from thbench.data.synth_heads.motion import posed
from thbench.data.synth_heads.part import Material
from thbench.data.synth_heads.raster import rasterise
from thbench.data.synth_heads.shade import Points as Surface
from thbench.data.synth_heads.shade import dot, shade, unit
from thbench.faces.pose import rotation_from_degrees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from thbench.data.synth_heads.model import Model
    from thbench.data.synth_heads.motion import Motion
    from thbench.data.synth_heads.raster import Visible
    from thbench.data.synth_heads.scene import Scene

SAMPLES = 2
"""Samples per pixel along each axis, against jagged edges."""


class Frame(NamedTuple):
    """One drawn frame."""

    rgb: NDArray[np.uint8]
    """Shape (size, size, 3)."""
    face: NDArray[np.uint8]
    """Shape (size, size): share of each pixel that shows the skin of the face, eyes or inner mouth; 0 to 255."""
    mouth: NDArray[np.uint8]
    """Shape (size, size): share that shows the inside of the mouth; 0 to 255."""


def render(
    model: Model, motion: Motion, scene: Scene, size: int, frames: Iterable[int] | None = None
) -> Iterator[Frame]:
    """Draw a clip with its masks.

    Args:
        model: The person.
        motion: What the person does.
        scene: Camera, light and backdrop.
        size: Pixels along each side.
        frames: Numbers of the frames to draw; None draws all.

    Yields:
        Frames in order.
    """
    for rgb, seen in _drawn(model, motion, scene, size, frames):
        yield Frame(rgb, *_masks(model, seen, size))


def render_rgb(
    model: Model, motion: Motion, scene: Scene, size: int, frames: Iterable[int] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Draw a clip as `render` does, without masks; yields pictures (size, size, 3)."""
    return (rgb for rgb, _ in _drawn(model, motion, scene, size, frames))


def _drawn(
    model: Model, motion: Motion, scene: Scene, size: int, frames: Iterable[int] | None
) -> Iterator[tuple[NDArray[np.uint8], Visible]]:
    backdrop = Backdrop(scene, size)
    still = None if backdrop.moves else backdrop.at(0.0)
    for frame in range(len(motion)) if frames is None else frames:
        behind = backdrop.at(frame / motion.fps) if still is None else still
        yield _draw(model, motion, scene, size, frame, behind)


def _draw(
    model: Model, motion: Motion, scene: Scene, size: int, frame: int, behind: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], Visible]:
    shape = model.geometry
    side = size * SAMPLES
    points = posed(shape, motion, frame)
    normals = vertex_normals(points, shape.triangles, model.normals)
    seen = rasterise(scene.camera.project(points, side), shape.triangles, side, side, two_sided=model.two_sided)
    attributes = _attributes(model, motion, scene, frame, points, normals)
    colour = shade(_surface(model, seen, attributes), scene.light)
    image = np.zeros((side * side, 4), dtype=np.float32)
    image[seen.pixel, :3] = colour.clip(0, 1.6).T
    image[seen.pixel, 3] = 1.0
    small = cv2.resize(image.reshape(side, side, 4), (size, size), interpolation=cv2.INTER_AREA)
    rgb = np.asarray(small[..., :3] + behind * (1 - small[..., 3:]), dtype=np.float32)
    return _encode(rgb), seen


def _attributes(
    model: Model, motion: Motion, scene: Scene, frame: int, points: NDArray[np.float64], normals: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Per vertex: normal (3), vector to the camera (3), ambient, shadow, texel (2)."""
    shape = model.geometry
    rotation = rotation_from_degrees(motion.pose[frame])
    table = np.empty((len(points), 10), dtype=np.float32)
    table[:, :3] = normals
    table[:, 3:6] = (0.0, scene.camera.height, scene.camera.distance) - points
    opened = float(np.linalg.norm(points[13] - points[14]))
    # The inside of the mouth is dark at rest; it takes its light from how far the lips are apart.
    inside = (1 - 0.88 * shape.depth) ** 1.6 * min(0.35 + 0.6 * opened, 1.0)
    in_mouth = shape.depth > 0
    table[:, 6] = np.where(in_mouth, inside, model.light.ambient)
    table[:, 7] = np.where(in_mouth, inside, model.light.shadow(rotation.T @ scene.light.key_direction))
    table[:, 8:] = model.texel
    return table


def _surface(model: Model, seen: Visible, table: NDArray[np.float32]) -> Surface:
    corners, w = model.geometry.triangles[seen.triangle], seen.weights
    value = table[corners[:, 0]] * w[:, :1]
    value += table[corners[:, 1]] * w[:, 1:2]
    value += table[corners[:, 2]] * w[:, 2:]
    texels = _texels(model.atlas, value[:, 8:])
    value = np.ascontiguousarray(value[:, :8].T)
    normal, view = unit(value[:3]), unit(value[3:6])
    away = (dot(normal, view) < 0) & model.two_sided[seen.triangle]
    normal *= np.where(away, np.float32(-1), np.float32(1))
    return Surface(normal, view, texels, value[6], value[7], model.material[seen.triangle])


def _texels(atlas: NDArray[np.float32], place: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bilinear look-up at (n, 2) columns and rows; returns (4, n)."""
    columns = 512
    rows = -(-len(place) // columns)
    padded = np.zeros((rows * columns, 2), dtype=np.float32)
    padded[: len(place)] = place
    x, y = np.ascontiguousarray(padded.T).reshape(2, rows, columns)
    image = cv2.remap(atlas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(image.reshape(-1, 4)[: len(place)].T)


def _masks(model: Model, seen: Visible, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    material = model.material[seen.triangle]
    inside = model.in_mouth[seen.triangle]
    face = model.geometry.skin[seen.triangle] | (material == Material.EYE) | (material == Material.LASH) | inside
    side = size * SAMPLES
    planes = np.zeros((2, side * side), dtype=np.float32)
    planes[0, seen.pixel], planes[1, seen.pixel] = face, inside
    return _shares(planes[0], side, size), _shares(planes[1], side, size)


def _shares(plane: NDArray[np.float32], side: int, size: int) -> NDArray[np.uint8]:
    small = cv2.resize(plane.reshape(side, side), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(255 * small), dtype=np.uint8)


def _table() -> NDArray[np.uint8]:
    """Linear light in 4096 steps up to 1.6 to sRGB, with a soft shoulder instead of clipping."""
    light = np.linspace(0, 1.6, 4096)
    soft = np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3 * 0.75) / np.tanh(2.25))
    code = np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * code.clip(0, 1)), dtype=np.uint8)


_SRGB = _table()


def _encode(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(_SRGB[(light * (4095 / 1.6)).clip(0, 4095).astype(np.int32)])
