"""Where the foreground of a portrait is, in cells of the latent.

The paper takes the mask of a face-parsing network, which no weight file of this suite brings; it covers the whole
silhouette: hair, face, neck and clothes. `silhouette` draws one from face landmarks. Any other mask will do as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from thbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSIDE = 0.5
"""Share of a cell that has to be foreground for the cell to be."""
HEAD = (0.80, 0.95, 0.35)
"""Ellipse of the head with its hair: half width over the width of the face, half height over the height of the face
(forehead to chin), and how far its centre lies below the forehead, over the height of the face."""
NECK = (0.45, -0.1)
"""Half width of the neck over the width of the face, and how far below the chin it begins, over the face's height."""
SHOULDERS = (1.6, 0.9)
"""Half width of the shoulders over the width of the face, and how far below the chin they are, over its height."""


def foreground(mask: NDArray[np.generic] | torch.Tensor, height: int, width: int, dilation: int = 1) -> torch.Tensor:
    """Return which cells of the latent are foreground.

    A cell is where more than half of its area is; then the foreground grows, since a head moves.

    Args:
        mask: Shape (H, W), bool or range [0, 1]: 1 is foreground.
        height: Of the latent.
        width: Of the latent.
        dilation: Cells by which the foreground grows in every direction, diagonals included.

    Returns:
        Shape (height, width), bool.

    Raises:
        UsageError: The mask is not a picture, or the dilation is negative.
    """
    picture = torch.as_tensor(mask).float()
    if picture.ndim != 2 or dilation < 0:
        raise UsageError(
            f"a mask of shape {tuple(picture.shape)} grown by {dilation} cells; allowed are (height, width) and at "
            "least 0 cells"
        )
    share = F.interpolate(picture[None, None], size=(height, width), mode="area")
    inside = (share > INSIDE).float()
    return F.max_pool2d(inside, 2 * dilation + 1, stride=1, padding=dilation)[0, 0] > 0


def silhouette(points: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Return head, neck and shoulders around a face.

    Args:
        points: Shape (N, 2) or (N, 3): landmarks of the face in pixels, from forehead to chin.
        height: Of the picture.
        width: Of the picture.

    Returns:
        Shape (height, width).
    """
    left, top = points[:, :2].min(axis=0)
    right, bottom = points[:, :2].max(axis=0)
    centre, across, down = (left + right) / 2, right - left, bottom - top
    y, x = np.mgrid[0.5:height, 0.5:width]
    head = ((x - centre) / (HEAD[0] * across)) ** 2 + ((y - top - HEAD[2] * down) / (HEAD[1] * down)) ** 2 <= 1
    edges = [bottom + NECK[1] * down, bottom + SHOULDERS[1] * down]
    half = np.interp(y, edges, [NECK[0] * across, SHOULDERS[0] * across])
    body = (y >= edges[0]) & (np.abs(x - centre) <= half)
    mask: NDArray[np.bool_] = head | body
    return mask


def share(foreground: torch.Tensor) -> float:
    """Return how much of the picture is foreground, range [0, 1]."""
    return float(foreground.float().mean())
