"""Attention over time with rotary positions, a relative bias and a local window; shared by PBNet and the U-Net.

Source: Ho et al., "Video Diffusion Models" (2022), whose temporal attention DAWN keeps; Raffel et al., "T5" (2020), for
the relative bias; the local window is DAWN's section 3.3, for lengths beyond training.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import angles, frequencies, rotate
from torch import Tensor, nn


class Rotary(nn.Module):
    """Rotates the leading features of queries and keys by their frame number."""

    freqs: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("freqs", computed(lambda: frequencies(features // 2)))

    def forward(self, x: Tensor) -> Tensor:
        """Rotate (..., frames, width)."""
        turns = angles(torch.arange(x.shape[-2], device=x.device), self.freqs)
        if 2 * len(self.freqs) < x.shape[-1]:
            return rotate(x, turns)
        # Neighbouring features as one complex number: a single product where all features turn.
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(turns), turns)).flatten(-2)


class RelativePositionBias(nn.Module):
    """A learned bias for each bucket of distances in time, before and after apart."""

    def __init__(self, heads: int, num_buckets: int = 32, max_distance: int = 32) -> None:
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.relative_attention_bias = nn.Embedding(num_buckets, heads)

    def forward(self, frames: int, window: int | None = None) -> Tensor:
        """Return the bias by distance, key less query.

        Args:
            frames: Length F of the clip.
            window: Largest distance that is attended to; None for all.

        Returns:
            Shape (heads, 2 F - 1), for distances -(F - 1) to F - 1; minus infinity outside the window.
        """
        distances = torch.arange(1 - frames, frames, device=self.relative_attention_bias.weight.device)
        bias: Tensor = self.relative_attention_bias(distance_buckets(distances, self.num_buckets, self.max_distance)).T
        return bias if window is None else bias.masked_fill(distances.abs() > window, -math.inf)


def distance_buckets(distances: Tensor, count: int, max_distance: int) -> Tensor:
    """Return the bucket of each integer distance.

    Half of the buckets are for positive distances. In each half, half have one distance each and the others grow
    logarithmically up to `max_distance`, beyond which all share the last.
    """
    half = count // 2
    exact = half // 2
    magnitude = distances.abs()
    octaves = (magnitude.clamp(min=1) / exact).log() / math.log(max_distance / exact)
    wide = (exact + (octaves * (half - exact)).long()).clamp(max=half - 1)
    return half * (distances > 0) + torch.where(magnitude < exact, magnitude, wide)


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, window: int | None) -> Tensor:
    """Return attention over time, computed only where the window lets something through.

    Args:
        queries: Shape (N, heads, F, width).
        keys: Of the same shape.
        values: Of the same shape.
        bias: Shape (heads, 2 F - 1), by distance; minus infinity outside the window.
        window: Largest distance with a finite bias; None for all. Time and memory grow linearly with F where F is
            larger, and the result is that of the whole F x F attention.

    Returns:
        Of the same shape.
    """
    frames = queries.shape[-2]
    reach = frames if window is None else window
    parts = []
    for start in range(0, frames, max(reach, SMALLEST_BLOCK)):
        stop = min(start + max(reach, SMALLEST_BLOCK), frames)
        first, last = max(start - reach, 0), min(stop + reach, frames)
        distances = torch.arange(first, last)[None] - torch.arange(start, stop)[:, None]
        parts.append(
            F.scaled_dot_product_attention(
                queries[..., start:stop, :],
                keys[..., first:last, :],
                values[..., first:last, :],
                attn_mask=bias[None, :, distances.to(bias.device) + frames - 1],
            )
        )
    return torch.cat(parts, dim=-2)


SMALLEST_BLOCK = 16
"""Frames that are attended from at once where the window is narrower: smaller blocks cost more than they save."""


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Map (N, F, heads * width) to (N, heads, F, width)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-2, -3)


def join_heads(x: Tensor) -> Tensor:
    """Map (N, heads, F, width) to (N, F, heads * width)."""
    return x.transpose(-2, -3).flatten(-2)


class TemporalAttention(nn.Module):
    """Self-attention over time."""

    def __init__(self, width: int, heads: int, head_width: int, rotary: Rotary) -> None:
        super().__init__()
        self.heads = heads
        self.rotary_emb = rotary
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, x: Tensor, bias: Tensor, window: int | None) -> Tensor:
        """Map (N, F, width) to the same shape; `bias` and `window` as in `attend`."""
        queries, keys, values = (split_heads(part, self.heads) for part in self.to_qkv(x).chunk(3, dim=-1))
        attended = attend(self.rotary_emb(queries), self.rotary_emb(keys), values, bias, window)
        y: Tensor = self.to_out(join_heads(attended))
        return y


class ChannelNorm(nn.Module):
    """Layer norm over one axis, with a gain and no bias."""

    def __init__(self, shape: tuple[int, ...], axis: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(shape))
        self.axis, self.eps = axis, eps

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor that `shape` broadcasts to, to the same shape; its values then lie axis by axis in memory."""
        gain = self.gamma.flatten()
        return F.layer_norm(x.movedim(self.axis, -1), gain.shape, gain, eps=self.eps).movedim(-1, self.axis)


class PreNorm(nn.Module):
    """Normalises what `fn` is given."""

    def __init__(self, fn: nn.Module, norm: ChannelNorm) -> None:
        super().__init__()
        self.fn, self.norm = fn, norm

    def forward(self, x: Tensor, *context: Tensor | int | None) -> Tensor:
        """Apply `fn` to the normalised input."""
        y: Tensor = self.fn(self.norm(x), *context)
        return y


class Residual(nn.Module):
    """Adds what `fn` is given to what it gives."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, *context: Tensor | int | None) -> Tensor:
        """Apply `fn` and add."""
        y: Tensor = self.fn(x, *context)
        return x + y
