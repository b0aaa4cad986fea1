"""Sinusoids of times and positions, and the rotary embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def frequencies(count: int, base: float = 10_000.0, *, reach_base: bool = False) -> Tensor:
    """Return (count,) falling frequencies base^(-i / count), the first of them 1.

    Args:
        count: How many.
        base: Their range.
        reach_base: The last is 1 / base: base^(-i / (count - 1)).
    """
    exponents = torch.arange(count, dtype=torch.float32) / (count - 1 if reach_base else count)
    return torch.exp(-math.log(base) * exponents)


def angles(positions: Tensor, rates: Tensor) -> Tensor:
    """Return (..., count): positions (...) times frequencies (count,)."""
    return positions[..., None].to(rates.dtype) * rates


def position_table(length: int, width: int) -> Tensor:
    """Return (length, width): sine on even, cosine on odd channels (Vaswani et al. 2017, section 3.5)."""
    turns = angles(torch.arange(length), frequencies(width // 2))
    return torch.stack((turns.sin(), turns.cos()), dim=-1).flatten(1)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate neighbouring pairs of the leading features (Su et al., RoFormer, equation 34).

    Args:
        x: Shape (..., length, features).
        turns: Shape (length, pairs), angles; features beyond the first 2 pairs stay as they are.
    """
    size = 2 * turns.shape[-1]
    first, second = x[..., 0:size:2], x[..., 1:size:2]
    cos, sin = turns.cos(), turns.sin()
    pairs = torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return torch.cat((pairs.flatten(-2), x[..., size:]), dim=-1)
