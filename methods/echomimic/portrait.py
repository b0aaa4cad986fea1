"""What EchoMimic makes of a portrait before any network sees it: where the face is.

Source: antgroup/echomimic at a53e970, infer_audio2vid.py. The release detects faces by MTCNN; the box around the
landmarks takes the place of its box. It also crops the picture around the face first: here the portrait is taken whole,
since frames are to show all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.hallo.portrait import region_of as lit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.echomimic.config import Config
    from thbench_methods.hallo.portrait import Outlines
    from torch import Tensor

GROWTH = 0.1
"""By how much of its side the box around the face grows at each edge."""


def boxed(points: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Return a picture (size, size) that is 1 in the box around landmarks, which has grown, and 0 elsewhere.

    Args:
        points: Shape (n, 2), in shares of the picture.
        size: Side of the picture.
    """
    low, high = np.round(points.min(axis=0) * size), np.round(points.max(axis=0) * size)
    growth = np.trunc((high - low) * GROWTH)
    (left, top), (right, bottom) = (low - growth).clip(0).astype(int), (high + growth).clip(0).astype(int)
    picture = np.zeros((size, size), np.float32)
    picture[top:bottom, left:right] = 1
    return picture


def region_of(outlines: Outlines, portrait: Tensor, config: Config) -> Tensor:
    """Return what the face locator sees, range [0, 1]: (1, 1, size, size), or (1, 3, size, size) of the portrait.

    Args:
        outlines: Of the portrait.
        portrait: Shape (1, 3, size, size), range [0, 1].
        config: Says whether that is the portrait itself, shaded outside the face.
    """
    if config.locator_sees_portrait:
        return lit(outlines, portrait, config)
    return torch.from_numpy(boxed(outlines.face, config.size))[None, None]
