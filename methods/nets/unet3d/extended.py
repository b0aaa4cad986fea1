"""Spatial transformer with one cross-attention more, between the one that it has and the feed-forward.

New conditions enter a trained UNet this way without changing it: with its output projection at zero the attention is
the identity. Source: Ye et al., "IP-Adapter", 2023, section 3.2 (decoupled cross-attention); zero at the start as in
Zhang et al., "ControlNet", ICCV 2023, section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from thbench_methods.nets.unet3d.attention import Attention
from thbench_methods.nets.unet3d.focus import Attend, attend_at, everywhere
from thbench_methods.nets.unet3d.layout import to_maps
from thbench_methods.nets.unet3d.transformer import ReferenceCall, SpatialTransformer, TransformerBlock
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.nets.unet3d.config import Sizes
    from thbench_methods.nets.unet3d.unet import Place


class ExtendedCall(ReferenceCall, Protocol):
    """What such a transformer needs to know of a forward pass."""

    @property
    def more(self) -> Tensor | None:
        """Shape (B F, tokens, C): what the further attention reads of each frame; None skips it."""
        ...


class ExtendedBlock(TransformerBlock):
    """Self-attention with reference, cross-attention, further cross-attention, feed-forward."""

    def __init__(self, width: int, sizes: Sizes, name: str) -> None:
        """Make the block.

        Args:
            width: Values of a token.
            sizes: Of the UNet; tokens of both cross-attentions have as many values.
            name: What the further attention is of: its keys are `attn_<name>` and `norm_<name>`.
        """
        super().__init__(width, sizes.tokens, sizes.heads, feed_forward=sizes.feed_forward)
        self.name = name
        self.add_module(f"norm_{name}", nn.LayerNorm(width))
        self.add_module(f"attn_{name}", Attention(width, context=sizes.tokens, heads=sizes.heads))

    def forward(
        self,
        x: Tensor,
        tokens: Tensor | None,
        reference: Tensor | None = None,
        plain: int = 0,
        attend: Attend = everywhere,
        more: Tensor | None = None,
    ) -> Tensor:
        """Map (N, L, width) to the same shape.

        Args:
            x: As of a transformer block.
            tokens: As of a transformer block.
            reference: As of a transformer block.
            plain: As of a transformer block.
            attend: As of a transformer block.
            more: Shape (N, T, C): what the further attention reads; None skips it.
        """
        x = self.attended(x, tokens, reference, plain, attend)
        if more is not None:
            x = x + self.get_submodule(f"attn_{self.name}")(self.get_submodule(f"norm_{self.name}")(x), more)
        mixed: Tensor = x + self.ff(self.norm3(x))
        return mixed

    def silence(self) -> None:
        """Make the further attention the identity."""
        output = cast(Attention, self.get_submodule(f"attn_{self.name}")).to_out[0]
        nn.init.zeros_(cast(Tensor, output.weight))
        nn.init.zeros_(cast(Tensor, output.bias))


class ExtendedTransformer(SpatialTransformer):
    """Group norm, a 1x1 convolution in, extended block over the pixels of each image, a 1x1 convolution out."""

    def __init__(self, place: Place, sizes: Sizes, name: str) -> None:
        super().__init__(place, sizes)
        self.transformer_blocks = nn.ModuleList([ExtendedBlock(place.channels, sizes, name)])

    def mix(self, x: Tensor, tokens: Tensor, call: ReferenceCall) -> Tensor:
        """Return the images plus what the block makes of their tokens."""
        told, attend = cast(ExtendedCall, call), attend_at(call.focus, self.place)
        block, reference = self.transformer_blocks[0], call.reference_at(self.place)
        mixed = block(tokens, call.tokens, reference, call.unconditional, attend, told.more)
        output: Tensor = x + self.proj_out(to_maps(mixed, x))
        return output

    def silence(self) -> None:
        """Make the further attention the identity."""
        cast(ExtendedBlock, self.transformer_blocks[0]).silence()
