"""The flow between two frames of synth-heads as their landmarks tell it.

A small network that is to find flows by making pictures alone first learns to move heads: lips move by a pixel or two,
of which a picture's error says little. The truth knows where landmarks go. Heads move by the affine map of their rigid
landmarks, each place near a landmark by what that landmark moves beyond it, backgrounds rest; what the flow does not
explain, what lies between the lips, and eyes whose lids have moved are to be painted. Places above the mouth are not
moved by the lower lip and the chin, nor those below by the upper lip: a mean over both would open a mouth by a quarter
of what the landmarks say.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.dawn.lfg.blocks import coordinate_grid, warp
from thbench_methods.dawn.lfg.flow import Flow
from torch import Tensor

CELL = 4
"""Pixels along a side of each of the flow's cells."""
INNER, LIPS = slice(60, 68), slice(48, 60)
"""Landmarks of the inner and of the outer edges of the lips."""
UPPER, LOWER = (*range(49, 54), 61, 62, 63), (*range(6, 11), *range(55, 60), 65, 66, 67)
"""Landmarks that move only what is above the line between the lips, and only what is below it."""
EYES = (slice(36, 42), slice(42, 48))
"""Landmarks around each eye: its corners are the first and the fourth, between them come those of the upper lid."""
RIGID = (0, 1, 2, 14, 15, 16, *range(27, 36), 36, 39, 42, 45)
"""Landmarks that move as the head does: upper jaw, nose, corners of the eyes."""
CLOSING, LEAST_OPEN = 0.85, 0.1
"""Change of an eye's height, as a share of the greater one, at which it is wholly painted: lids that are half shut are
half painted, or the two could not be told apart. And the least height over the width that it is a share of."""
BROWS, CHIN = slice(17, 27), 8
REACH, ALONE = 0.04, 0.05
"""Distance over which a landmark moves its surroundings, and weight of none of them doing so."""
HAIR, WIDTH, SOFT = 0.75, 0.68, 0.12
"""Height above the brows that belongs to the head, in heights of the face; half its width, in widths of the jaw; and
how softly it ends, in units of the head's radius."""
EXPLAINED = 0.12
"""Difference of colours, 0 to 1, at which most of a place is painted."""
OPENED, REPAINTED = 3.0, 0.4
"""Share of a cell that is painted, over the share that lies between lips or lids, which at 128 px are mostly open by
less than a cell: a cell of which a third is dark cannot be made of lips alone. And the share that is painted of lips,
whose edges move within a cell."""


def true_flow(source: Tensor, frames: Tensor, marks: tuple[Tensor, Tensor]) -> Flow:
    """Return the flow from portraits to frames.

    Args:
        source: Shape (N, 3, H, W), in [0, 1].
        frames: Of the same shape.
        marks: Landmarks of both, each of shape (N, 68, 2), from -1 to 1.

    Returns:
        In coordinates of pixels' centres.
    """
    size = frames.shape[-1]
    places = moved_places(*marks, size // CELL)
    unlike = F.avg_pool2d((warp(source, places) - frames).abs().mean(dim=1, keepdim=True), CELL)
    # What is painted of eyes says how far they are shut, and nothing else: a gaze that moves is no lid.
    unlike = unlike * (1 - eye_cells(*marks, size).amax(dim=1, keepdim=True))
    return Flow(places, (-(unlike / EXPLAINED).square()).exp() * (1 - painted(*marks, size)))


def painted(of_source: Tensor, of_frames: Tensor, size: int) -> Tensor:
    """Return how much of each cell is painted because lips, lids and what is between cannot be brought by a flow.

    Args:
        of_source: Landmarks of the portraits, shape (N, 68, 2), from -1 to 1.
        of_frames: Of the frames.
        size: Side of the picture in pixels.

    Returns:
        Shape (N, 1, size / 4, size / 4), 0 to 1.
    """
    opened = (OPENED * covered(of_frames[:, INNER], size)).clamp(max=1)
    lips = torch.maximum(opened, REPAINTED * covered(of_frames[:, LIPS], size))
    return torch.maximum(lips, painted_eyes(of_source, of_frames, size))


def painted_eyes(of_source: Tensor, of_frames: Tensor, size: int) -> Tensor:
    """Return how much of each cell is painted because lids have moved: eyes of two pixels cannot be pressed together.

    Args:
        of_source: Landmarks of the portraits, shape (N, 68, 2), from -1 to 1.
        of_frames: Of the frames.
        size: Side of the picture in pixels.

    Returns:
        Shape (N, 1, size / 4, size / 4), 0 to 1.
    """
    shares = [lid_share(eye_height(of_source[:, eye]), eye_height(of_frames[:, eye])) for eye in EYES]
    each = eye_cells(of_source, of_frames, size) * torch.stack(shares, dim=1)[..., None, None]
    return each.amax(dim=1, keepdim=True)


def eye_cells(of_source: Tensor, of_frames: Tensor, size: int) -> Tensor:
    """Return how much of each cell belongs to each eye: to where it is, or would be if as open as in the portrait.

    Cells around it belong to it as well, see `grown`.

    Args:
        of_source: Landmarks of the portraits, shape (N, 68, 2), from -1 to 1.
        of_frames: Of the frames.
        size: Side of the picture in pixels.

    Returns:
        Shape (N, 2, size / 4, size / 4), 0 to 1.
    """
    as_before = _with_one(of_source) @ rigid_map(of_source, of_frames)
    each = [torch.maximum(covered(as_before[:, eye], size), covered(of_frames[:, eye], size)) for eye in EYES]
    return grown((OPENED * torch.cat(each, dim=1)).clamp(max=1))


def grown(cells: Tensor) -> Tensor:
    """Return shares of cells (N, C, h, w), each the greatest of its own and its neighbours'.

    Between cells what is visible goes from one share to the next: of a thing as high as a cell, half would be seen.
    """
    return F.max_pool2d(cells, 3, stride=1, padding=1)


def lid_share(before: Tensor, now: Tensor) -> Tensor:
    """Return how much of eyes is painted whose heights over their widths were one and are another; 0 to 1."""
    change = (before - now).abs() / torch.maximum(before, now).clamp(min=LEAST_OPEN)
    return (change / CLOSING).clamp(max=1)


def eye_height(eye: Tensor) -> Tensor:
    """Return the height of eyes (N, 6, 2) over their width, (N,)."""
    height = torch.linalg.vector_norm(eye[:, 1:3].mean(dim=1) - eye[:, 4:6].mean(dim=1), dim=1)
    share: Tensor = height / torch.linalg.vector_norm(eye[:, 0] - eye[:, 3], dim=1).clamp(min=1e-6)
    return share


def rigid_map(known: Tensor, wanted: Tensor) -> Tensor:
    """Return the affine maps (N, 3, 2) of heads, by their rigid landmarks, from `known` (N, 68, 2) to `wanted`."""
    rigid = list(RIGID)
    points = _with_one(known[:, rigid]).double()
    # In double precision, for results are to be the same bytes wherever arrays lie in memory.
    found: Tensor = torch.linalg.solve(points.mT @ points, points.mT @ wanted[:, rigid].double()).float()
    return found


def moved_places(of_source: Tensor, of_frames: Tensor, side: int) -> Tensor:
    """Return where each cell of frames is read in their portraits.

    Args:
        of_source: Landmarks of the portraits, shape (N, 68, 2), from -1 to 1.
        of_frames: Of the frames.
        side: Cells along a side.

    Returns:
        Shape (N, side, side, 2).
    """
    grid = coordinate_grid(of_frames.new_zeros(1, 1, side, side), centred=True)
    head = rigid_map(of_frames, of_source)
    beyond = of_source - _with_one(of_frames) @ head
    cells = grid.flatten(0, 1).expand(len(of_frames), -1, -1)
    near = (-torch.cdist(cells, of_frames).square() / (2 * REACH**2)).exp()
    above = above_lips(of_frames, cells)[..., None]
    near[..., list(LOWER)] *= ~above
    near[..., list(UPPER)] *= above
    local = near @ beyond / (near.sum(dim=2, keepdim=True) + ALONE)
    moved = (_with_one(cells) @ head + local).view(-1, side, side, 2)
    return torch.lerp(grid.expand_as(moved), moved, head_mask(of_frames, grid)[..., None])


def head_mask(marks: Tensor, grid: Tensor) -> Tensor:
    """Return how much each place (h, w, 2) belongs to the head (N, h, w), 0 to 1: an ellipse about its landmarks."""
    chin, brows = marks[:, CHIN], marks[:, BROWS].mean(dim=1)
    up = brows - chin
    top = brows + HAIR * up
    middle, height = (chin + top) / 2, (top - chin).norm(dim=1) / 2
    width = WIDTH * (marks[:, 16] - marks[:, 0]).norm(dim=1)
    axis = up / up.norm(dim=1, keepdim=True)
    offset = grid[None] - middle[:, None, None]
    along = torch.einsum("nhwi,ni->nhw", offset, axis) / height[:, None, None]
    across = torch.einsum("nhwi,ni->nhw", offset, axis.flip(1) * axis.new_tensor([1, -1])) / width[:, None, None]
    inside: Tensor = ((1.1 - (along.square() + across.square()).sqrt()) / SOFT).sigmoid()
    return inside


def above_lips(marks: Tensor, places: Tensor) -> Tensor:
    """Return which places lie above the line between the lips, and beyond the corners above that through them.

    Args:
        marks: Landmarks, shape (N, 68, 2), from -1 to 1.
        places: Shape (N, n, 2).

    Returns:
        Shape (N, n), bool.
    """
    corner, across = marks[:, 60], marks[:, 64] - marks[:, 60]
    along = across / across.norm(dim=1, keepdim=True).clamp(min=1e-6)
    axes = torch.stack((along, along.flip(1) * along.new_tensor((-1, 1))), dim=1)
    line = (marks[:, [60, 61, 62, 63, 64]] + marks[:, [60, 67, 66, 65, 64]]) / 2
    known, asked = ((points - corner[:, None]) @ axes.mT for points in (line, places))
    heights = [np.interp(x[:, 0], of[:, 0], of[:, 1]) for x, of in zip(asked.numpy(), known.numpy(), strict=True)]
    return asked[..., 1] < torch.from_numpy(np.stack(heights).astype(np.float32))


def covered(outlines: Tensor, size: int) -> Tensor:
    """Return how much of each cell lies within an outline.

    Args:
        outlines: Shape (N, n, 2), from -1 to 1.
        size: Side of the picture in pixels.

    Returns:
        Shape (N, 1, size / 4, size / 4), 0 to 1.
    """
    finer = 4  # a closed mouth opens by less than a pixel
    points = ((outlines + 1) * (size * finer / 2) - 0.5).numpy()
    side = CELL * finer
    shares = np.empty((len(points), 1, size // CELL, size // CELL), np.float32)
    for polygon, share in zip(points, shares, strict=True):
        drawn = np.zeros((size * finer, size * finer), np.uint8)
        cv2.fillPoly(drawn, [np.round(polygon * 16).astype(np.int32)], 1, shift=4)
        share[0] = drawn.reshape(size // CELL, side, size // CELL, side).mean((1, 3))
    return torch.from_numpy(shares)


def _with_one(points: Tensor) -> Tensor:
    return F.pad(points, (0, 1), value=1.0)
