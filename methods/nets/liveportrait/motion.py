"""The motion extractor M: portrait to head pose, expression and canonical key-points.

Source: KwaiVGI/LivePortrait, src/modules/motion_extractor.py and convnextv2.py; Woo et al., "ConvNeXt V2", CVPR 2023.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADS = ("kp", "scale", "pitch", "yaw", "roll", "t", "exp")
EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each place by its channels."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class GlobalResponseNorm(nn.Module):
    """Weighs channels by their share of the response over the whole map (ConvNeXt V2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, width) to the same shape."""
        response = x.norm(dim=(1, 2), keepdim=True)
        share = response / (response.mean(dim=-1, keepdim=True) + EPSILON)
        scaled: Tensor = self.gamma * (x * share) + self.beta + x
        return scaled


class Block(nn.Module):
    """Depthwise 7 x 7 convolution, then a network over channels, with the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.grn = GlobalResponseNorm(4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        y = self.norm(self.dwconv(x).movedim(1, -1))
        y = self.pwconv2(self.grn(F.gelu(self.pwconv1(y)))).movedim(-1, 1)
        return x.add(y)


class ConvNeXtV2(nn.Module):
    """ConvNeXt V2 with one linear head for each motion parameter."""

    def __init__(self, num_kp: int, depths: Sequence[int], widths: Sequence[int], num_bins: int) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), ChannelNorm(widths[0], eps=EPSILON))
        between = (
            nn.Sequential(ChannelNorm(inputs, eps=EPSILON), nn.Conv2d(inputs, outputs, 2, stride=2))
            for inputs, outputs in pairwise(widths)
        )
        self.downsample_layers = nn.ModuleList([stem, *between])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth))) for width, depth in zip(widths, depths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=EPSILON)
        sizes = {"kp": 3 * num_kp, "exp": 3 * num_kp, "scale": 1, "t": 3}
        for head in HEADS:
            self.add_module(f"fc_{head}", nn.Linear(widths[-1], sizes.get(head, num_bins)))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map (N, 3, H, W) to each head's raw output."""
        x = image
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        features = self.norm(x.mean(dim=(2, 3)))
        return {head: getattr(self, f"fc_{head}")(features) for head in HEADS}


class MotionExtractor(nn.Module):
    """ConvNeXt V2 (tiny as published) under the name that it has in the checkpoint."""

    def __init__(
        self,
        num_kp: int = 21,
        depths: Sequence[int] = (3, 3, 9, 3),
        widths: Sequence[int] = (96, 192, 384, 768),
        num_bins: int = 66,
    ) -> None:
        super().__init__()
        self.detector = ConvNeXtV2(num_kp, depths, widths, num_bins)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the motion parameters of a portrait.

        Args:
            image: Shape (N, 3, H, W), RGB in [0, 1]; published for 256 x 256.

        Returns:
            `pitch`, `yaw`, `roll`: (N, num_bins) logits, see `keypoints.bins_to_degrees`; `t`: (N, 3); `scale`: (N, 1);
            `exp`, `kp`: (N, 3 num_kp) expression offsets and canonical key-points, key-point major.
        """
        motion: dict[str, Tensor] = self.detector(image)
        return motion
