"""The resizes that the FID and FVD tools apply before their networks, as pure functions.

All take float images (N, C, H, W) and do not keep the aspect unless they say so. Differences between them are the
largest part of the differences between tools. Sources: mseitzer/pytorch-fid, inception.py; toshas/torch-fidelity 0.4,
feature_extractor_inceptionv3.py; Lightning-AI/torchmetrics 1.9, image/fid.py; GaParmar/clean-fid 0.1.35, resize.py;
wilson1yan/VideoGPT, videogpt/data.py.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
"""Rows and columns."""


def bilinear(images: Tensor, size: Size) -> Tensor:
    """Bilinear interpolation between pixel centres, without antialias (pytorch-fid, StyleGAN-V)."""
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def bilinear_antialias(images: Tensor, size: Size) -> Tensor:
    """Bilinear interpolation whose triangle widens with the reduction (torchmetrics)."""
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def bicubic_antialias(images: Tensor, size: Size) -> Tensor:
    """Pillow's bicubic filter (a = -0.5) in float, clipped to [0, 255] (clean-fid).

    Pillow weighs in float64 and stores float32; weights in float32 would be off by up to 1e-5 of the range.
    """
    resized = F.interpolate(images.double(), size=size, mode="bicubic", align_corners=False, antialias=True)
    return resized.to(images.dtype).clamp(0, 255)


def bilinear_tf1(images: Tensor, size: Size) -> Tensor:
    """TensorFlow 1's bilinear interpolation: no half-pixel shift, corners not aligned (torch-fidelity)."""
    rows, columns = images.shape[2:]
    top, bottom, down = _tf1_taps(rows, size[0], images)
    left, right, across = _tf1_taps(columns, size[1], images)
    wide = _between(images[..., left], images[..., right], across)
    return _between(wide[..., top, :], wide[..., bottom, :], down[:, None])


def _tf1_taps(inputs: int, outputs: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each output the two inputs that it lies between and how far it is from the first."""
    position = torch.arange(outputs, dtype=like.dtype, device=like.device) * (inputs / outputs)
    first = position.floor()
    index = first.long()
    return index, (index + 1).clamp_max(inputs - 1), position - first


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return first + (second - first) * share


def shorter_side_then_crop(images: Tensor, side: int) -> Tensor:
    """Bring the shorter side to `side`, the longer one rounded up, no antialias; then cut the centre (VideoGPT)."""
    rows, columns = images.shape[2:]
    scale = side / min(rows, columns)
    size = (side, math.ceil(columns * scale)) if rows < columns else (math.ceil(rows * scale), side)
    resized = bilinear(images, size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return resized[..., top : top + side, left : left + side]
