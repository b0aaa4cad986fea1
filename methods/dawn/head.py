"""How a head moves as its pose says: what the mini A2V-FDM need not tell, for it is told the pose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench_methods.dreamtalk.faces import ANGLES, CENTRE, SCALE
from thbench_methods.dreamtalk.mean_face import MeanFace
from thbench_methods.dreamtalk.motion import POSE

from thbench.backbones.mini.face import SIDE, USUAL_SPREAD
from thbench.metrics.jitter import STEADY

if TYPE_CHECKING:
    from thbench_methods.dawn.config import MotionSpace
    from torch import Tensor


def mean_head() -> MeanFace:
    """Return a head without expressions; its numbers are those of a file, or of `measured_face`."""
    return MeanFace(STEADY, expressions=0)


def head_motion(head: MeanFace, source: Tensor, frames: Tensor, side: int, space: MotionSpace) -> Tensor:
    """Return the flow of a mean head from a portrait to frames, as the numbers that are denoised count it.

    Args:
        head: As `mean_head` returns it.
        source: Pose of the portrait as the mini networks know it, shape (6,); see `state.mini_pose`.
        frames: Poses of the frames, shape (F, 6).
        side: Of the maps.
        space: Says how a flow is told.

    Returns:
        Shape (2, F, side, side). Beyond the head nothing moves.
    """
    portrait, driving = coefficients(source[None]).expand(len(frames), -1), coefficients(frames)
    motion: Tensor = space.gain * head(portrait, driving, side).flow.transpose(0, 1)
    return motion


def coefficients(pose: Tensor) -> Tensor:
    """Return poses (N, 6) as `MeanFace` takes them, (N, 9)."""
    told = pose.new_zeros(len(pose), POSE)
    told[:, ANGLES] = pose[:, :3].deg2rad()
    told[:, SCALE] = pose[:, 3] * (SIDE / USUAL_SPREAD)
    told[:, CENTRE] = 2 * pose[:, 4:] - 1
    return told
