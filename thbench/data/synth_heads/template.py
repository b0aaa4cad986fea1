"""The mean head before any person or expression, as one control mesh.

The face is spanned by the 468 points of the MediaPipe canonical face (Apache-2.0) with the eyes and the mouth cut open,
so that each landmark is a vertex by construction. Behind it lie the skull and the underside of the jaw; inside, the
rims of the lids and the lining of the mouth. Units are centimetres; x to the subject's left, y up, z forward.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.mesh import SmoothDeformer, loop_subdivision, ring_triangles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points, Subdivision, Triangles

CRANIUM_CENTRE = np.array((0.0, 4.0, -4.4))
CRANIUM_RADII = np.array((8.3, 8.9, 9.8))
"""Ellipsoid of the brain case that continues the canonical face backwards."""
SKULL_RINGS = 6
"""Rings of vertices between the border of the face and the back of the head."""
_BACK = np.array((0.0, -0.25, -0.97))
"""Direction of the last vertex, in units of the ellipsoid's radii."""

_EYE_RINGS = {
    "right": (*topo.RIGHT_EYE_LOWER, *topo.RIGHT_EYE_UPPER[-2:0:-1]),
    "left": (*topo.LEFT_EYE_LOWER[::-1], *topo.LEFT_EYE_UPPER[1:-1]),
}
"""Margins of the lids, anti-clockwise for a viewer in front."""

MOUTH_DEPTHS = (0.35, 1.4, 3.2)
"""How far behind the lips the rings of the mouth's lining lie."""

_FACE_SHARE = 0.72
"""Part of the texture map's width and height that the face takes."""
_MOUTH_ROOM = 0.02
"""How far the lips are pulled apart in the texture map, so that the lining of the mouth gets room."""


class Template(NamedTuple):
    """A control mesh at rest."""

    points: Points
    """Shape (vertices, 3); the first `topology.FACE_POINTS` are the face."""
    triangles: Triangles
    """Shape (triangles, 3), anti-clockwise from outside."""
    follows: NDArray[np.int64]
    """Shape (vertices,): the vertex whose expression each one copies: itself, or for lid rims and lining the margin."""
    share: NDArray[np.float64]
    """Shape (vertices,): how much of that it copies."""
    lining: NDArray[np.float64]
    """Shape (vertices,): 0 on the outside, 1 in the depth of the mouth."""
    rim: NDArray[np.float64]
    """Shape (vertices,): 1 on the inner rim of the lids, else 0."""
    flat: NDArray[np.float64]
    """Shape (vertices, 2): texture coordinates in [0, 1], v down."""
    pole: int
    """Last vertex of the skull, at the back of the head."""


@lru_cache(maxsize=1)
def _document() -> Any:
    return json.loads(files(__package__).joinpath("canonical_face.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def canonical_face() -> tuple[Points, Triangles]:
    """The published canonical face without the triangles that close its eyes and its mouth."""
    document = _document()
    triangles = np.array(document["triangles"], dtype=np.int32)
    for ring in (topo.MOUTH_RING, *_EYE_RINGS.values()):
        triangles = triangles[~np.isin(triangles, ring).all(axis=1)]
    return np.array(document["vertices"]), triangles


@lru_cache(maxsize=1)
def template() -> Template:
    """The mean head: canonical face with its lips closed, skull, lid rims and mouth lining."""
    points, triangles = canonical_face()
    points = points + _closed_lips(points, triangles)
    skull, skull_triangles = _skull(points, len(points))
    builder = _Builder(np.concatenate((points, skull)), np.concatenate((triangles, skull_triangles)))
    face_flat = _flat_face()
    flat = np.concatenate((face_flat, _flat_skull(face_flat[list(topo.OVAL)])))
    flats = [flat]
    for ring in _EYE_RINGS.values():
        margin = builder.points[list(ring)]
        centre = margin.mean(axis=0)
        inner = centre + (margin - centre) * (0.94, 0.88, 1.0) - (0.0, 0.0, 0.28)
        builder.add(ring, [inner], shares=[0.9], rim=1.0)
        middle = flat[list(ring)].mean(axis=0)
        flats.append(middle + 0.6 * (flat[list(ring)] - middle))
    rings = _mouth_rings(builder.points[list(topo.MOUTH_RING)])
    builder.add(topo.MOUTH_RING, rings, shares=[0.95, 0.6, 0.3], lining=(0.35, 0.7, 1.0))
    builder.close()
    middle = flat[list(topo.MOUTH_RING)].mean(axis=0)
    flats += [middle + s * (flat[list(topo.MOUTH_RING)] - middle) for s in (0.75, 0.45, 0.2)]
    return builder.finish(np.concatenate(flats))


@lru_cache(maxsize=1)
def surface() -> Subdivision:
    """The one subdivision step that every head takes from its control mesh to its drawn surface."""
    mean = template()
    return loop_subdivision(mean.triangles, len(mean.points))


def _flat_face() -> NDArray[np.float64]:
    """Texture coordinates of the face: those published with the canonical face, shrunk, with the mouth pulled open."""
    flat = np.array(_document()["texture"])
    upper, lower = flat[list(topo.LIP_UPPER_INNER)], flat[list(topo.LIP_LOWER_INNER)]
    line = 0.5 * (upper + lower)
    half = 0.5 * float(np.ptp(line[:, 0]))
    across = (flat[:, 0] - line[:, 0].mean()) / half
    above = np.interp(flat[:, 0], line[:, 0], line[:, 1]) - flat[:, 1]
    room = _MOUTH_ROOM * np.sqrt((1 - across**2).clip(0)) * np.exp(-np.abs(above) / 0.05)
    flat[:, 1] -= np.sign(above) * room
    return 0.5 + _FACE_SHARE * (flat - 0.5)


def _flat_skull(border: NDArray[np.float64]) -> NDArray[np.float64]:
    """Texture coordinates of the skull: rings around the face out to the edge of the map."""
    away = border - 0.5
    edge = 0.5 / np.linalg.norm(away, axis=1, keepdims=True)
    rings = [0.5 + away * (1 + (edge - 1) * step / (SKULL_RINGS + 1)) for step in range(1, SKULL_RINGS + 1)]
    return np.concatenate((*rings, [[0.5, 0.5]]))


class _Builder:
    """Collects the control mesh."""

    def __init__(self, points: Points, triangles: Triangles) -> None:
        self.points = points
        self.pole = len(points) - 1
        self.triangles = [triangles]
        self.follows = np.arange(len(points))
        self.share, self.lining, self.rim = np.ones(len(points)), np.zeros(len(points)), np.zeros(len(points))

    def add(
        self,
        border: Sequence[int],
        rings: list[Points],
        *,
        shares: Sequence[float],
        lining: Sequence[float] = (0.0,),
        rim: float = 0.0,
    ) -> None:
        """Continue a hole's border (anti-clockwise from outside) inwards by rings of as many vertices."""
        last = np.array(border)
        for points, share, depth in zip(rings, shares, lining, strict=True):
            number = np.arange(len(last)) + len(self.points)
            self.points = np.concatenate((self.points, points))
            self.triangles.append(ring_triangles(last, number, _on_left(self.points[last])))
            self.follows = np.concatenate((self.follows, border))
            self.share = np.concatenate((self.share, np.full(len(number), share)))
            self.lining = np.concatenate((self.lining, np.full(len(number), depth)))
            self.rim = np.concatenate((self.rim, np.full(len(number), rim)))
            last = number

    def close(self) -> None:
        """Close the ring that was added last: across, lower against upper half."""
        count = len(topo.MOUTH_RING)
        first = len(self.points) - count
        half = count // 2
        low, high = first + np.arange(half + 1), first + (-np.arange(half + 1)) % count
        across = np.concatenate(
            (np.stack((low[:-1], low[1:], high[:-1]), -1), np.stack((low[1:], high[1:], high[:-1]), -1))
        )
        # At the corners of the mouth the two halves share their vertex.
        degenerate = (across == np.roll(across, 1, axis=1)).any(axis=1)
        self.triangles.append(across[~degenerate].astype(np.int32))

    def finish(self, flat: NDArray[np.float64]) -> Template:
        triangles = np.concatenate(self.triangles).astype(np.int32)
        return Template(self.points, triangles, self.follows, self.share, self.lining, self.rim, flat, self.pole)


def _on_left(ring: Points) -> NDArray[np.bool_]:
    """Which segments of a closed ring of points lie on the subject's left."""
    return np.asarray(ring[:, 0] + np.roll(ring[:, 0], -1) > 0)


def _skull(face: Points, start: int) -> tuple[Points, Triangles]:
    """Rings from the border of the face to the back of the head, then the last vertex."""
    ring = np.array(topo.OVAL)
    local = (face[ring] - CRANIUM_CENTRE) / CRANIUM_RADII
    factor = np.linalg.norm(local, axis=1)
    first = local / factor[:, None]
    back = _BACK / np.linalg.norm(_BACK)
    angle = np.arccos((first @ back).clip(-1, 1))[:, None]
    rings, triangles, last = [], [], ring
    for step in range(1, SKULL_RINGS + 1):
        t = step / (SKULL_RINGS + 1)
        direction = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * back) / np.sin(angle)
        # The chin and the jaw lie outside the ellipsoid; their surplus fades quickly: the underside of the jaw.
        rings.append(direction * (1 + (factor - 1) * (1 - t) ** 3)[:, None])
        number = np.arange(len(ring)) + start + (step - 1) * len(ring)
        triangles.append(ring_triangles(last, number, _on_left(face[ring])))
        last = number
    pole = np.full(len(ring), start + SKULL_RINGS * len(ring))
    triangles.append(np.stack((last, np.roll(last, -1), pole), axis=-1))
    rings.append(back[None])
    return np.concatenate(rings) * CRANIUM_RADII + CRANIUM_CENTRE, np.concatenate(triangles).astype(np.int32)


def _closed_lips(points: Points, triangles: Triangles) -> Points:
    """Displacement that brings the margins of the slightly open canonical lips together."""
    upper, lower = list(topo.LIP_UPPER_INNER[1:-1]), list(topo.LIP_LOWER_INNER[1:-1])
    meet = 0.5 * (points[upper] + points[lower])
    moves = np.concatenate((meet - points[upper] + (0.0, 0.03, 0.0), meet - points[lower] + (0.0, 0.01, 0.0)))
    near = np.hypot(points[:, 0] / 4.0, (points[:, 1] + 4.4) / 2.2) < 1.0
    near[[topo.LIP_UPPER_INNER[0], topo.LIP_UPPER_INNER[-1]]] = False
    return SmoothDeformer(points, triangles).influence([*upper, *lower], np.flatnonzero(near)) @ moves


def _mouth_rings(margin: Points) -> list[Points]:
    """Rings of the mouth's lining behind its margin, wider and higher towards the depth."""
    middle = margin.mean(axis=0)
    across = (margin[:, 0] - middle[0]) / np.abs(margin[:, 0] - middle[0]).max()
    # The ring starts with the lower margin; corners belong to neither half.
    count = len(topo.LIP_LOWER_INNER)
    side = np.where(np.arange(len(margin)) < count, -1.0, 1.0) * np.sqrt((1 - across**2).clip(0))
    rings = []
    for depth, height, width in zip(MOUTH_DEPTHS, (0.12, 1.0, 1.3), (1.0, 1.1, 1.05), strict=True):
        ring = middle + (margin - middle) * (width, 1.0, 1.0)
        ring[:, 1] += side * height
        ring[:, 2] -= depth * (0.45 + 0.55 * np.sqrt((1 - across**2).clip(0)))
        rings.append(ring)
    return rings
