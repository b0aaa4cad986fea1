"""The warping network: portrait and descriptor to a coarse flow, and the portrait moved by it.

Source: RenYurui/PIRender, generators/face_model.py:WarpingNet and generators/flow_util.py.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from thbench_methods.nets.pirenderer.layers import (
    SHARED_WIDTH,
    SLOPE,
    AdaptiveInstanceNorm,
    Descriptor,
    LayerNorm2d,
    activate,
    widths,
)
from torch import Tensor, nn


class EncoderBlock(nn.Module):
    """Halves the resolution."""

    def __init__(self, inputs: int, outputs: int, descriptor: Descriptor) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
        self.conv_1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm_0 = AdaptiveInstanceNorm(inputs, descriptor)
        self.norm_1 = AdaptiveInstanceNorm(outputs, descriptor)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map (N, inputs, H, W) under (N, descriptor) to (N, outputs, H / 2, W / 2)."""
        y = self.conv_0(activate(self.norm_0(x, z)))
        half: Tensor = self.conv_1(activate(self.norm_1(y, z)))
        return half


class DecoderBlock(nn.Module):
    """Doubles the resolution, by transposed convolutions on the main path and on the shortcut."""

    def __init__(self, inputs: int, outputs: int, descriptor: Descriptor) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv_1 = nn.ConvTranspose2d(outputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.conv_s = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.norm_0 = AdaptiveInstanceNorm(inputs, descriptor)
        self.norm_1 = AdaptiveInstanceNorm(outputs, descriptor)
        self.norm_s = AdaptiveInstanceNorm(inputs, descriptor)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map (N, inputs, H, W) under (N, descriptor) to (N, outputs, 2 H, 2 W)."""
        y = self.conv_0(activate(self.norm_0(x, z)))
        y = self.conv_1(activate(self.norm_1(y, z)))
        doubled: Tensor = y + self.conv_s(activate(self.norm_s(x, z)))
        return doubled


class Encoder(nn.Module):
    """Input convolution and down blocks; returns every resolution."""

    def __init__(self, image: int, channels: list[int], descriptor: Descriptor, kernel: int) -> None:
        super().__init__()
        self.input_layer = nn.Conv2d(image, channels[0], kernel, padding=kernel // 2)
        for number, (inputs, outputs) in enumerate(pairwise(channels)):
            self.add_module(f"encoder{number}", EncoderBlock(inputs, outputs, descriptor))
        self.levels = len(channels) - 1

    def forward(self, image: Tensor, z: Tensor) -> list[Tensor]:
        """Map (N, image, H, W) under (N, descriptor) to maps, finest first."""
        maps = [self.input_layer(image)]
        for number in range(self.levels):
            maps.append(getattr(self, f"encoder{number}")(maps[-1], z))
        return maps


class Decoder(nn.Module):
    """Up blocks from the coarsest resolution, each followed by the encoder's map behind its output."""

    def __init__(self, channels: list[int], levels: int, descriptor: Descriptor) -> None:
        super().__init__()
        self.numbers = range(len(channels) - 2, len(channels) - 2 - levels, -1)
        inputs = channels[-1]
        for number in self.numbers:
            self.add_module(f"decoder{number}", DecoderBlock(inputs, channels[number], descriptor))
            inputs = 2 * channels[number]
        self.out_channels = inputs

    def forward(self, maps: list[Tensor], z: Tensor) -> Tensor:
        """Map the encoder's maps under (N, descriptor) to (N, out_channels, h, w)."""
        x = maps[-1]
        for number in self.numbers:
            x = torch.cat((getattr(self, f"decoder{number}")(x, z), maps[number]), dim=1)
        return x


class Hourglass(nn.Module):
    """Encoder and decoder, conditioned everywhere on the descriptor."""

    def __init__(
        self, image: int, channels: list[int], decoder_layer: int, descriptor: Descriptor, kernel: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(image, channels, descriptor, kernel)
        self.decoder = Decoder(channels, decoder_layer, descriptor)

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        """Map (N, image, H, W) under (N, descriptor) to (N, decoder.out_channels, h, w)."""
        features: Tensor = self.decoder(self.encoder(image, z), z)
        return features


class WarpingNetwork(nn.Module):
    """Flow at a quarter of the resolution (as published)."""

    def __init__(
        self,
        image_nc: int = 3,
        descriptor_nc: int = 256,
        base_nc: int = 32,
        max_nc: int = 256,
        encoder_layer: int = 5,
        decoder_layer: int = 3,
        *,
        kernel: int = 7,
        shared_nc: int = SHARED_WIDTH,
    ) -> None:
        super().__init__()
        channels, descriptor = widths(base_nc, encoder_layer, max_nc), Descriptor(descriptor_nc, shared_nc)
        self.hourglass = Hourglass(image_nc, channels, decoder_layer, descriptor, kernel)
        features = self.hourglass.decoder.out_channels
        flow = nn.Conv2d(features, 2, kernel, padding=kernel // 2)
        self.flow_out = nn.Sequential(LayerNorm2d(features), nn.LeakyReLU(SLOPE), flow)

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        """Return the flow.

        Args:
            image: Shape (N, 3, H, W), RGB in [-1, 1].
            z: Shape (N, descriptor_nc).

        Returns:
            Shape (N, 2, H / 4, W / 4): x and y, in its own pixels.
        """
        flow: Tensor = self.flow_out(self.hourglass(image, z))
        return flow


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Move an image (N, C, H, W) by a flow (N, 2, h, w) in pixels of the flow.

    The grid to which the flow is added has its corners at the centres of the outermost pixels, and yet it is resized
    and sampled with `align_corners=False`: the published networks were trained with that mismatch.
    """
    height, width = flow.shape[2:]
    axes = [torch.linspace(-1, 1, size, dtype=flow.dtype, device=flow.device) for size in (width, height)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="xy"))
    pixels = torch.tensor([width - 1, height - 1], dtype=flow.dtype, device=flow.device)[:, None, None]
    places = F.interpolate(grid + 2 * flow / pixels, size=image.shape[2:], mode="bilinear", align_corners=False)
    return F.grid_sample(image, places.permute(0, 2, 3, 1), align_corners=False)
