"""What the mini networks see of a frame: all of it, small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray


def whole_frame(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Bring a frame to (side, side, 3), the aspect not kept: areas where it shrinks, bilinear where it grows."""
    if rgb.shape[:2] == (side, side):
        return rgb
    shrinks = min(rgb.shape[:2]) >= side
    size = (side, side)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.uint8)


def as_input(frames: NDArray[np.uint8]) -> torch.Tensor:
    """Map frames (..., H, W, 3) to (..., 3, H, W): (v - 127.5) / 127.5, the channels last in memory."""
    return (torch.from_numpy(np.ascontiguousarray(frames)).float() - 127.5).div_(127.5).movedim(-1, -3)
