"""Where the face is: the crop that the motion encoder reads, and the head placement that it does not see.

The side of the crop is that of a clip's first frame, and its centre follows the face slowly; so most of what moves the
head in the picture is taken out of the crop and told as placement. Source: bytedance/x-nemo-inference,
scripts/pose2vid_xnemo.py, with the box around landmarks in the place of a face detector's. That a portrait's head is
moved along by its placement before a network changes anything is the project's choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from thbench_methods.hallo.portrait import moved

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]

SMOOTHING = 5.0
"""Deviation, in frames, of the Gaussian that the centre is smoothed with."""
REACH = 1.4
"""Side of the crop over the longer side of the landmarks' box: forehead and chin are in it. The published detector's
box, which reaches as far, is taken 1.1 times as large."""


def boxes_of(landmarks: NDArray[np.floating]) -> Floats:
    """Return the squares (frames, 3) around landmarks (frames, n, 2): centre down, centre right, side."""
    points = landmarks.astype(np.float64)
    low, high = points.min(axis=1), points.max(axis=1)
    middle = (low + high) / 2
    return np.column_stack((middle[:, 1], middle[:, 0], (high - low).max(axis=1)))


def placements(boxes: Floats, reference: Floats) -> Floats:
    """Return head placements (..., 3) of squares (..., 3) against the portrait's (3,).

    Down and right in sides of the portrait's square, and the side over the portrait's.
    """
    return np.concatenate(
        ((boxes[..., :2] - reference[..., :2]) / reference[..., 2:], boxes[..., 2:] / reference[..., 2:]), axis=-1
    )


def placed_boxes(placement: Floats, reference: Floats) -> Floats:
    """Return the squares (..., 3) of head placements (..., 3) against the portrait's (3,): the way back."""
    return np.concatenate(
        (reference[:2] + placement[..., :2] * reference[2:], placement[..., 2:] * reference[2:]), axis=-1
    )


def based(picture: NDArray[np.uint8], landmarks: NDArray[np.floating], placement: Tensor) -> Tensor:
    """Return a portrait with its head shifted and scaled by placements, (F, 3, size, size), range [-1, 1].

    Args:
        picture: Shape (size, size, 3).
        landmarks: Of its face, (n, 2), pixels.
        placement: Of each frame, (F, 3).
    """
    own = boxes_of(landmarks[None])[0]
    after = placed_boxes(placement.double().cpu().numpy(), own)
    face = landmarks.astype(np.float64) / len(picture)
    heads = moved(picture, face, _corners(own), _corners(after))
    return torch.from_numpy(heads).permute(0, 3, 1, 2).float() / 127.5 - 1


def crop_boxes(boxes: Floats, size: int) -> Floats:
    """Return the squares that are cropped of a clip, of one side, inside of a picture of `size` pixels where they can.

    Args:
        boxes: Shape (frames, 3).
        size: Side of the picture.
    """
    side = min(REACH * boxes[0, 2], float(size))
    centres = gaussian_filter1d(boxes[:, :2], SMOOTHING, axis=0, mode="nearest")
    inside = centres.clip(side / 2, size - side / 2)
    return np.column_stack((inside, np.full(len(boxes), side)))


def cropped(picture: NDArray[np.uint8], box: Floats, side: int) -> NDArray[np.uint8]:
    """Return a square (3,) of a picture (h, w, 3) as (side, side, 3); outside of the picture its edge is repeated."""
    scale = box[2] / side
    start = box[:2] - box[2] / 2 + (scale - 1) / 2
    to_picture = np.array([[scale, 0, start[1]], [0, scale, start[0]]])
    smooth = picture
    if scale > 1:
        # Sampling alone would skip pixels.
        smooth = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.5 * scale), np.uint8)
    return np.asarray(
        cv2.warpAffine(
            smooth,
            to_picture,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def _corners(boxes: Floats) -> Floats:
    """Return two corners (..., 2, 2), right and down, of squares (..., 3)."""
    middle, half = boxes[..., [1, 0]], boxes[..., 2:] / 2
    return np.stack((middle - half, middle + half), axis=-2)
