"""The transformer with long skip connections.

Source: PoseTalk, figure 2 (blocks in a U); Bao et al., "All are Worth Words", CVPR 2023; Chen et al., "Executing your
Commands via Motion Diffusion in Latent Space", CVPR 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable


class SkipTransformer(nn.Module):
    """Layers of which the last takes what the first gave, the last but one what the second gave, and so on."""

    def __init__(self, width: int, layers: int, layer: Callable[[], nn.Module]) -> None:
        """Build the transformer.

        Args:
            width: Of a token.
            layers: How many; odd and at least 3.
            layer: Makes one: a torch encoder or decoder layer.
        """
        super().__init__()
        if layers < 3 or layers % 2 == 0:
            raise MethodError(f"a skip transformer of {layers} layers has no middle; give an odd number of at least 3")
        half = layers // 2
        self.down = nn.ModuleList(layer() for _ in range(half))
        self.middle = layer()
        self.up = nn.ModuleList(layer() for _ in range(half))
        self.merge = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(half))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, **context: Tensor | None) -> Tensor:
        """Map (N, tokens, width) to the same shape; `context` is what every layer is given beside its tokens."""
        first = self.enter(tokens, **context)
        return self.leave(self.deep(first, **context), first, **context)

    def enter(self, tokens: Tensor, **context: Tensor | None) -> Tensor:
        """Return what the first layer makes of the tokens."""
        first: Tensor = self.down[0](tokens, **context)
        return first

    def deep(self, first: Tensor, **context: Tensor | None) -> Tensor:
        """Return what the last merge is given beside `first`: the costly part."""
        outputs = [first]
        for layer in self.down[1:]:
            outputs.append(layer(outputs[-1], **context))
        x: Tensor = self.middle(outputs[-1], **context)
        for merge, layer, beside in zip(self.merge[:-1], self.up[:-1], reversed(outputs[1:]), strict=True):
            x = layer(merge(torch.cat((x, beside), dim=-1)), **context)
        return x

    def leave(self, deep: Tensor, first: Tensor, **context: Tensor | None) -> Tensor:
        """Return the output from both."""
        x: Tensor = self.norm(self.up[-1](self.merge[-1](torch.cat((deep, first), dim=-1)), **context))
        return x


def encoder_layer(width: int, heads: int, feed_forward: int, dropout: float) -> nn.TransformerEncoderLayer:
    """Return a layer of self-attention; its context is `src_key_padding_mask`."""
    return nn.TransformerEncoderLayer(
        width, heads, feed_forward, dropout, activation="gelu", batch_first=True, norm_first=True
    )


def decoder_layer(width: int, heads: int, feed_forward: int, dropout: float) -> nn.TransformerDecoderLayer:
    """Return a layer of self-attention and attention to `memory`, which is context, as `tgt_key_padding_mask` is."""
    return nn.TransformerDecoderLayer(
        width, heads, feed_forward, dropout, activation="gelu", batch_first=True, norm_first=True
    )
