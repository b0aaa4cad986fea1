"""What the mini networks of frames and of clips are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Stem(nn.Module):
    """First layer: a 5x5 convolution that halves the picture."""

    FOLDS: ClassVar = (("conv", "bn"),)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return F.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., "Deep Residual Learning", CVPR 2016)."""

    FOLDS: ClassVar = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class OverTime(nn.Module):
    """A convolution over three neighbouring instants, beside a shortcut: the 1-D half of a (2+1)-D block.

    Source of the factorisation: Tran et al., "A Closer Look at Spatiotemporal Convolutions", CVPR 2018. Frames and
    positions are one axis each, so that it is a 2-D convolution with the channels last.
    """

    FOLDS: ClassVar = (("conv", "bn"),)

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, (3, 1), stride=(stride, 1), padding=(1, 0), bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.stride = stride

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Map (N * frames, channels, H, W) to (N * frames / stride, channels, H, W)."""
        _, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, frames, height * width, channels).permute(0, 3, 1, 2)
        rows = F.relu(rows[:, :, :: self.stride] + self.bn(self.conv(rows)))
        return rows.permute(0, 2, 3, 1).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
