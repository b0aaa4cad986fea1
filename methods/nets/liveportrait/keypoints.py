"""Key-point algebra: motion parameters to the key-points that drive the warping.

Source: KwaiVGI/LivePortrait, src/live_portrait_wrapper.py (transform_keypoint) and src/utils/camera.py; the paper's
equation 2, x = s (x_c R + δ) + t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

DEGREES_PER_BIN, FIRST_BIN_DEGREES = 3.0, -97.5


class HeadPose(NamedTuple):
    """Angles in degrees, each of shape (...)."""

    pitch: Tensor
    yaw: Tensor
    roll: Tensor


@dataclass(frozen=True, slots=True)
class Motion:
    """Everything that places the key-points of one or many faces."""

    pose: HeadPose
    """Degrees, each of shape (...)."""
    translation: Tensor
    """Shape (..., 3), in units of the crop's half width; the third is not used."""
    expression: Tensor
    """Shape (..., K, 3): offsets of the key-points, before scaling."""
    scale: Tensor
    """Shape (...)."""


def bins_to_degrees(logits: Tensor) -> Tensor:
    """Return the expected angle, -97.5 to 97.5 degrees, of logits (..., bins)."""
    bins = torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    return DEGREES_PER_BIN * (logits.softmax(dim=-1) * bins).sum(dim=-1) + FIRST_BIN_DEGREES


def extracted_motion(parameters: Mapping[str, Tensor]) -> Motion:
    """Read what the motion extractor returns for N faces."""
    return Motion(
        pose=HeadPose(*(bins_to_degrees(parameters[angle]) for angle in HeadPose._fields)),
        translation=parameters["t"],
        expression=as_points(parameters["exp"]),
        scale=parameters["scale"][..., 0],
    )


def as_points(values: Tensor) -> Tensor:
    """Return (..., 3 K), key-point major, as (..., K, 3)."""
    return values.reshape(*values.shape[:-1], -1, 3)


def rotation_matrix(pose: HeadPose) -> Tensor:
    """Return (..., 3, 3): the transpose of Rz(roll) Ry(yaw) Rx(pitch), to be applied on the right of row vectors."""
    (cx, cy, cz), (sx, sy, sz) = ([f(torch.deg2rad(angle)) for angle in pose] for f in (torch.cos, torch.sin))
    rows = (
        (cy * cz, cy * sz, -sy),
        (sx * sy * cz - cx * sz, sx * sy * sz + cx * cz, sx * cy),
        (cx * sy * cz + sx * sz, cx * sy * sz - sx * cz, cx * cy),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def transform(canonical: Tensor, motion: Motion) -> Tensor:
    """Place canonical key-points: s (x_c R + δ), then shifted by t in the image plane.

    Args:
        canonical: Shape (..., K, 3).
        motion: Of the same leading shape, or one that broadcasts with it.

    Returns:
        Shape (..., K, 3): x right, y down, both about [-1, 1] over the crop.
    """
    points = canonical @ rotation_matrix(motion.pose) + motion.expression
    return motion.scale[..., None, None] * points + in_plane(motion.translation)


def in_plane(translation: Tensor) -> Tensor:
    """Return (..., 1, 3): a translation without its depth; takes (..., 3) or (..., 2)."""
    xy = translation[..., None, :2]
    return torch.cat((xy, torch.zeros_like(xy[..., :1])), dim=-1)
