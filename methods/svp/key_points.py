"""Key points of the head: two eyes and the nose, their picture for the guider, and tracks that a portrait follows.

They say where the head is and how it is turned, and nothing of mouth and expression. That these three are meant is
inferred of the name "HEAD-Kps Guider" and of V-Express, which draws them for its V-Kps Guider
(tencent-ailab/V-Express, pipelines/utils.py); discs with soft edges are the project's choice, since the guider has to
tell places finer than a cell of the latents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.hallo.portrait import moved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

POINTS = 3
RIGHT_EYE, LEFT_EYE, NOSE = (36, 39), (42, 45), 30
"""Corners of the eyes and tip of the nose among the 68 points; lids do not move them."""
RADIUS = 0.03
"""Deviation of the Gaussian discs, in shares of the picture."""


def key_points_of(landmarks: Tensor) -> Tensor:
    """Return the key points (..., 3, 2) of 68 points (..., 68, 2): right eye, left eye, nose."""
    eyes = [landmarks[..., list(corners), :].mean(dim=-2) for corners in (RIGHT_EYE, LEFT_EYE)]
    return torch.stack((*eyes, landmarks[..., NOSE, :]), dim=-2)


def drawn(points: Tensor, size: int) -> Tensor:
    """Draw key points, each in a colour of its own.

    Args:
        points: Shape (N, 3, 2), x and y in shares of the picture; those outside it are not seen.
        size: Side of the picture.

    Returns:
        Shape (N, 3, size, size), range [0, 1], black where no point is.
    """
    line = (torch.arange(size, device=points.device, dtype=points.dtype) + 0.5) / size
    away = (line - points[..., None]) / RADIUS
    across, down = (-0.5 * away.square()).exp().unbind(dim=2)
    pictures: Tensor = down[..., :, None] * across[..., None, :]
    return pictures


def followed(track: Tensor, own: Tensor) -> Tensor:
    """Return a track of key points as it goes on from a portrait's, in the portrait's size.

    Args:
        track: Shape (frames, 3, 2), at least one frame, of another head.
        own: Shape (3, 2): of the portrait.
    """
    theirs, mine = (torch.linalg.vector_norm(head[1] - head[0]) for head in (track[0], own))
    moved: Tensor = own + (track - track[0]) * (mine / theirs.clamp(min=1e-6))
    return moved


def based(picture: NDArray[np.uint8], face: NDArray[np.float64], own: Tensor, points: Tensor) -> Tensor:
    """Return a portrait with its head moved to key points, (F, 3, size, size), range [-1, 1].

    Args:
        picture: Shape (size, size, 3).
        face: Landmarks (n, 2); all points are in shares of the picture.
        own: Key points of the portrait, (3, 2).
        points: Of each frame, (F, 3, 2).
    """
    size = len(picture)
    heads = moved(picture, face, size * own.double().cpu().numpy(), size * points.double().cpu().numpy())
    return torch.from_numpy(heads).permute(0, 3, 1, 2).float() / 127.5 - 1
