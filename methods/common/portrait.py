"""Pictures between the request and the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from thbench.errors import MethodError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def portrait_tensor(portrait: NDArray[np.uint8], size: int) -> torch.Tensor:
    """Return the whole portrait as (1, 3, size, size), RGB in [0, 1]; a portrait that is not square is stretched.

    Raises:
        MethodError: It is no RGB picture.
    """
    if portrait.ndim != 3 or portrait.shape[2] != 3 or portrait.dtype != np.uint8 or min(portrait.shape) < 1:
        raise MethodError(
            f"the portrait has the shape {portrait.shape} and type {portrait.dtype}; give RGB uint8 (height, width, 3)"
        )
    picture = portrait
    if portrait.shape[:2] != (size, size):
        smaller = min(portrait.shape[:2]) >= size
        picture = np.asarray(
            cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        )
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def to_frame_batch(pictures: torch.Tensor) -> NDArray[np.uint8]:
    """Return pictures (n, 3, h, w), RGB in [0, 1], as frames (n, h, w, 3)."""
    whole = (pictures.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(whole.cpu().numpy())


def resized(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return a frame (h, w, 3) as (height, width, 3)."""
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
