"""KDTalker's denoiser: a spatiotemporal transformer over key-point motion.

Tokens are the canonical key-points, a reference motion, and the noisy motion of each frame. Every token is conditioned
on the diffusion time and on its own audio feature. Key names are those of `KDTalker.pth` behind
`point_model.model.`. Source: arXiv 2503.12963; chaolongy/KDTalker, model/temporaltrans/temptrans.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.kdtalker.config import PAPER, Sizes
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import angles, frequencies, rotate
from torch import Tensor, nn

EPSILON = 1e-5
PRIOR_TOKENS = 2
"""Canonical and reference token, ahead of the frames."""
PREFIX = "point_model.model."
"""Of every key in the published checkpoint."""


class Condition(NamedTuple):
    """What a window of motion is generated from."""

    reference: Tensor
    """Shape (N, motion): normalised motion of the portrait, or of the frame before the window."""
    canonical: Tensor
    """Shape (N, 3 K): normalised canonical key-points."""
    audio: Tensor
    """Shape (N, frames, audio): one feature per frame."""


class Norm(nn.Module):
    """Layer norm over the features of each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, tokens, width) to the same shape."""
        return F.layer_norm(x, x.shape[-1:], self.gamma.flatten(), self.beta.flatten(), EPSILON)


class Block(nn.Module):
    """Linear layer and SiLU, with a modulated norm between where there is a modulation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, width)
        self.norm = Norm(width)

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Map (N, tokens, width) under a modulation (N, tokens, 2 width: scale, shift) to (N, tokens, width).

        Without a modulation the norm is not applied, as published; its weights lie unused in the checkpoint.
        """
        y: Tensor = self.proj(x)
        if modulation is not None:
            scale, shift = modulation.chunk(2, dim=-1)
            y = self.norm(y) * (1 + scale) + shift
        return F.silu(y)


class ResidualBlock(nn.Module):
    """Two blocks, the first modulated by the token's condition, and the identity."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(condition, 2 * width))
        self.block1 = Block(width)
        self.block2 = Block(width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (N, tokens, width) under (N, tokens, condition) to (N, tokens, width)."""
        return x.add(self.block2(self.block1(x, self.mlp(condition))))


class RotaryEmbedding(nn.Module):
    """Frequencies of the rotary embedding; one module that all layers share."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        # Published as a parameter that is not trained.
        self.freqs = nn.Parameter(computed(lambda: frequencies(dimensions // 2)), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate the first `dimensions` features of (..., tokens, features) by the token's position."""
        return rotate(x, angles(torch.arange(x.shape[-2], device=x.device), self.freqs))


class Attention(nn.Module):
    """Self-attention over all tokens with rotary and relative positions."""

    def __init__(self, width: int, heads: int, rotary: RotaryEmbedding) -> None:
        super().__init__()
        self.heads = heads
        self.rotary_emb = rotary
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (N, tokens, width) with a bias (heads, tokens, tokens) of the logits to the same shape."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(x).chunk(3, dim=-1)
        )
        y = F.scaled_dot_product_attention(self.rotary_emb(query), self.rotary_emb(key), value, attn_mask=bias)
        attended: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return attended


class PreNorm(nn.Module):
    """A norm ahead of a sub-module."""

    def __init__(self, width: int, fn: Attention) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.fn = fn

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Apply the sub-module to normalised tokens."""
        y: Tensor = self.fn(self.norm(x), bias)
        return y


class Residual(nn.Module):
    """A sub-module and the identity."""

    def __init__(self, fn: PreNorm) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Add the sub-module's output to the tokens."""
        return x.add(self.fn(x, bias))


class Layer(nn.ModuleList):
    """Two residual blocks, which see each token alone, then attention over all of them."""

    def __init__(self, width: int, heads: int, condition: int, rotary: RotaryEmbedding, *, attention: bool) -> None:
        super().__init__([ResidualBlock(width, condition), ResidualBlock(width, condition)])
        if attention:
            self.append(Residual(PreNorm(width, Attention(width, heads, rotary))))

    def forward(self, x: Tensor, condition: Tensor, bias: Tensor) -> Tensor:
        """Map (N, tokens, width) to the same shape."""
        first, second, *attention = self
        y: Tensor = second(first(x, condition), condition)
        for part in attention:
            y = part(y, bias)
        return y


class RelativePositionBias(nn.Module):
    """T5's relative position bias: near distances have a weight each, far ones share logarithmic buckets."""

    def __init__(self, buckets: int, max_distance: int, heads: int) -> None:
        super().__init__()
        self.buckets, self.max_distance = buckets, max_distance
        self.relative_attention_bias = nn.Embedding(buckets, heads)

    def forward(self, tokens: int) -> Tensor:
        """Return (heads, tokens, tokens), rows are queries."""
        place = torch.arange(tokens, device=self.relative_attention_bias.weight.device)
        bias: Tensor = self.relative_attention_bias(self.bucket(place - place[:, None]))
        return bias.permute(2, 0, 1)

    def bucket(self, relative: Tensor) -> Tensor:
        """Return the bucket of each relative position (key less query): half of them for keys after the query."""
        half = self.buckets // 2
        exact = half // 2
        distance = relative.abs()
        # In float32, as published: at distances where the logarithm is whole, rounding decides the bucket.
        growth = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
        return torch.where(distance < exact, distance, far) + half * (relative > 0)


class TimeEmbedding(nn.Module):
    """Sinusoid of the diffusion time: sines, then cosines."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, time: Tensor) -> Tensor:
        """Map (N,) to (N, width)."""
        turns = angles(time, frequencies(self.width // 2, reach_base=True).to(time.device))
        return torch.cat((turns.sin(), turns.cos()), dim=-1)


class PositionalEncoding(nn.Module):
    """Left over in the published checkpoint; nothing reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("freq_bands", computed(lambda: 2 ** torch.linspace(1, 9, 10)))


class SpatiotemporalTransformer(nn.Module):
    """Predicts the noise in a window of motion."""

    def __init__(self, sizes: Sizes = PAPER.sizes) -> None:
        super().__init__()
        width, time = sizes.width, sizes.time_embedding
        self.time_mlp = nn.Sequential(TimeEmbedding(width), nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.positional_encoding = PositionalEncoding()
        self.input_projection = nn.Linear(sizes.motion, width)
        self.time_rel_pos_bias = RelativePositionBias(sizes.bias_buckets, sizes.bias_max_distance, sizes.heads)
        rotary = RotaryEmbedding(sizes.rotary_dimensions)
        self.layers = nn.ModuleList(
            Layer(width, sizes.heads, time + sizes.audio, rotary, attention=sizes.attention)
            for _ in range(sizes.layers)
        )
        self.output_projection = nn.Linear(width, sizes.motion)

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Predict the noise.

        Args:
            noisy: Shape (N, frames, motion), normalised; any number of frames.
            time: Shape (N,), diffusion step 0 ... 999.
            condition: Reference, canonical key-points and audio.

        Returns:
            Shape (N, frames, motion).
        """
        return self.full(noisy, time, condition)[0]

    def full(self, noisy: Tensor, time: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Predict the noise, and return the input of the last layer (N, tokens, width) beside it."""
        tokens: Tensor = self.input_projection(motion_tokens(noisy, condition))
        token_condition, bias = self._token_condition(time, condition), self.time_rel_pos_bias(tokens.shape[1])
        for layer in self.layers[:-1]:
            tokens = layer(tokens, token_condition, bias)
        return self._last(tokens, token_condition, bias), tokens

    def shallow(self, noisy: Tensor, time: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Predict the noise by the last layer alone, from an earlier step's input of that layer."""
        del noisy  # enters at the first layer
        return self._last(deep, self._token_condition(time, condition), self.time_rel_pos_bias(deep.shape[1]))

    def _last(self, tokens: Tensor, token_condition: Tensor, bias: Tensor) -> Tensor:
        tokens = self.layers[-1](tokens, token_condition, bias)
        noise: Tensor = self.output_projection(tokens[:, PRIOR_TOKENS:])
        return noise

    def _token_condition(self, time: Tensor, condition: Condition) -> Tensor:
        """Return (N, tokens, time + audio); the prior tokens hear silence, which is all zeros."""
        audio = F.pad(condition.audio, (0, 0, PRIOR_TOKENS, 0))
        steps = self.time_mlp(time)[:, None].expand(-1, audio.shape[1], -1)
        return torch.cat((steps, audio), dim=-1)


def motion_tokens(noisy: Tensor, condition: Condition) -> Tensor:
    """Return (N, 2 + frames, motion): canonical key-points at the place of the expression, reference, frames."""
    missing = noisy.shape[-1] - condition.canonical.shape[-1]
    canonical = F.pad(condition.canonical, (missing, 0))
    return torch.cat((canonical[:, None], condition.reference[:, None], noisy), dim=1)
