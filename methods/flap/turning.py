"""Where a head goes in the picture when it turns: the small preset's base of what is denoised.

The project's own: what is denoised are changes of the portrait, and where the head turns far, most of the change would
be that it went elsewhere. A linear map tells turn, scale and shift of the head in the picture from how its rotation
differs from the portrait's; the portrait is moved by it before changes are told. In training it is moved to where the
head is in the frame: heads are also shifted by themselves, which the rotation does not tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.hallo.portrait import moved
from torch import Tensor, nn

from thbench.metrics.jitter import STEADY

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIDGE = 1e-3
"""Added to the mean squares of the rotation, radians squared."""


class Turning(nn.Module):
    """The map, as `keep` finds it; without it heads stay where they are."""

    weight: Tensor
    """Shape (rotation, 4): real and imaginary part by which points about their middle are multiplied more than once,
    and shift of the middle in spreads of the points."""

    def __init__(self, rotation: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(rotation, 4))

    @torch.no_grad()
    def keep(self, rotation: Tensor, landmarks: Tensor) -> None:
        """Fit the map to pairs of a clip's frames by least squares.

        Args:
            rotation: Of all frames, (clips, frames, rotation).
            landmarks: Their 68 points, (clips, frames, 68, 2), in any unit.
        """
        points = torch.view_as_complex(landmarks[:, :, list(STEADY)].double().contiguous())
        middle = points.mean(dim=-1)
        about = points - middle[..., None]
        spread = about.abs().square().mean(dim=-1).sqrt()
        squares = torch.zeros(rotation.shape[-1], rotation.shape[-1], dtype=torch.float64)
        products = torch.zeros(rotation.shape[-1], 4, dtype=torch.float64)
        portraits = (0, rotation.shape[1] // 2, rotation.shape[1] - 1)
        for first in portraits:
            own = about[:, first : first + 1]
            turned = (own.conj() * about).sum(dim=-1) / own.abs().square().sum(dim=-1)
            shift = (middle - middle[:, first : first + 1]) / spread[:, first : first + 1]
            told = torch.stack((turned.real - 1, turned.imag, shift.real, shift.imag), dim=-1).flatten(0, 1)
            known = (rotation - rotation[:, first : first + 1]).double().flatten(0, 1)
            squares += known.T @ known
            products += known.T @ told
        count = len(portraits) * rotation.shape[0] * rotation.shape[1]
        ridge = RIDGE * count * torch.eye(len(squares), dtype=torch.float64)
        self.weight.copy_(torch.linalg.solve(squares + ridge, products))

    def points(self, points: NDArray[np.floating], difference: Tensor) -> NDArray[np.float64]:
        """Return where points of a portrait are when the head has turned, (F, m, 2).

        Args:
            points: Shape (m, 2).
            difference: Of the rotation from the portrait's, (F, rotation).
        """
        told = (difference.double().cpu() @ self.weight.double().cpu()).numpy()
        flat = np.asarray(points, np.float64) @ (1, 1j)
        middle = flat.mean()
        spread = np.sqrt(np.mean(np.abs(flat - middle) ** 2))
        factor, shift = 1 + told[:, 0] + 1j * told[:, 1], spread * (told[:, 2] + 1j * told[:, 3])
        gone = middle + shift[:, None] + factor[:, None] * (flat - middle)
        return np.stack((gone.real, gone.imag), axis=-1)

    def based(self, picture: NDArray[np.uint8], landmarks: NDArray[np.floating], difference: Tensor) -> Tensor:
        """Return the portrait with its head where it goes, (F, 3, size, size), range [-1, 1].

        Args:
            picture: Shape (size, size, 3).
            landmarks: Its 68 points, (68, 2), in shares of the picture.
            difference: Of the rotation from the portrait's, (F, rotation).
        """
        before = len(picture) * np.asarray(landmarks, np.float64)[list(STEADY)]
        return _led(picture, landmarks, self.points(before, difference))


def placed(picture: NDArray[np.uint8], landmarks: NDArray[np.floating], frames: NDArray[np.floating]) -> Tensor:
    """Return a portrait with its head where it truly is in some frames, (F, 3, size, size), range [-1, 1].

    Training knows it, and no coefficient tells how a head is shifted.

    Args:
        picture: Shape (size, size, 3).
        landmarks: Its 68 points, (68, 2); all points are in shares of the picture.
        frames: Those of each frame, (F, 68, 2).
    """
    return _led(picture, landmarks, len(picture) * np.asarray(frames, np.float64)[:, list(STEADY)])


def _led(picture: NDArray[np.uint8], landmarks: NDArray[np.floating], after: NDArray[np.float64]) -> Tensor:
    """Return a portrait whose points `STEADY` are moved to others (F, m, 2), pixels; see `placed`."""
    known = np.asarray(landmarks, np.float64)
    heads = moved(picture, known, len(picture) * known[list(STEADY)], after)
    return torch.from_numpy(heads).permute(0, 3, 1, 2).float() / 127.5 - 1
