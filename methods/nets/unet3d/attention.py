"""Attention and feed-forward of the UNet family, in the key names of huggingface/diffusers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention: queries, keys and values without bias, output with bias."""

    def __init__(self, width: int, context: int | None = None, inner: int | None = None, heads: int = 8) -> None:
        """Make the projections.

        Args:
            width: Values of a query token, and of an output token.
            context: Values of a token that is attended to; `width` unless stated.
            inner: Values over all heads; `width` unless stated.
            heads: How many.
        """
        super().__init__()
        self.heads = heads
        inner = inner or width
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(context or width, inner, bias=False)
        self.to_v = nn.Linear(context or width, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, width)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what each token of `x` (N, L, width) takes from `context` (N, M, context), or from `x` itself."""
        context = x if context is None else context
        mixed = attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads)
        output: Tensor = self.to_out[0](mixed)
        return output


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention of projected tokens (N, L, inner), (N, M, inner), (N, M, inner) to (N, L, inner)."""
    q, k, v = (split_heads(tokens, heads) for tokens in (query, key, value))
    return join_heads(F.scaled_dot_product_attention(q, k, v))


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """(N, L, heads * d) to (N, heads, L, d)."""
    return tokens.reshape(*tokens.shape[:2], heads, -1).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """(N, heads, L, d) to (N, L, heads * d)."""
    return tokens.transpose(1, 2).flatten(-2)


class _GEGLU(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class FeedForward(nn.Module):
    """Linear layers around a gated GELU (Shazeer, "GLU Variants Improve Transformer", 2020)."""

    def __init__(self, width: int, factor: int = 4) -> None:
        super().__init__()
        hidden = factor * width
        # The published list has a dropout without weights in its middle.
        self.net = nn.Sequential(_GEGLU(width, hidden), nn.Identity(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        output: Tensor = self.net(x)
        return output
