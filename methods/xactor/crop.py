"""Where the face is: the crop that the motion encoder reads.

The side of the crop is that of a clip's first frame, and its centre follows the face slowly; so most of what moves the
head in the picture is not to be seen in the crop. Source: bytedance/x-nemo-inference, scripts/pose2vid_xnemo.py, with
the box around landmarks in the place of a face detector's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
