"""From which directions light reaches each point of a person at rest.

Drawn once per person: the mesh is rasterised from many directions, and a vertex is lit from a direction when nothing
lies before it. Averaged over directions this is ambient occlusion; weighted around the light it is a soft shadow that
follows the turning head at the cost of one matrix-vector product per frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads.mesh import vertex_normals
from thbench.data.synth_heads.raster import rasterise

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from thbench.data.synth_heads.mesh import Points, Triangles

_DIRECTIONS = 96
_PIXELS = 112
_OFFSET = 0.35
"""Vertices are lifted this far along their normal before they look for what is before them; centimetres."""
_SPREAD = 14.0
"""Concentration of the soft shadow around the light's direction: exp(spread * (cosine - 1))."""


class Visibility(NamedTuple):
    """Where light comes from, in head coordinates."""

    directions: NDArray[np.float32]
    """Shape (directions, 3): unit vectors towards the light."""
    lit: NDArray[np.float32]
    """Shape (vertices, directions): 1 where nothing lies between, 0 in shadow."""
    ambient: NDArray[np.float32]
    """Shape (vertices,): cosine-weighted share of the sky that is seen, 0 to 1."""

    def shadow(self, towards_light: NDArray[np.floating]) -> NDArray[np.float32]:
        """Share of a wide light that each vertex sees, shape (vertices,).

        Args:
            towards_light: Unit vector (3,) in head coordinates.
        """
        weight = np.exp(_SPREAD * (self.directions @ np.asarray(towards_light, dtype=np.float32) - 1.0))
        # Not `@`: a linear-algebra library adds up in an order that depends on its threads.
        return np.asarray(np.einsum("vd,d->v", self.lit, weight / weight.sum()), dtype=np.float32)


def sphere(count: int) -> NDArray[np.float64]:
    """Evenly spread unit vectors (count, 3) on a Fibonacci spiral."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    turn = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - z * z)
    return np.stack((ring * np.cos(turn), ring * np.sin(turn), z), axis=1)


def see_light(points: Points, triangles: Triangles, operator: sparse.csr_array) -> Visibility:
    """Find from where each vertex is lit."""
    directions = sphere(_DIRECTIONS)
    normals = vertex_normals(points, triangles, operator).astype(np.float64)
    lifted = points + _OFFSET * normals
    lit = np.stack([_seen_from(points, triangles, lifted, d) for d in directions], axis=1)
    cosine = (normals @ directions.T).clip(0)
    ambient = (lit * cosine).sum(axis=1) / np.maximum(cosine.sum(axis=1), 1e-6)
    return Visibility(directions.astype(np.float32), lit.astype(np.float32), ambient.astype(np.float32))


def _seen_from(
    points: Points, triangles: Triangles, lifted: Points, direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    up = np.array((0.0, 1.0, 0.0)) if abs(direction[1]) < 0.9 else np.array((1.0, 0.0, 0.0))
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    frame = np.stack((right, -np.cross(direction, right), -direction), axis=1)
    local, own = points @ frame, lifted @ frame
    low, high = local[:, :2].min(axis=0) - 0.5, local[:, :2].max(axis=0) + 0.5
    scale = _PIXELS / float((high - low).max())
    near = local[:, 2].min() - 10.0
    screen = np.column_stack(((local[:, :2] - low) * scale, local[:, 2] - near))
    seen = rasterise(screen, triangles, _PIXELS, _PIXELS)
    depth = np.full(_PIXELS * _PIXELS, np.inf)
    depth[seen.pixel] = (screen[triangles[seen.triangle], 2] * seen.weights).sum(axis=1)
    column, row = ((own[:, :2] - low) * scale).astype(int).clip(0, _PIXELS - 1).T
    before = own[:, 2] - near - depth[row * _PIXELS + column]
    # A graded step hides the pixels of the depth image.
    return np.asarray(1.0 - ((before - 0.1) / 0.5).clip(0.0, 1.0))
