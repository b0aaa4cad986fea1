"""Named expression coefficients and the displacement that each gives to a person's face.

The names are those of the face blendshapes of MediaPipe and ARKit, as far as they act on the skin, and two of the
tongue. Each is authored by how a few vertices (lips, lids, brows, jaw) move, and is spread over the face by
`SmoothDeformer`. Closing movements are computed on the person's own lids and lips, so strength 1 really closes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.mesh import SmoothDeformer, mirror_vertices
from thbench.data.synth_heads.template import surface, template

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points

JAW_DEGREES = 15.0
"""Rotation of the jaw at `jawOpen` = 1."""
JAW_AXIS = (0.2, -2.2)
"""Height and depth of the axis through the joints of the jaw, in centimetres."""

_SEALING_STEPS = 6

Move = Callable[["Points"], "Points"]
"""Rest positions (n, 3) of some vertices to their displacements (n, 3) at strength 1."""


class Handle(NamedTuple):
    """Vertices that an expression moves, and how."""

    vertices: tuple[int, ...]
    move: Move


class Shape(NamedTuple):
    """One expression of the skin."""

    handles: tuple[Handle, ...]
    reach: float
    """Vertices farther than this from every handle stay still; centimetres."""


def jaw_turn(points: Points, strength: float = 1.0) -> Points:
    """Displacement of points that are fixed to the jaw when it opens by `strength`."""
    angle = np.radians(JAW_DEGREES * strength)
    local = points - (0.0, *JAW_AXIS)
    turned = local.copy()
    turned[:, 1] = np.cos(angle) * local[:, 1] - np.sin(angle) * local[:, 2]
    turned[:, 2] = np.sin(angle) * local[:, 1] + np.cos(angle) * local[:, 2]
    return np.asarray(turned - local)


def shift(x: float, y: float, z: float) -> Move:
    """Move all vertices of a handle alike."""
    return lambda points: np.tile((x, y, z), (len(points), 1)).astype(float)


def _side_shift(x: float, y: float, z: float) -> Move:
    """As `shift`, with less of it towards the middle of the mouth; for handles of the right half."""

    def move(points: Points) -> Points:
        weight = 0.35 + 0.65 * (points[:, :1] / min(float(points[:, 0].min()), -1e-3)).clip(0, 1)
        return np.asarray(weight * np.array((x, y, z)))

    return move


def _purse(narrow: float, forward: float, open_: float) -> Move:
    """Draw the lips together and forward; `open_` moves the handle's vertices up or down."""

    def move(points: Points) -> Points:
        half = max(float(np.abs(points[:, 0]).max()), 1e-3)
        across = points[:, 0] / half
        arch = np.sqrt((1.0 - across**2).clip(0.0))
        return np.stack((-narrow * points[:, 0], open_ * arch, forward * (0.75 + 0.25 * arch)), axis=1)

    return move


def _jaw_lip(middle: float) -> Move:
    """Jaw rotation of a lip: `middle` of it in the middle, 0.4 at the corners of the mouth, which also draw inwards."""

    def move(points: Points) -> Points:
        across = (points[:, :1] / 2.5).clip(-1, 1) ** 4
        turn = jaw_turn(points) * (middle + (0.4 - middle) * across)
        turn[:, 0] -= 0.07 * across[:, 0] * points[:, 0]
        return turn

    return move


def _meet(share: float) -> Move:
    """For two facing lines in one handle, first `n` then `n` vertices: bring them together at `share` of the way."""

    def move(points: Points) -> Points:
        first, second = np.split(points, 2)
        target = first + share * (second - first)
        return np.concatenate((target - first, target - second))

    return move


_UI, _LI = topo.LIP_UPPER_INNER, topo.LIP_LOWER_INNER
_UO, _LO = topo.LIP_UPPER_OUTER, topo.LIP_LOWER_OUTER
_CORNERS = (_UI[0], _UO[0], _UI[-1], _UO[-1])
_CORNER = (61, 76, 62, 78)
_UPPER = (*_UI[1:-1], *_UO[1:-1])
_LOWER = (*_LI[1:-1], *_LO[1:-1])
_CHIN = (18, 200, 199, 175, 83, 313, 201, 421, 208, 428, 171, 396, 182, 406, 194, 418, 32, 262)
_JAW_LINE = (152, 148, 377, 176, 400, 149, 378, 150, 379, 136, 365, 172, 397)
_UPPER_RIGHT = (*_UI[1:6], *_UO[1:6])
_LOWER_RIGHT = (*_LI[1:6], *_LO[1:6])
_EYE_UPPER, _EYE_LOWER = topo.RIGHT_EYE_UPPER[1:-1], topo.RIGHT_EYE_LOWER[1:-1]
_CHEEK = (205, 50, 187, 207, 36, 206)

_BOTH_SIDES: Mapping[str, Shape] = {
    "browInnerUp": Shape((Handle((107, 66, 55, 65, 336, 296, 285, 295), shift(0, 0.5, 0.08)),), 2.6),
    "cheekPuff": Shape(
        (Handle(_CHEEK, shift(-0.35, -0.05, 0.4)), Handle((425, 280, 411, 427, 266, 426), shift(0.35, -0.05, 0.4))), 2.6
    ),
    "jawForward": Shape((Handle((*_LOWER, *_CHIN, *_JAW_LINE), shift(0, 0, 0.5)),), 3.5),
    "jawOpen": Shape(
        (
            Handle((*_CHIN, *_JAW_LINE), jaw_turn),
            Handle(_LOWER, _jaw_lip(1.0)),
            Handle(_CORNERS, _jaw_lip(0.4)),
            Handle(_UI[1:-1], _jaw_lip(0.02)),
        ),
        5.0,
    ),
    "mouthFunnel": Shape(
        (
            Handle(_UPPER, _purse(0.3, 0.5, 0.28)),
            Handle(_LOWER, _purse(0.3, 0.45, -0.35)),
            Handle(_CORNERS, _purse(0.3, 0.35, 0.0)),
        ),
        2.6,
    ),
    "mouthPucker": Shape(
        (
            Handle(_UPPER, _purse(0.42, 0.75, 0.02)),
            Handle(_LOWER, _purse(0.42, 0.7, 0.0)),
            Handle(_CORNERS, _purse(0.42, 0.6, 0.0)),
        ),
        2.8,
    ),
    "mouthRollLower": Shape((Handle(_LI[1:-1], shift(0, 0.05, -0.4)), Handle(_LO[1:-1], shift(0, 0.25, -0.12))), 1.6),
    "mouthRollUpper": Shape((Handle(_UI[1:-1], shift(0, -0.05, -0.4)), Handle(_UO[1:-1], shift(0, -0.2, -0.12))), 1.6),
    "mouthShrugLower": Shape(
        (Handle(_LOWER, shift(0, 0.25, 0.18)), Handle((18, 200, 83, 313, 201, 421), shift(0, 0.3, 0.15))), 2.0
    ),
    "mouthShrugUpper": Shape((Handle(_UPPER, shift(0, 0.2, 0.15)),), 1.8),
}
"""Expressions of the whole face."""

_RIGHT: Mapping[str, Shape] = {
    "browDown": Shape(
        (Handle((107, 66, 55, 65), shift(0.14, -0.42, 0.06)), Handle((105, 52), shift(0.05, -0.25, 0.03))), 2.2
    ),
    "browOuterUp": Shape((Handle((70, 63, 46, 53), shift(0, 0.5, 0)), Handle((105, 52), shift(0, 0.4, 0.04))), 2.4),
    "cheekSquint": Shape(
        (Handle((117, 118, 119, 101, 50), shift(0, 0.28, 0.16)), Handle(_EYE_LOWER, shift(0, 0.1, 0))), 1.8
    ),
    "eyeBlink": Shape((Handle((*_EYE_UPPER, *_EYE_LOWER), _meet(0.88)),), 1.25),
    "eyeLookDown": Shape((Handle(_EYE_UPPER, shift(0, -0.42, 0)), Handle(_EYE_LOWER, shift(0, -0.1, 0))), 1.3),
    "eyeLookUp": Shape((Handle(_EYE_UPPER, shift(0, 0.16, 0)), Handle(_EYE_LOWER, shift(0, 0.06, 0))), 1.3),
    "eyeSquint": Shape((Handle(_EYE_UPPER, shift(0, -0.12, 0)), Handle(_EYE_LOWER, shift(0, 0.2, 0))), 1.4),
    "eyeWide": Shape((Handle(_EYE_UPPER, shift(0, 0.24, 0)), Handle(_EYE_LOWER, shift(0, -0.08, 0))), 1.4),
    "jaw": Shape((Handle((*_LOWER, *_CHIN, *_JAW_LINE), shift(-0.6, 0, 0)),), 3.5),
    "mouth": Shape((Handle((*_UPPER, *_LOWER, *_CORNERS), shift(-0.6, 0, 0)),), 2.6),
    "mouthDimple": Shape((Handle(_CORNER, shift(-0.28, 0.06, -0.3)),), 1.8),
    "mouthFrown": Shape((Handle(_CORNER, shift(-0.08, -0.5, -0.12)), Handle((43, 202), shift(0, -0.25, 0))), 2.2),
    "mouthLowerDown": Shape((Handle(_LOWER_RIGHT, _side_shift(-0.05, -0.55, -0.02)),), 1.7),
    "mouthPress": Shape(
        (
            Handle(_UO[1:6], shift(0, -0.14, -0.06)),
            Handle(_LO[1:6], shift(0, 0.16, -0.06)),
            Handle(_CORNER, shift(-0.1, 0, -0.1)),
        ),
        1.5,
    ),
    "mouthSmile": Shape((Handle(_CORNER, shift(-0.55, 0.5, -0.4)), Handle((205, 50), shift(-0.12, 0.25, 0.16))), 2.9),
    "mouthStretch": Shape((Handle(_CORNER, shift(-0.55, -0.1, -0.3)),), 2.6),
    "mouthUpperUp": Shape(
        (Handle(_UPPER_RIGHT, _side_shift(-0.04, 0.5, 0.06)), Handle((92, 165), shift(0, 0.2, 0.05))), 1.9
    ),
    "noseSneer": Shape(
        (Handle((129, 64, 98, 49), shift(-0.05, 0.28, 0.02)), Handle((217, 126, 142), shift(0, 0.22, 0.08))), 1.7
    ),
}
"""Expressions of the subject's right half; the left ones are their mirror images."""

TONGUE = ("tongueOut", "tongueUp")
"""Coefficients that move the tongue only."""
_GAZE_ONLY = ("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight")
"""Coefficients that say where the eyes look and move no skin."""
EXPRESSIONS: tuple[str, ...] = tuple(
    sorted((*_BOTH_SIDES, "mouthClose", *(n + s for n in _RIGHT for s in ("Left", "Right")), *_GAZE_ONLY, *TONGUE))
)
"""Names of the coefficients of a frame, each in [0, 1], in the order of `expression_deltas`."""


class _Influence(NamedTuple):
    """A shape with its spreading solved on the template."""

    vertices: tuple[int, ...]
    matrix: NDArray[np.float64]
    moves: tuple[Handle, ...]


@lru_cache(maxsize=1)
def _influences() -> dict[str, _Influence]:
    mean = template()
    count = int((mean.follows == np.arange(len(mean.points))).sum())
    points = mean.points[:count]
    deformer = SmoothDeformer(points, mean.triangles[(mean.triangles < count).all(axis=1)])
    opposite = mirror_vertices(points)

    def solve(shape: Shape, mirrored: bool) -> _Influence:
        handles = shape.handles
        if mirrored:
            handles = tuple(Handle(tuple(int(opposite[v]) for v in h.vertices), _mirrored(h.move)) for h in handles)
        vertices = tuple(v for h in handles for v in h.vertices)
        distance = np.sqrt(((points[:, None] - points[list(vertices)]) ** 2).sum(axis=-1)).min(axis=1)
        return _Influence(vertices, deformer.influence(vertices, np.flatnonzero(distance < shape.reach), 0.15), handles)

    solved = {name: solve(shape, False) for name, shape in _BOTH_SIDES.items()}
    solved["mouthClose"] = solve(Shape((Handle((*_UI[1:-1], *_LI[1:-1]), shift(0, 0, 0)),), 1.8), False)
    for name, shape in _RIGHT.items():
        solved[name + "Right"], solved[name + "Left"] = solve(shape, False), solve(shape, True)
    return solved


def _mirrored(move: Move) -> Move:
    flip = np.array((-1.0, 1.0, 1.0))
    return lambda points: move(points * flip) * flip


def expression_deltas(points: Points) -> dict[str, Points]:
    """Displacement of a person's control mesh at strength 1 of each expression that moves the skin.

    Args:
        points: The person's control mesh at rest, shape (vertices, 3).

    Returns:
        Expression name to displacements (vertices, 3).
    """
    mean = template()
    deltas = {}
    for name, influence in _influences().items():
        if name != "mouthClose":
            moves = np.concatenate([h.move(points[list(h.vertices)]) for h in influence.moves])
            deltas[name] = _followed(influence.matrix @ moves, mean.follows, mean.share)
    deltas["mouthClose"] = _followed(_closing(deltas["jawOpen"]), mean.follows, mean.share)
    return deltas


def _closing(opened: Points) -> Points:
    """What brings the lips together again when the jaw is open."""
    influence = _influences()["mouthClose"]
    gap = opened[list(_LI[1:-1])] - opened[list(_UI[1:-1])]
    return np.asarray(influence.matrix @ np.concatenate((0.3 * gap, -0.7 * gap)))


def sealed(points: Points) -> Points:
    """Close the lips of a person's control mesh at rest, which the modes of the shape may have parted.

    Args:
        points: Shape (vertices, 3).
    """
    mean = template()
    rows = surface().matrix
    upper, lower = list(_UI[1:-1]), list(_LI[1:-1])
    overlap = np.array((0.0, 0.02, 0.0))
    for _ in range(_SEALING_STEPS):
        # It is the drawn surface that has to close; subdivision draws the margins of its control mesh apart.
        drawn = rows @ points
        gap = drawn[upper] - drawn[lower] + overlap
        moves = np.concatenate((-0.5 * gap, 0.5 * gap))
        points = points + _followed(_influences()["mouthClose"].matrix @ moves, mean.follows, mean.share)
    return points


def _followed(skin: Points, follows: NDArray[np.int64], share: NDArray[np.float64]) -> Points:
    padded = np.zeros((len(follows), 3))
    padded[: len(skin)] = skin
    return np.asarray(padded[follows] * share[:, None])


def coefficients(values: Mapping[str, float | NDArray[np.floating]], frames: int) -> NDArray[np.float32]:
    """Array (frames, expressions) in the order of `EXPRESSIONS`; what is not named is 0.

    Args:
        values: Expression name to a number or to one per frame.
        frames: How many frames.
    """
    table = np.zeros((frames, len(EXPRESSIONS)), dtype=np.float32)
    for name, value in values.items():
        table[:, EXPRESSIONS.index(name)] = value
    return table.clip(0.0, 1.0)


def both(*names: str) -> Sequence[str]:
    """Names of the left and the right coefficient of each name."""
    return [name + side for name in names for side in ("Left", "Right")]
