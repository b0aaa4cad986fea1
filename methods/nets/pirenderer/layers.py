"""Layers that the warping and the editing network share.

Source: RenYurui/PIRender, generators/base_function.py; the same in ali-vilab/dreamtalk.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Of every leaky ReLU."""
SHARED_WIDTH = 128
"""Values between the descriptor and the scales and shifts of a norm, as published."""


class Descriptor(NamedTuple):
    """Sizes of what modulates."""

    values: int
    """Of a descriptor."""
    shared: int = SHARED_WIDTH
    """Values between it and the scales and shifts of a norm."""


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU with the slope of PIRenderer."""
    return F.leaky_relu(x, SLOPE)


class LayerNorm2d(nn.Module):
    """Normalises over channels, height and width together, with an affine part for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return F.layer_norm(x, x.shape[1:]) * self.weight + self.bias


class AdaptiveInstanceNorm(nn.Module):
    """Instance norm whose scale and shift come from a descriptor (Huang and Belongie, ICCV 2017)."""

    def __init__(self, channels: int, descriptor: Descriptor) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Linear(descriptor.values, descriptor.shared), nn.ReLU())
        self.mlp_gamma = nn.Linear(descriptor.shared, channels)
        self.mlp_beta = nn.Linear(descriptor.shared, channels)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map (N, channels, H, W) under a descriptor (N, descriptor) to the same shape."""
        shared = self.mlp_shared(z)
        gamma, beta = (mlp(shared)[:, :, None, None] for mlp in (self.mlp_gamma, self.mlp_beta))
        normalised: Tensor = F.instance_norm(x) * (1 + gamma) + beta
        return normalised


class ConvBlock(nn.Module):
    """Convolution, layer norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), LayerNorm2d(outputs), nn.LeakyReLU(SLOPE)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        y: Tensor = self.model(x)
        return y


def widths(base: int, levels: int, most: int) -> list[int]:
    """Return the channels of `levels + 1` resolutions, doubling from `base` up to `most`."""
    return [min(base * 2**level, most) for level in range(levels + 1)]
