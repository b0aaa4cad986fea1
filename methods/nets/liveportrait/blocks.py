"""The convolution block that all of LivePortrait's face-vid2vid parts are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


def convolution3d(inputs: int, outputs: int, size: int, depth: int) -> nn.Conv3d:
    """Return a convolution of volumes that keeps their extent; one plane has no depth to look along."""
    across = size if depth > 1 else 1
    return nn.Conv3d(inputs, outputs, (across, size, size), padding=(across // 2, size // 2, size // 2))


class ConvBlock(nn.Module):
    """3-wide convolution, batch norm and an activation; over pictures, or over volumes of some depth."""

    def __init__(
        self, inputs: int, outputs: int, depth: int | None = None, activation: Callable[[Tensor], Tensor] = F.relu
    ) -> None:
        super().__init__()
        self.conv: nn.Module
        self.norm: nn.Module
        if depth is None:
            self.conv, self.norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        else:
            self.conv, self.norm = convolution3d(inputs, outputs, 3, depth), nn.BatchNorm3d(outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...) of the same extent."""
        return self.activation(self.norm(self.conv(x)))
