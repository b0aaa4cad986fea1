"""The generator G: warped feature map to the frame, by SPADE residual blocks.

Source: KwaiVGI/LivePortrait, src/modules/spade_generator.py; Park et al., "Semantic Image Synthesis with
Spatially-Adaptive Normalization", CVPR 2019.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

SLOPE = 0.2
SHARED_WIDTH = 128
DARKEST = 1 / 64
"""Of a warped portrait as logits, which would be infinite at 0."""


class SpatiallyAdaptiveNorm(nn.Module):
    """Instance norm whose scale and shift at each place come from a map."""

    def __init__(self, width: int, map_width: int, shared_width: int = SHARED_WIDTH) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(map_width, shared_width, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(shared_width, width, 3, padding=1)
        self.mlp_beta = nn.Conv2d(shared_width, width, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Map (N, width, H, W) under a map (N, map_width, h, w) to the same shape."""
        shared = self.mlp_shared(F.interpolate(guide, size=x.shape[2:]))
        normalised: Tensor = F.instance_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)
        return normalised


class SpadeResidualBlock(nn.Module):
    """Two spectrally normalised convolutions behind SPADE norms; the shortcut is learned where the width changes."""

    def __init__(self, inputs: int, outputs: int, map_width: int, shared_width: int = SHARED_WIDTH) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0 = SpatiallyAdaptiveNorm(inputs, map_width, shared_width)
        self.norm_1 = SpatiallyAdaptiveNorm(middle, map_width, shared_width)
        self.learned_shortcut = inputs != outputs
        if self.learned_shortcut:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = SpatiallyAdaptiveNorm(inputs, map_width, shared_width)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Map (N, inputs, H, W) under a map (N, map_width, h, w) to (N, outputs, H, W)."""
        y = self.conv_0(F.leaky_relu(self.norm_0(x, guide), SLOPE))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, guide), SLOPE))
        shortcut = self.conv_s(self.norm_s(x, guide)) if self.learned_shortcut else x
        merged: Tensor = shortcut + y
        return merged


class SpadeGenerator(nn.Module):
    """Blocks at the size of the feature map, up-sampling blocks, then a pixel shuffle; six and two as published."""

    def __init__(
        self,
        upscale: int = 2,
        block_expansion: int = 64,
        max_features: int = 512,
        num_down_blocks: int = 2,
        middle_blocks: int = 6,
        up_blocks: int = 2,
        shared_width: int = SHARED_WIDTH,
        refines: bool = False,
    ) -> None:
        super().__init__()
        self.refines = refines
        width = min(max_features, block_expansion * 2**num_down_blocks)
        self.fc = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.middle_blocks, self.up_blocks = middle_blocks, up_blocks
        for number in range(middle_blocks):
            self.add_module(f"G_middle_{number}", SpadeResidualBlock(2 * width, 2 * width, width, shared_width))
        widths = [2 * width, *(width // 2**n for n in range(up_blocks - 1)), *[block_expansion] * (up_blocks > 0)]
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            self.add_module(f"up_{number}", SpadeResidualBlock(inputs, outputs, width, shared_width))
        last = nn.Conv2d(widths[-1], 3 * upscale**2, 3, padding=1)
        if refines:  # begins with the warped portrait
            for weights in last.parameters():
                nn.init.zeros_(weights)
        self.conv_img = nn.Sequential(last, nn.PixelShuffle(upscale))

    def forward(self, feature: Tensor, moved: Tensor | None = None) -> Tensor:
        """Return frames.

        Args:
            feature: Shape (N, C, H, W), from the warping network; it is the input and the map of every SPADE norm.
            moved: Shape (N, 3, f H, f W), RGB in [0, 1]: the portrait, warped. Only a generator that `refines`, which
                the published one does not, reads it: its picture is added to this one, both as logits.

        Returns:
            Shape (N, 3, f H, f W), RGB in (0, 1), where f = 2^up_blocks upscale.
        """
        x = self.fc(feature)
        for number in range(self.middle_blocks):
            x = getattr(self, f"G_middle_{number}")(x, feature)
        for number in range(self.up_blocks):
            x = getattr(self, f"up_{number}")(F.interpolate(x, scale_factor=2), feature)
        image: Tensor = self.conv_img(F.leaky_relu(x, SLOPE))
        if not self.refines:
            return image.sigmoid()
        if moved is None:
            raise ValueError("a generator that refines needs the warped portrait")
        return (image + moved.clamp(DARKEST, 1 - DARKEST).logit()).sigmoid()
