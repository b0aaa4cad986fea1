"""Doses of damage at a fixed place and scale of the features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

GAIN = 4.0
"""How far features move when a dose goes from none to full. A distance of undamaged people is about as large."""


class FixedReadout(nn.Module):
    """Reads doses off features along directions that are not trained.

    A trained layer may read a dose off the faintest trace of it, and a distance of features would not see it. Here the
    features themselves must move: a full dose by `GAIN`.
    """

    directions: Tensor

    def __init__(self, features: int, kinds: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        square = torch.linalg.qr(torch.randn(features, kinds, generator=random))[0]
        self.register_buffer("directions", square.T.contiguous())
        self.offset = nn.Parameter(torch.zeros(kinds))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, d) to doses (N, kinds), each from 0 to 1."""
        return F.linear(features, self.directions) / GAIN + self.offset


def error(name: str, told: Tensor, target: Tensor) -> Tensor:
    """Mean error of one kind of truth: squared for doses, most of which are zero, otherwise smooth L1."""
    return F.mse_loss(told, target) if name == "damage" else F.smooth_l1_loss(told, target, beta=0.1)
