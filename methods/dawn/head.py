"""How a head moves as its pose says: what the mini A2V-FDM need not tell, for it is told the pose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.dawn.lfg.blocks import coordinate_grid
from torch import Tensor

if TYPE_CHECKING:
    from thbench_methods.dawn.config import MotionSpace

HAIR = 0.45
"""Height above the landmarks that belongs to the head, in heights of their box."""
WIDTH, SOFT = 0.62, 0.12
"""Half the width of a head in widths of the box, and how softly it ends, in units of its radius."""


def moved_head(source: Tensor, frames: Tensor, box: Tensor, side: int) -> Tensor:
    """Return where each place of frames is read in a portrait whose head turns in the plane, moves and grows.

    Args:
        source: Pose of the portrait as the mini networks know it, shape (6,); see `state.mini_pose`.
        frames: Poses of the frames, shape (F, 6).
        box: Face box of the portrait, shape (6,); see `State.box`.
        side: Of the maps.

    Returns:
        Shape (F, side, side, 2), coordinates of pixels' centres. Beyond the head each place is read where it is.
    """
    grid = coordinate_grid(frames.new_zeros(1, 1, side, side), centred=True)
    centre, centres = 2 * source[4:] - 1, 2 * frames[:, 4:] - 1
    turn = (frames[:, 2] - source[2]).deg2rad()
    linear = _rotation(turn) * (source[3] / frames[:, 3])[:, None, None]
    read = torch.einsum("fij,fhwj->fhwi", linear, grid - centres[:, None, None]) + centre
    # Whether a place is of the head is asked of the portrait, where it is read.
    low, high = (2 * box[at] / box[size] - 1 for at, size in ((slice(0, 4, 2), [5, 4]), (slice(1, 4, 2), [5, 4])))
    top = low[1] - HAIR * (high[1] - low[1])
    middle = torch.stack(((low[0] + high[0]) / 2, (top + high[1]) / 2))
    radius = torch.stack((WIDTH * (high[0] - low[0]), (high[1] - top) / 2))
    inside = ((1.1 - ((read - middle) / radius).norm(dim=-1)) / SOFT).sigmoid()
    return torch.lerp(grid.expand_as(read), read, inside[..., None])


def head_motion(source: Tensor, frames: Tensor, box: Tensor, side: int, space: MotionSpace) -> Tensor:
    """Return that motion as the numbers that are denoised count it, shape (2, F, side, side); arguments as above."""
    grid = coordinate_grid(frames.new_zeros(1, 1, side, side), centred=True)
    return space.gain * (moved_head(source, frames, box, side) - grid).movedim(3, 0)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack((torch.stack((cos, -sin), dim=-1), torch.stack((sin, cos), dim=-1)), dim=-2)
