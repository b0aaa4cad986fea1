"""Spatial transformer whose self-attention also reads a reference image ("reference attention").

Source: Hu et al., "Animate Anyone", CVPR 2024, section 3.2; fudan-generative-vision/hallo,
hallo/models/mutual_self_attention.py and transformer_3d.py. The public code patches a running module; here the
reference is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from thbench_methods.nets.unet3d.attention import Attention, FeedForward
from thbench_methods.nets.unet3d.focus import Attend, Focus, attend_at, everywhere
from thbench_methods.nets.unet3d.layout import to_maps, to_tokens
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.nets.unet3d.config import Sizes
    from thbench_methods.nets.unet3d.unet import Place


class ReferenceCall(Protocol):
    """What a spatial transformer needs to know of a forward pass; rows are frames, row b F + f is frame f of clip b."""

    @property
    def tokens(self) -> Tensor | None:
        """Shape (B F, tokens, C): what each frame cross-attends to; None where there is no cross-attention."""
        ...

    def reference_at(self, place: str) -> Tensor | None:
        """Return what the transformer at a place reads beside its own tokens, (B F, h w, C); None for nothing."""
        ...

    @property
    def focus(self) -> Focus | None:
        """Where attention acts; None for everywhere."""
        ...

    @property
    def unconditional(self) -> int:
        """How many of the leading rows read no reference (the unconditional half under guidance)."""
        ...


class TransformerBlock(nn.Module):
    """Self-attention with reference, cross-attention, feed-forward; each behind a layer norm, with the identity."""

    def __init__(self, width: int, tokens: int, heads: int, cross_scale: float = 1.0, feed_forward: int = 4) -> None:
        super().__init__()
        self.cross_scale = cross_scale
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = Attention(width, heads=heads)
        self.attn2 = Attention(width, context=tokens, heads=heads)
        self.ff = FeedForward(width, feed_forward)

    def forward(
        self,
        x: Tensor,
        tokens: Tensor | None,
        reference: Tensor | None = None,
        plain: int = 0,
        attend: Attend = everywhere,
    ) -> Tensor:
        """Map (N, L, width) to the same shape.

        Args:
            x: The images' own tokens.
            tokens: Shape (N, T, C), cross-attended to; None skips that attention.
            reference: Shape (N, M, width), attended to beside the own tokens; None for none.
            plain: Leading rows that read no reference.
            attend: Where the self-attention acts.
        """
        x = self.attended(x, tokens, reference, plain, attend)
        mixed: Tensor = x + self.ff(self.norm3(x))
        return mixed

    def attended(
        self, x: Tensor, tokens: Tensor | None, reference: Tensor | None, plain: int, attend: Attend
    ) -> Tensor:
        """Return what enters the feed-forward; arguments as for `forward`."""
        x = x + attend(
            "attn1",
            self.norm1(x),
            lambda own, chosen: self._self_attention(own, None if reference is None else chosen(reference), plain),
        )
        if tokens is not None:
            x = x + self.cross_scale * self.attn2(self.norm2(x), tokens)
        return x

    def _self_attention(self, own: Tensor, reference: Tensor | None, plain: int) -> Tensor:
        """As published, the plain rows are computed with the reference too and then again without.

        The papers' operation counts include it; what was computed first is dropped.
        """
        if reference is None:
            without: Tensor = self.attn1(own)
            return without
        attended: Tensor = self.attn1(own, torch.cat((own, reference), dim=1))
        return torch.cat((self.attn1(own[:plain]), attended[plain:])) if plain else attended


class SpatialTransformer(nn.Module):
    """Group norm, a 1x1 convolution in, transformer block over the pixels of each image, a 1x1 convolution out."""

    def __init__(self, place: Place, sizes: Sizes, cross_scale: float = 1.0) -> None:
        super().__init__()
        self.place = place.name
        self.norm = nn.GroupNorm(sizes.groups, place.channels, eps=1e-6)
        self.proj_in = nn.Conv2d(place.channels, place.channels, 1)
        self.transformer_blocks = nn.ModuleList(
            [TransformerBlock(place.channels, sizes.tokens, sizes.heads, cross_scale, sizes.feed_forward)]
        )
        self.proj_out = nn.Conv2d(place.channels, place.channels, 1)

    def tokens(self, x: Tensor) -> Tensor:
        """Return what the transformer block is given: (N, h w, C)."""
        return to_tokens(self.proj_in(self.norm(x)))

    def mix(self, x: Tensor, tokens: Tensor, call: ReferenceCall) -> Tensor:
        """Return the images plus what the transformer block makes of their tokens."""
        reference, attend = call.reference_at(self.place), attend_at(call.focus, self.place)
        mixed = self.transformer_blocks[0](tokens, call.tokens, reference, call.unconditional, attend)
        output: Tensor = x + self.proj_out(to_maps(mixed, x))
        return output

    def forward(self, x: Tensor, call: ReferenceCall) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        return self.mix(x, self.tokens(x), call)
