"""A person as one drawable mesh: all parts joined, textures packed, expression as a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads import body, eyes, hair, mouth
from thbench.data.synth_heads.ears import ear_part
from thbench.data.synth_heads.expression import EXPRESSIONS, expression_deltas, sealed
from thbench.data.synth_heads.glasses import glasses_part
from thbench.data.synth_heads.mesh import normal_operator
from thbench.data.synth_heads.part import Material, Part
from thbench.data.synth_heads.person import stream
from thbench.data.synth_heads.shape import shaped
from thbench.data.synth_heads.template import surface, template
from thbench.data.synth_heads.textures import SIZES, textures
from thbench.data.synth_heads.visibility import Visibility, see_light

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from thbench.data.synth_heads.eyes import Eyeball
    from thbench.data.synth_heads.mesh import Points, Triangles
    from thbench.data.synth_heads.person import Person


class Lids(NamedTuple):
    """Vertices that slide over an eyeball and must not sink into it."""

    vertices: NDArray[np.int64]
    """Shape (n,)."""
    least: NDArray[np.float64]
    """Shape (n,): smallest allowed distance from the centre of the eye; centimetres."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """All that decides where the surface of a person is; enough for landmarks."""

    person: Person
    points: Points
    """Shape (vertices, 3): at rest, in head coordinates. The first 468 are the face mesh landmarks."""
    triangles: Triangles
    """Shape (triangles, 3)."""
    eyeballs: tuple[Eyeball, Eyeball]
    """Right, left."""
    active: NDArray[np.int64]
    """Shape (active,): vertices that any expression moves."""
    deltas: NDArray[np.float32]
    """Shape (expressions, active, 3), in the order of `EXPRESSIONS`."""
    lids: tuple[Lids, Lids]
    """Right, left."""
    eye_vertices: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Vertices of the right and of the left eyeball."""
    head: NDArray[np.float64]
    """Shape (vertices,): 1 moves with the head, 0 with the chest."""
    parts: tuple[Part, ...]
    """What it was joined from, in order."""
    skin: NDArray[np.bool_]
    """Shape (triangles,): belongs to the face mesh (the face mask)."""
    depth: NDArray[np.float32]
    """Shape (vertices,): how far inside the mouth, 0 outside to 1."""


@dataclass(frozen=True, slots=True)
class Model:
    """A person ready to be drawn."""

    geometry: Geometry
    atlas: NDArray[np.float32]
    """Shape (height, width, 4): all textures, linear light."""
    texel: NDArray[np.float32]
    """Shape (vertices, 2): column and row in the atlas."""
    material: NDArray[np.int64]
    """Shape (triangles,)."""
    two_sided: NDArray[np.bool_]
    """Shape (triangles,)."""
    normals: sparse.csr_array
    """Operator of `mesh.vertex_normals`."""
    in_mouth: NDArray[np.bool_]
    """Shape (triangles,): behind the lips (lining, teeth, tongue)."""
    light: Visibility
    """From where light reaches each vertex at rest."""


def make_geometry(person: Person) -> Geometry:
    """Build the surface of a person."""
    control = sealed(shaped(person.shape))
    skin_deltas = expression_deltas(control)
    balls = tuple(eyes.eyeball(control, side) for side in eyes.SIDES)
    parts = (_skin_part(control, skin_deltas), *_other_parts(person, control, skin_deltas, balls))
    offset = np.cumsum([0, *(len(p.points) for p in parts)])
    points = np.concatenate([p.points for p in parts])
    triangles = np.concatenate([p.triangles + o for p, o in zip(parts, offset[:-1], strict=True)]).astype(np.int32)
    active, deltas = _delta_matrix(parts, offset)
    depth = np.concatenate([np.zeros(len(p.points)) if p.depth is None else p.depth for p in parts])
    skin = np.arange(len(triangles)) < len(parts[0].triangles)
    turned = tuple(
        np.concatenate(
            [np.arange(len(p.points)) + o for p, o in zip(parts, offset[:-1], strict=True) if p.turns == side]
        )
        for side in eyes.SIDES
    )
    return Geometry(
        person=person,
        points=points,
        triangles=triangles,
        eyeballs=(balls[0], balls[1]),
        active=active,
        deltas=deltas,
        lids=(_lids(control, balls[0]), _lids(control, balls[1])),
        eye_vertices=(turned[0], turned[1]),
        head=np.concatenate([p.head for p in parts]),
        parts=parts,
        skin=skin & _is_face(triangles, parts[0]),
        depth=depth.astype(np.float32),
    )


def _skin_part(control: Points, deltas: dict[str, Points]) -> Part:
    mean, step = template(), surface()
    matrix = step.matrix
    return Part(
        matrix @ control,
        step.triangles,
        matrix @ mean.flat,
        "skin",
        Material.SKIN,
        np.ones(matrix.shape[0]),
        deltas={name: matrix @ delta for name, delta in deltas.items()},
        depth=matrix @ mean.lining,
    )


def _is_face(triangles: Triangles, skin: Part) -> NDArray[np.bool_]:
    """Triangles of the 468-point face mesh, lips and lids included, mouth lining and skull excluded."""
    mean = template()
    face = (mean.triangles < 468).all(axis=1)
    inside = np.zeros(len(triangles), dtype=bool)
    inside[: len(skin.triangles)] = np.tile(face, 4)
    return inside


def _other_parts(person: Person, control: Points, deltas: dict[str, Points], balls: tuple[Eyeball, ...]) -> list[Part]:
    parts = [eyes.eye_part(ball, side) for ball, side in zip(balls, eyes.SIDES, strict=True)]
    parts += [eyes.lash_part(control, deltas, side, person.look.lashes) for side in eyes.SIDES]
    parts += [mouth.teeth_part(control, upper=up, size=person.teeth) for up in (True, False)]
    parts += [mouth.tongue_part(control)]
    parts += [ear_part(control, side, person.ear_size, person.ear_flare) for side in eyes.SIDES]
    slope = 0.8 * (1 - person.muscle)
    parts += [body.neck_part(person.neck, person.muscle), *body.chest_parts(person.garment, person.breadth, slope)]
    collar = body.collar_part(person.garment, person.neck, person.breadth, slope)
    parts += [collar] if collar else []
    style = hair.HAIR_STYLES[person.hair]
    if style:
        parts += hair.hair_parts(
            surface().matrix @ control, hair.varied(style, person.seed), stream(0x4A2, person.seed)
        )
    if person.glasses:
        parts += [glasses_part(control, balls, round_=person.glasses == 1)]
    return parts


def _delta_matrix(parts: tuple[Part, ...], offset: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    moving = [i for i, p in enumerate(parts) if p.deltas]
    active = np.concatenate([np.arange(offset[i], offset[i + 1]) for i in moving])
    deltas = np.zeros((len(EXPRESSIONS), len(active), 3), dtype=np.float32)
    start = 0
    for i in moving:
        stop = start + len(parts[i].points)
        for name, delta in parts[i].deltas.items():
            deltas[EXPRESSIONS.index(name), start:stop] = delta
        start = stop
    return active, deltas


def _lids(control: Points, eye: Eyeball) -> Lids:
    mean = template()
    rest = surface().matrix @ control
    rim = surface().matrix @ mean.rim
    near = np.flatnonzero((np.linalg.norm(rest - eye.centre, axis=1) < 1.7 * eye.radius) & (rest[:, 2] > eye.centre[2]))
    return Lids(near, eye.radius * (1.045 - 0.03 * rim[near]))


def make_model(person: Person, size: int, *, geometry: Geometry | None = None) -> Model:
    """Make a person ready to be drawn.

    Args:
        person: Whom.
        size: Side of the skin's texture in texels; twice the side of the image is enough.
        geometry: The person's geometry, if it is there already.
    """
    shape = geometry or make_geometry(person)
    paint = textures(person, max(size, 512))
    atlas, origin, scale = _pack(paint, size, max(size, 512))
    texel = [p.flat * scale[p.texture] + origin[p.texture] - 0.5 for p in shape.parts]
    count = [len(p.triangles) for p in shape.parts]
    operator = normal_operator(shape.triangles, len(shape.points))
    return Model(
        geometry=shape,
        atlas=atlas,
        texel=np.concatenate(texel).astype(np.float32),
        material=np.repeat([int(p.material) for p in shape.parts], count),
        two_sided=np.repeat([p.two_sided for p in shape.parts], count),
        normals=operator,
        in_mouth=np.asarray((shape.depth[shape.triangles] > 0).all(axis=1)),
        light=see_light(shape.points, shape.triangles, operator),
    )


def _pack(
    paint: dict[str, NDArray[np.float32]], size: int, painted: int
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]], dict[str, float]]:
    """Put the textures side by side, reduced to `size`; return the atlas and each one's corner and side."""
    import cv2

    corners = {}
    column = row = width = 0
    for name, share in SIZES.items():
        side = round(size * share)
        if row + side > size:
            column, row, width = column + width, 0, 0
        corners[name] = (column, row, side)
        row, width = row + side, max(width, side)
    atlas = np.zeros((size, column + width, 4), dtype=np.float32)
    for name, (x, y, side) in corners.items():
        image = paint[name]
        reduced = image if painted == size else cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        atlas[y : y + side, x : x + side] = reduced
    origin = {name: np.array((x, y), dtype=np.float64) for name, (x, y, _) in corners.items()}
    # Half a texel is kept at the borders so that bilinear look-ups never leave their own texture.
    return atlas, {n: o + 0.75 for n, o in origin.items()}, {n: c[2] - 1.5 for n, c in corners.items()}
