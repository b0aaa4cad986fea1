"""The generator G: warped feature map to the frame, by SPADE residual blocks.

Source: KwaiVGI/LivePortrait, src/modules/spade_generator.py; Park et al., "Semantic Image Synthesis with
Spatially-Adaptive Normalization", CVPR 2019.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

SLOPE = 0.2
SHARED_WIDTH = 128


class SpatiallyAdaptiveNorm(nn.Module):
    """Instance norm whose scale and shift at each place come from a map."""

    def __init__(self, width: int, map_width: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(map_width, SHARED_WIDTH, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(SHARED_WIDTH, width, 3, padding=1)
        self.mlp_beta = nn.Conv2d(SHARED_WIDTH, width, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Map (N, width, H, W) under a map (N, map_width, h, w) to the same shape."""
        shared = self.mlp_shared(F.interpolate(guide, size=x.shape[2:]))
        normalised: Tensor = F.instance_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)
        return normalised


class SpadeResidualBlock(nn.Module):
    """Two spectrally normalised convolutions behind SPADE norms; the shortcut is learned where the width changes."""

    def __init__(self, inputs: int, outputs: int, map_width: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0 = SpatiallyAdaptiveNorm(inputs, map_width)
        self.norm_1 = SpatiallyAdaptiveNorm(middle, map_width)
        self.learned_shortcut = inputs != outputs
        if self.learned_shortcut:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = SpatiallyAdaptiveNorm(inputs, map_width)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Map (N, inputs, H, W) under a map (N, map_width, h, w) to (N, outputs, H, W)."""
        y = self.conv_0(F.leaky_relu(self.norm_0(x, guide), SLOPE))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, guide), SLOPE))
        shortcut = self.conv_s(self.norm_s(x, guide)) if self.learned_shortcut else x
        merged: Tensor = shortcut + y
        return merged


class SpadeGenerator(nn.Module):
    """Six blocks at the size of the feature map, two up-sampling blocks, then a pixel shuffle."""

    MIDDLE_BLOCKS = 6

    def __init__(
        self, upscale: int = 2, block_expansion: int = 64, max_features: int = 512, num_down_blocks: int = 2
    ) -> None:
        super().__init__()
        width = min(max_features, block_expansion * 2**num_down_blocks)
        self.fc = nn.Conv2d(width, 2 * width, 3, padding=1)
        for number in range(self.MIDDLE_BLOCKS):
            self.add_module(f"G_middle_{number}", SpadeResidualBlock(2 * width, 2 * width, width))
        self.up_0 = SpadeResidualBlock(2 * width, width, width)
        self.up_1 = SpadeResidualBlock(width, block_expansion, width)
        self.conv_img = nn.Sequential(
            nn.Conv2d(block_expansion, 3 * upscale**2, 3, padding=1), nn.PixelShuffle(upscale)
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Return frames.

        Args:
            feature: Shape (N, C, H, W), from the warping network; it is the input and the map of every SPADE norm.

        Returns:
            Shape (N, 3, 4 upscale H, 4 upscale W), RGB in (0, 1).
        """
        x = self.fc(feature)
        for number in range(self.MIDDLE_BLOCKS):
            x = getattr(self, f"G_middle_{number}")(x, feature)
        for block in (self.up_0, self.up_1):
            x = block(F.interpolate(x, scale_factor=2), feature)
        image: Tensor = self.conv_img(F.leaky_relu(x, SLOPE))
        return image.sigmoid()
