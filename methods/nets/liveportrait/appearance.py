"""The appearance extractor F: portrait to a 3-D feature volume.

Source: KwaiVGI/LivePortrait, src/modules/appearance_feature_extractor.py; the volume is that of Wang et al., "One-Shot
Free-View Neural Talking-Head Synthesis for Video Conferencing", CVPR 2021.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from thbench_methods.nets.liveportrait.blocks import ConvBlock, convolution3d
from torch import Tensor, nn


class ResidualBlock3d(nn.Module):
    """Two convolutions in the order norm, ReLU, convolution, and the identity."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.conv1 = convolution3d(channels, channels, 3, depth)
        self.conv2 = convolution3d(channels, channels, 3, depth)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, D, H, W) to the same shape."""
        y = self.conv1(F.relu(self.norm1(x)))
        return x.add(self.conv2(F.relu(self.norm2(y))))


class AppearanceExtractor(nn.Module):
    """Down-sampling convolutions, then channels unfolded into depth, then 3-D residual blocks."""

    def __init__(
        self,
        image_channel: int = 3,
        block_expansion: int = 64,
        num_down_blocks: int = 2,
        max_features: int = 512,
        reshape_channel: int = 32,
        reshape_depth: int = 16,
        num_resblocks: int = 6,
    ) -> None:
        super().__init__()
        self.volume_shape = (reshape_channel, reshape_depth)
        widths = [min(max_features, block_expansion * 2**level) for level in range(num_down_blocks + 1)]
        self.first = ConvBlock(image_channel, widths[0])
        self.down_blocks = nn.ModuleList(ConvBlock(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.second = nn.Conv2d(widths[-1], reshape_channel * reshape_depth, 1)
        self.resblocks_3d = nn.Sequential()
        for number in range(num_resblocks):
            self.resblocks_3d.add_module(f"3dr{number}", ResidualBlock3d(reshape_channel, reshape_depth))

    def forward(self, image: Tensor) -> Tensor:
        """Return the feature volume of a portrait.

        Args:
            image: Shape (N, 3, H, W), RGB in [0, 1]; published for 256 x 256.

        Returns:
            Shape (N, reshape_channel, reshape_depth, H / 4, W / 4).
        """
        x = self.first(image)
        for block in self.down_blocks:
            x = F.avg_pool2d(block(x), 2)
        volume: Tensor = self.resblocks_3d(self.second(x).unflatten(1, self.volume_shape))
        return volume
