"""The flow between two frames of synth-heads as their landmarks tell it.

A small network that is to find flows by making pictures alone first learns to move heads: lips move by a pixel or two,
of which a picture's error says little. The truth knows where landmarks go. Heads move by the affine map of their rigid
landmarks, each place near a landmark by what that landmark moves beyond it, backgrounds rest; what the flow does not
explain, and what lies between the lips, is to be painted. Places above the mouth are not moved by the lower lip and the
chin, nor those below by the upper lip: a mean over both would open a mouth by a quarter of what the landmarks say.
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
RIGID = (0, 1, 2, 14, 15, 16, *range(27, 36), 36, 39, 42, 45)
"""Landmarks that move as the head does: upper jaw, nose, corners of the eyes."""
BROWS, CHIN = slice(17, 27), 8
REACH, ALONE = 0.04, 0.05
"""Distance over which a landmark moves its surroundings, and weight of none of them doing so."""
HAIR, WIDTH, SOFT = 0.75, 0.68, 0.12
"""Height above the brows that belongs to the head, in heights of the face; half its width, in widths of the jaw; and
how softly it ends, in units of the head's radius."""
EXPLAINED = 0.12
"""Difference of colours, 0 to 1, at which most of a place is painted."""
OPENED, REPAINTED = 3.0, 0.4
"""Share of a cell that is painted, over the share that lies between the lips, which at 128 px are mostly open by less
than a cell: a cell of which a third is dark cannot be made of lips alone. And the share that is painted of lips, whose
edges move within a cell."""


def true_flow(source: Tensor, frames: Tensor, marks: tuple[Tensor, Tensor]) -> Flow:
    """Return the flow from portraits to frames.

    Args:
        source: Shape (N, 3, H, W), in [0, 1].
        frames: Of the same shape.
        marks: Landmarks of both, each of shape (N, 68, 2), from -1 to 1.

    Returns:
        In coordinates of pixels' centres.
    """
    places = moved_places(*marks, frames.shape[-1] // CELL)
    unlike = F.avg_pool2d((warp(source, places) - frames).abs().mean(dim=1, keepdim=True), CELL)
    return Flow(places, (-(unlike / EXPLAINED).square()).exp() * (1 - painted(marks[1], frames.shape[-1])))


def painted(marks: Tensor, size: int) -> Tensor:
    """Return how much of each cell is painted because lips and what is between them cannot be brought by a flow.

    Args:
        marks: Landmarks, shape (N, 68, 2), from -1 to 1.
        size: Side of the picture in pixels.

    Returns:
        Shape (N, 1, size / 4, size / 4), 0 to 1.
    """
    opened = (OPENED * covered(marks[:, INNER], size)).clamp(max=1)
    return torch.maximum(opened, REPAINTED * covered(marks[:, LIPS], size))


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
    rigid = list(RIGID)
    known, wanted = _with_one(of_frames[:, rigid]).double(), of_source[:, rigid].double()
    # In double precision, for results are to be the same bytes wherever arrays lie in memory.
    head = torch.linalg.solve(known.mT @ known, known.mT @ wanted).float()
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
