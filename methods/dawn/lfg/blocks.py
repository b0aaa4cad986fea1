"""What the networks of the latent flow generator are made of."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from thbench_methods.nets.building import computed
from torch import Tensor, nn


class ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        y: Tensor = self.norm(self.conv(x))
        return y.relu()


class DownBlock(ConvBlock):
    """A convolution block that halves the size."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return F.avg_pool2d(super().forward(x), 2)


class UpBlock(ConvBlock):
    """A convolution block that doubles the size first."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        return super().forward(F.interpolate(x, scale_factor=2))


class ResidualBlock(nn.Module):
    """Two convolutions in the order norm, ReLU, convolution, and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        y = self.conv1(F.relu(self.norm1(x)))
        change: Tensor = self.conv2(F.relu(self.norm2(y)))
        return x + change


class Encoder(nn.Module):
    """Down blocks; returns every resolution."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(DownBlock(inputs, outputs) for inputs, outputs in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, H, W) to itself and its halvings."""
        maps = [x]
        for block in self.down_blocks:
            maps.append(block(maps[-1]))
        return maps


class Decoder(nn.Module):
    """Up blocks with the encoder's maps behind their outputs."""

    def __init__(self, widths: list[int], last: int) -> None:
        super().__init__()
        middle = widths[-2:0:-1]
        inputs, outputs = [widths[-1], *(2 * width for width in middle)], [*middle, last]
        self.up_blocks = nn.ModuleList(UpBlock(i, o) for i, o in zip(inputs, outputs, strict=True))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the encoder's maps, finest first, to (N, last + C, H, W)."""
        *skips, x = maps
        for block, skip in zip(self.up_blocks, reversed(skips), strict=True):
            x = torch.cat((block(x), skip), dim=1)
        return x


class Hourglass(nn.Module):
    """A U-Net whose output keeps its input behind the features."""

    def __init__(self, inputs: int, block_expansion: int, num_blocks: int, max_features: int) -> None:
        super().__init__()
        widths = hourglass_widths(inputs, block_expansion, num_blocks, max_features)
        self.encoder = Encoder(widths)
        self.decoder = Decoder(widths, block_expansion)
        self.out_filters = block_expansion + inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, out_filters, H, W); both sides divisible by 2 ** num_blocks."""
        features: Tensor = self.decoder(self.encoder(x))
        return features


def hourglass_widths(inputs: int, block_expansion: int, num_blocks: int, max_features: int) -> list[int]:
    """Return the channels at each resolution of an encoder, the input's first."""
    return [inputs, *(min(max_features, block_expansion * 2**level) for level in range(1, num_blocks + 1))]


class AntiAliasedDown(nn.Module):
    """Gaussian blur, then one pixel of each stride."""

    weight: Tensor

    def __init__(self, channels: int, scale_factor: float) -> None:
        super().__init__()
        self.stride = round(1 / scale_factor)
        self.register_buffer("weight", computed(lambda: gaussian_kernel(self.stride).repeat(channels, 1, 1, 1)))
        self.padding = self.weight.shape[-1] // 2

    def forward(self, image: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, channels, H / stride, W / stride)."""
        return F.conv2d(image, self.weight, stride=self.stride, padding=self.padding, groups=image.shape[1])


def gaussian_kernel(stride: int) -> Tensor:
    """Return the (1, 1, S, S) kernel, of sum one, that blurs before one pixel of each `stride` is taken."""
    sigma = (stride - 1) / 2
    reach = round(4 * sigma)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    return (torch.outer(bell, bell) / bell.sum().square())[None, None]


def coordinate_grid(image: Tensor, *, centred: bool = False) -> Tensor:
    """Return (H, W, 2): x, y of each pixel of (N, C, H, W).

    Args:
        image: Of that size.
        centred: Whether -1 and 1 are the outer edges of the outermost pixels, and not their centres.
    """
    ends = [1 - 1 / size if centred else 1 for size in image.shape[2:]]
    rows, columns = (
        torch.linspace(-end, end, size, dtype=image.dtype, device=image.device)
        for end, size in zip(ends, image.shape[2:], strict=True)
    )
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def warp(image: Tensor, places: Tensor) -> Tensor:
    """Read an image (N, C, H, W) at `places` (N, h, w, 2), which are brought to its size first.

    Unless it is centred, the coordinate grid has its corners at the centres of the outermost pixels, and yet the image
    is sampled with `align_corners=False`: the published networks were trained with that mismatch. Outside the image is
    zero.
    """
    moved: Tensor = F.grid_sample(image, resized(places.movedim(3, 1), image).movedim(1, 3), align_corners=False)
    return moved


def resized(values: Tensor, like: Tensor) -> Tensor:
    """Return a map (N, C, h, w), bilinearly brought to the size of another where it differs."""
    size = like.shape[2:]
    return values if values.shape[2:] == size else F.interpolate(values, size=size, mode="bilinear")
