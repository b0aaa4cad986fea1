"""The convolution block that all of LivePortrait's face-vid2vid parts are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class ConvBlock(nn.Module):
    """3-wide convolution, batch norm and an activation, in two or three dimensions."""

    def __init__(
        self, inputs: int, outputs: int, dimensions: int, activation: Callable[[Tensor], Tensor] = F.relu
    ) -> None:
        super().__init__()
        self.conv = (nn.Conv3d if dimensions == 3 else nn.Conv2d)(inputs, outputs, 3, padding=1)
        self.norm = (nn.BatchNorm3d if dimensions == 3 else nn.BatchNorm2d)(outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...) of the same extent."""
        return self.activation(self.norm(self.conv(x)))
