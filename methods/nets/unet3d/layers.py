"""Convolutional parts of the UNet family, in the key names of Stable Diffusion's published files.

Source: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022;
huggingface/diffusers, models/resnet.py and models/embeddings.py. Video enters as images: the frames of a batch are
flattened to (B F), so every group norm is over one frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from thbench_methods.nets.embeddings import angles, frequencies
from torch import Tensor, nn

TIME_FACTOR = 4
"""Width of the time embedding over the width of the first level."""


class TimeEmbedding(nn.Module):
    """Sinusoids of the time (cosine first), then two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear_1 = nn.Linear(width, TIME_FACTOR * width)
        self.linear_2 = nn.Linear(TIME_FACTOR * width, TIME_FACTOR * width)

    def forward(self, times: Tensor) -> Tensor:
        """Map times (B,), of any real type and on any device, to (B, 4 width)."""
        weight = self.linear_1.weight
        turns = angles(times.to(weight.device, torch.float32), frequencies(self.width // 2).to(weight.device))
        waves = torch.cat((turns.cos(), turns.sin()), dim=-1).to(weight.dtype)
        embedded: Tensor = self.linear_2(F.silu(self.linear_1(waves)))
        return embedded


class ResnetBlock(nn.Module):
    """Two convolutions around the time embedding, and the identity."""

    def __init__(self, inputs: int, outputs: int, time: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=1e-5)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=1e-5)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w).

        Args:
            x: The images.
            time: Shape (B, 4 width), embedded; image i belongs to row i // (N / B).
        """
        shift = self.time_emb_proj(F.silu(time)).repeat_interleave(len(x) // len(time), dim=0)
        hidden: Tensor = self.conv1(F.silu(self.norm1(x))) + shift[:, :, None, None]
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        return hidden + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Downsample(nn.Module):
    """Halves height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, C, ceil(h / 2), ceil(w / 2))."""
        smaller: Tensor = self.conv(x)
        return smaller


class Upsample(nn.Module):
    """Repeats pixels, then convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (N, C, h, w) to (N, C, *size)."""
        larger: Tensor = self.conv(F.interpolate(x, size=size, mode="nearest"))
        return larger
