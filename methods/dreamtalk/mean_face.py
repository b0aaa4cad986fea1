"""How a mean face would move: the coarse flow between two sets of coefficients, from a linear face model.

A 3DMM fit says not only by what coefficients a face moves but also where each point of it goes. The mini renderer is
told so: its warping network corrects the flow of a mean face instead of finding the whole flow by itself. The model is
a map over the front view of the head: depth, and for every expression the displacement of what is seen there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.faces import ANGLES, CENTRE, SCALE, UNIT
from torch import Tensor, nn

from thbench.backbones.mini.face import SIDE, USUAL_SPREAD
from thbench.data.synth_heads.expression import EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NODES = 48
"""Rows and columns of the map."""
REACH = 14.0
"""Half the side of the map, centimetres from the centroid of nose and eyes."""
RIGID = tuple(range(27, 48))
"""Nose and eyes among the 68 landmarks."""
USUAL = USUAL_SPREAD / (SIDE / 2)
"""Spread of nose and eyes for which a pose has the scale 1, as part of the picture (of 2)."""
LOOKS = 4
"""Steps of the search for the point of the head that is seen at a place."""


class Flow(NamedTuple):
    """Where cells of a frame are read in the portrait."""

    places: Tensor
    """Shape (N, 2, side, side): the point of the head that is seen in each cell of the frame, front view, across and
    up, -1 to 1 over the map."""
    flow: Tensor
    """Shape (N, 2, side, side): where it lies in the portrait less where it lies in the frame, -1 to 1 over the
    picture."""


class MeanFace(nn.Module):
    """A linear face model as maps; all numbers are buffers."""

    depth: Tensor
    """Shape (1, nodes, nodes): centimetres towards the viewer."""
    basis: Tensor
    """Shape (expressions, 3, nodes, nodes): displacement at strength 1, centimetres."""
    hold: Tensor
    """Shape (1, nodes, nodes): 1 on the head, falling to 0 where nothing moves with it."""
    rigid: Tensor
    """Shape (n, 3): the landmarks whose centroid and spread a pose tells, centimetres from their centroid."""

    def __init__(self, rigid: Sequence[int] = RIGID, expressions: int = len(EXPRESSIONS)) -> None:
        """Make a face without numbers.

        Args:
            rigid: Landmarks of the 68 whose centroid and spread a pose tells.
            expressions: How many coefficients of expression there are, all of `EXPRESSIONS` or none.
        """
        super().__init__()
        self.register_buffer("depth", torch.zeros(1, NODES, NODES))
        self.register_buffer("basis", torch.zeros(expressions, 3, NODES, NODES))
        self.register_buffer("hold", torch.zeros(1, NODES, NODES))
        self.register_buffer("rigid", torch.zeros(len(rigid), 3))

    def forward(self, portrait: Tensor, driving: Tensor, side: int) -> Flow:
        """Return the flow.

        Args:
            portrait: Shape (N, expressions + 9): coefficients of the portrait.
            driving: The same of the frame.
            side: Cells along each side of the frame.
        """
        count = len(self.basis)
        line = (torch.arange(side, device=driving.device) + 0.5) * (2 / side) - 1
        grid = torch.stack(torch.meshgrid(line, line, indexing="xy"))
        there = self._maps(driving[:, :count])
        seen = self._seen(grid.expand(len(driving), -1, -1, -1), driving[:, count:], there)
        back = self._projected(seen, portrait[:, count:], self._maps(portrait[:, :count]))
        hold = sampled(self.hold.expand(len(seen), -1, -1, -1), seen)
        return Flow(seen / REACH, hold * (back - grid))

    def _maps(self, expression: Tensor) -> Tensor:
        """Return surfaces (N, 3, nodes, nodes): depth, displaced; the first two are displacements."""
        moved = torch.einsum("nk,kcij->ncij", expression / UNIT, self.basis)
        return torch.cat((moved[:, :2], moved[:, 2:] + self.depth), dim=1)

    def seen_spread(self, rotation: Tensor) -> Tensor:
        """Return the spread (N,) in which the rigid landmarks of turned heads (N, 3, 3) are seen, centimetres."""
        flat = torch.einsum("nij,kj->nki", rotation, self.rigid)[..., :2]
        spread: Tensor = (flat - flat.mean(dim=1, keepdim=True)).square().sum(dim=-1).mean(dim=1).sqrt()
        return spread

    def centimetre(self, scale: Tensor, rotation: Tensor) -> Tensor:
        """Return how much of the picture (of 2) a centimetre of turned heads (N, 3, 3) is, (N,).

        Args:
            scale: Of their poses: the spread in which rigid landmarks are seen over the usual one, (N,).
            rotation: Shape (N, 3, 3).
        """
        return scale * USUAL / self.seen_spread(rotation)

    def _turned(self, points: Tensor, maps: Tensor, rotation: Tensor) -> Tensor:
        """Return front-view points (N, 2, h, w), centimetres, as the turned head shows them."""
        moved = sampled(maps, points) + F.pad(points, (0, 0, 0, 0, 0, 1))
        return torch.einsum("nij,njhw->nihw", rotation[:, :2], moved)

    def _projected(self, points: Tensor, pose: Tensor, maps: Tensor) -> Tensor:
        """Return where front-view points lie in the picture, -1 to 1."""
        rotation = rotations(pose)
        flat = self._turned(points, maps, rotation) * self.centimetre(pose[:, SCALE], rotation)[:, None, None, None]
        return pose[:, CENTRE, None, None] + flat * flat.new_tensor((1.0, -1.0))[:, None, None]

    def _seen(self, grid: Tensor, pose: Tensor, maps: Tensor) -> Tensor:
        """Return the front-view points (N, 2, h, w), centimetres, that are seen at places of the picture."""
        rotation = rotations(pose)
        away = (grid - pose[:, CENTRE, None, None]) * grid.new_tensor((1.0, -1.0))[:, None, None]
        wanted = away / self.centimetre(pose[:, SCALE], rotation)[:, None, None, None]
        points = wanted
        for _ in range(LOOKS):
            points = points + wanted - self._turned(points, maps, rotation)
        return points


def sampled(maps: Tensor, points: Tensor) -> Tensor:
    """Return maps (N, C, nodes, nodes), y up, at points (N, 2, h, w), centimetres; the border goes on."""
    places = points * points.new_tensor((1 / REACH, -1 / REACH))[:, None, None]
    return F.grid_sample(maps, places.permute(0, 2, 3, 1), padding_mode="border", align_corners=True)


def warped(pictures: Tensor, flow: Tensor) -> Tensor:
    """Return pictures fetched along a flow, bicubic, the border going on.

    Args:
        pictures: Shape (N, 3, side, side), range [-1, 1].
        flow: As `MeanFace` gives it for as many cells as there are pixels, (N, 2, side, side).

    Returns:
        Shape (N, 3, side, side), range [-1, 1].
    """
    line = (torch.arange(flow.shape[-1], device=flow.device) + 0.5) * (2 / flow.shape[-1]) - 1
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    places = grid + flow.permute(0, 2, 3, 1)
    return F.grid_sample(pictures, places, mode="bicubic", padding_mode="border", align_corners=False).clamp(-1, 1)


def rotations(pose: Tensor) -> Tensor:
    """Return rotations (N, 3, 3) as `thbench.faces.pose.rotation_from_degrees` gives them."""
    yaw, pitch, roll = pose[:, ANGLES].unbind(dim=1)
    sy, sp, sr, cy, cp, cr = yaw.sin(), pitch.sin(), roll.sin(), yaw.cos(), pitch.cos(), roll.cos()
    rows = (
        (cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr, sy * cp),
        (cp * sr, cp * cr, sp),
        (-sy * cr - cy * sp * sr, sy * sr - cy * sp * cr, cy * cp),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def measured_face(landmarks: Sequence[int] = RIGID) -> dict[str, Tensor]:
    """Return the buffers of the mean head of synth-heads; `landmarks` as `MeanFace` takes them."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.ndimage import gaussian_filter

    from thbench.data.synth_heads.expression import expression_deltas
    from thbench.data.synth_heads.template import template
    from thbench.data.synth_heads.topology import FACE_POINTS
    from thbench.faces.landmarks import MESH_OF_68

    mean = template()
    rigid = mean.points[[MESH_OF_68[place] for place in landmarks]]
    points = mean.points - rigid.mean(axis=0)
    line = np.linspace(-REACH, REACH, NODES)
    x, y = np.meshgrid(line, line[::-1])

    def spread_out(at: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = LinearNDInterpolator(at[:, :2], values)(x, y)
        nearest = NearestNDInterpolator(at[:, :2], values)(x, y)
        return np.asarray(np.where(np.isnan(inside), nearest, inside))

    front = points[points[:, 2] > points[:, 2].min() * 0.6]
    depth = gaussian_filter(spread_out(front, front[:, 2]), 1.0)
    face = points[:FACE_POINTS]
    on_face = LinearNDInterpolator(face[:, :2], np.ones(len(face)), 0.0)(x, y)[..., None]
    basis = np.zeros((len(EXPRESSIONS), 3, NODES, NODES))
    for name, moves in expression_deltas(mean.points).items():
        maps = np.stack([spread_out(face, moves[:FACE_POINTS, axis]) for axis in range(3)], axis=-1) * on_face
        basis[EXPRESSIONS.index(name)] = maps.transpose(2, 0, 1)
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    away = np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1])
    hold = np.clip((1.5 - away) / 0.3, 0, 1)
    arrays = {"depth": depth[None], "basis": basis, "hold": hold[None], "rigid": rigid - rigid.mean(axis=0)}
    return {name: torch.from_numpy(array).float() for name, array in arrays.items()}
