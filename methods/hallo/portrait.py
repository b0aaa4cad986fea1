"""What Hallo makes of a portrait before any network sees it: where the face and the lips are, and where audio acts.

Source: fudan-generative-vision/hallo, hallo/datasets/image_processor.py and hallo/utils/util.py. Boxes around
landmarks are drawn, blurred at 64 x 64 and brought to the size of each level of the UNet: the lips, the face without
the lips, and everything outside the face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.hallo.networks import Masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

LIPS_REACH, FACE_REACH = 2.0, 1.2
"""Sides of the drawn boxes over those of the boxes around the landmarks."""
MOVED_REACH = 1.8
"""The same for what moves with the head."""
BLURRED_SIDE, LIPS_KERNEL, FACE_KERNEL = 64, 31, 51
"""Size in which masks are blurred, and the sizes of the Gaussian kernels."""
SILHOUETTE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Outline of the face among MediaPipe's points."""
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375)
"""Outline of the lips among MediaPipe's points."""
LIPS68 = slice(48, 60)
"""Outline of the lips among the 68 points, all of which stand for the face."""
SHADE = 0.4
"""Brightness of the portrait outside the face, where the locator sees the portrait."""


class Outlines(NamedTuple):
    """Landmarks of a portrait, in shares of its width and height."""

    face: NDArray[np.float64]
    """Shape (n, 2)."""
    lips: NDArray[np.float64]
    """Shape (m, 2)."""


class Locating(Protocol):
    """What of a method's config says what its face locator sees."""

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""

    @property
    def locator_sees_portrait(self) -> bool:
        """The locator sees the portrait, lit where the face is, instead of a picture that is white there."""


def drawn(points: NDArray[np.float64], reach: float, size: int) -> NDArray[np.uint8]:
    """Return a picture (size, size) that is 255 in an enlarged box around landmarks and 0 elsewhere.

    Args:
        points: Shape (n, 2), in shares of the picture.
        reach: Sides of the box over those of the box around the landmarks; a box that would leave the picture is moved.
        size: Side of the picture.
    """
    low, high = np.round(points.min(axis=0) * size), np.round(points.max(axis=0) * size)
    middle, half = (low + high) // 2, ((high - low) * reach) // 2
    first, last = middle - half, middle + half
    # As published: what would be cut off at one edge is added at the other.
    last = np.where(first < 0, last - first, last)
    first = np.maximum(first, 0)
    first = np.where(last > size, first - (last - size), first)
    last = np.minimum(last, size)
    (left, top), (right, bottom) = first.astype(int).clip(0), last.astype(int)
    picture = np.zeros((size, size), np.uint8)
    picture[top:bottom, left:right] = 255
    return picture


def masks_of(outlines: Outlines, size: int, sides: Sequence[int]) -> list[Masks]:
    """Return where the three audio attentions act, for each level of the UNet.

    Args:
        outlines: Of the portrait.
        size: Side of the picture.
        sides: Rows and columns of each level.

    Returns:
        Masks of shape (1, side²), range [0, 1].
    """
    lips = _blurred(drawn(outlines.lips, LIPS_REACH, size), LIPS_KERNEL)
    face = _blurred(drawn(outlines.face, FACE_REACH, size), FACE_KERNEL)
    whole = (255 - face, cv2.subtract(face, lips), lips)
    pictures = torch.from_numpy(np.stack(whole)).float()[None] / 255
    levels = []
    for side in sides:
        resized = F.interpolate(pictures, size=(side, side), mode="bilinear", antialias=True)
        levels.append(Masks(*(mask.reshape(1, -1) for mask in resized[0])))
    return levels


def moved(
    picture: NDArray[np.uint8], face: NDArray[np.float64], before: NDArray[np.floating], after: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the portrait with its head moved along, (F, size, size, 3).

    Args:
        picture: Shape (size, size, 3).
        face: Landmarks (n, 2) in shares of the picture; what is around them moves, and less beyond.
        before: Points (m, 2) of the head in the portrait, pixels.
        after: The same in each frame, (F, m, 2), pixels; turned, scaled and shifted as a whole.
    """
    size = picture.shape[0]
    inside = cv2.resize(_blurred(drawn(face, MOVED_REACH, size), FACE_KERNEL), (size, size))
    layers = np.concatenate((picture, inside[..., None]), axis=-1).astype(np.float32)
    frames = []
    for points in after:
        turned = cv2.warpAffine(layers, _similarity(before, points), (size, size), borderMode=cv2.BORDER_REPLICATE)
        share = turned[..., 3:] / 255
        frames.append(np.rint(share * turned[..., :3] + (1 - share) * picture).astype(np.uint8))
    return np.stack(frames)


def _similarity(before: NDArray[np.floating], after: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the turn, scale and shift (2, 3) that brings points (n, 2) nearest to others, by least squares."""
    (x, y), to = before.mean(axis=0), after.mean(axis=0)
    one, other = ((points - points.mean(axis=0)) @ (1, 1j) for points in (before, after))
    turn = np.vdot(one, other) / np.vdot(one, one)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate((matrix, (to - matrix @ (x, y))[:, None]), axis=1).astype(np.float32)


def region_of(outlines: Outlines, portrait: Tensor, config: Locating) -> Tensor:
    """Return what the face locator sees, (1, 3, size, size), range [0, 1].

    Args:
        outlines: Of the portrait.
        portrait: Shape (1, 3, size, size), range [0, 1].
        config: Says whether that is the portrait itself, shaded outside the face.
    """
    inside = torch.from_numpy(drawn(outlines.face, FACE_REACH, config.size)).to(portrait)[None, None] / 255
    if config.locator_sees_portrait:
        return portrait * (SHADE + (1 - SHADE) * inside)
    return inside.expand(1, 3, -1, -1)


def _blurred(mask: NDArray[np.uint8], kernel: int) -> NDArray[np.uint8]:
    """Blur a mask and stretch it to the whole range."""
    small = cv2.resize(mask, (BLURRED_SIDE, BLURRED_SIDE))
    blurred = cv2.GaussianBlur(small, (kernel, kernel), 0)
    stretched = np.zeros_like(blurred)
    return np.asarray(cv2.normalize(blurred, stretched, 0, 255, cv2.NORM_MINMAX), np.uint8)
