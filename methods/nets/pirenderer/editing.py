"""The editing network: portrait and warped portrait to the frame.

Source: RenYurui/PIRender, generators/face_model.py:EditingNet.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from thbench_methods.nets.pirenderer.layers import SHARED_WIDTH, AdaptiveInstanceNorm, ConvBlock, Descriptor, widths
from torch import Tensor, nn


class Encoder(nn.Module):
    """Convolutions and average pools; returns every resolution."""

    def __init__(self, inputs: int, channels: list[int], kernel: int) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, channels[0], kernel)
        self.levels = len(channels) - 1
        for number, (narrow, wide) in enumerate(pairwise(channels)):
            self.add_module(f"down{number}", ConvBlock(narrow, wide))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (N, inputs, H, W) to maps, finest first."""
        maps = [self.first(images)]
        for number in range(self.levels):
            maps.append(F.avg_pool2d(getattr(self, f"down{number}")(maps[-1]), 2))
        return maps


class ResidualBlock(nn.Module):
    """A modulated convolution and the identity.

    The published block computes a first convolution and norm, too, and overwrites their result. Their weights lie
    unused in the checkpoint, and here where `unused` asks for them.
    """

    def __init__(self, channels: int, descriptor: Descriptor, *, unused: bool) -> None:
        super().__init__()
        if unused:
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if unused:
            self.norm1 = AdaptiveInstanceNorm(channels, descriptor)
        self.norm2 = AdaptiveInstanceNorm(channels, descriptor)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map (N, channels, H, W) under (N, descriptor) to the same shape."""
        return x.add(self.norm2(self.conv2(x), z))


class ResidualBlocks(nn.Module):
    """Several residual blocks in a row."""

    def __init__(self, blocks: int, channels: int, descriptor: Descriptor, *, unused: bool) -> None:
        super().__init__()
        for number in range(blocks):
            self.add_module(f"res{number}", ResidualBlock(channels, descriptor, unused=unused))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map (N, channels, H, W) under (N, descriptor) to the same shape."""
        for block in self.children():
            x = block(x, z)
        return x


class Final(nn.Module):
    """Convolution to the image and tanh."""

    def __init__(self, channels: int, image: int, kernel: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(channels, image, kernel, padding=kernel // 2), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, image, H, W), range (-1, 1)."""
        image: Tensor = self.model(x)
        return image


class Decoder(nn.Module):
    """At each level: residual blocks, up-sampling, and the encoder's map through a convolution, added."""

    def __init__(
        self, image: int, channels: list[int], blocks: int, descriptor: Descriptor, kernel: int, *, unused: bool
    ) -> None:
        super().__init__()
        self.levels = range(len(channels) - 2, -1, -1)
        for level in self.levels:
            fine, coarse = channels[level], channels[level + 1]
            self.add_module(f"up{level}", ConvBlock(coarse, fine))
            self.add_module(f"res{level}", ResidualBlocks(blocks, coarse, descriptor, unused=unused))
            self.add_module(f"jump{level}", ConvBlock(fine, fine))
        self.final = Final(channels[0], image, kernel)

    def forward(self, maps: list[Tensor], z: Tensor) -> Tensor:
        """Map the encoder's maps under (N, descriptor) to (N, image, H, W)."""
        x = maps[-1]
        for level in self.levels:
            up, blocks, jump = (getattr(self, f"{part}{level}") for part in ("up", "res", "jump"))
            x = up(F.interpolate(blocks(x, z), scale_factor=2)) + jump(maps[level])
        frame: Tensor = self.final(x)
        return frame


class EditingNetwork(nn.Module):
    """Repairs what warping cannot make."""

    def __init__(
        self,
        image_nc: int = 3,
        descriptor_nc: int = 256,
        base_nc: int = 64,
        max_nc: int = 256,
        layer: int = 3,
        num_res_blocks: int = 2,
        *,
        inputs: int | None = None,
        kernel: int = 7,
        shared_nc: int = SHARED_WIDTH,
        unused: bool = True,
    ) -> None:
        """Make the network; the defaults are the published sizes.

        Args:
            image_nc: Channels that are made.
            descriptor_nc: Values of a descriptor.
            base_nc: Channels at full resolution; each halving doubles them.
            max_nc: Most channels.
            layer: Halvings.
            num_res_blocks: Residual blocks of each resolution.
            inputs: Channels that are read; None for two images, as published.
            kernel: Side of the first and of the last convolution.
            shared_nc: Values between descriptor and norms.
            unused: Whether to hold the weights that the published checkpoint has and nothing reads.
        """
        super().__init__()
        channels, descriptor = widths(base_nc, layer, max_nc), Descriptor(descriptor_nc, shared_nc)
        self.encoder = Encoder(2 * image_nc if inputs is None else inputs, channels, kernel)
        self.decoder = Decoder(image_nc, channels, num_res_blocks, descriptor, kernel, unused=unused)

    def forward(self, image: Tensor, warped: Tensor, z: Tensor) -> Tensor:
        """Map the portrait and the warped portrait (N, 3, H, W) under (N, descriptor_nc) to the frame (N, 3, H, W)."""
        frame: Tensor = self.decoder(self.encoder(torch.cat((image, warped), dim=1)), z)
        return frame
