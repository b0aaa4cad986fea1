"""MEMO's reference network: features for every motion module, the lowest level's among them.

Source: memoavatar/memo at a5aee30, memo/models/unet_2d_condition.py, unet_2d_blocks.py and transformer_2d.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thbench_methods.nets.unet3d.layout import to_tokens
from thbench_methods.nets.unet3d.reference import ATTENTIONS, ReferenceUNet, WritingTransformer
from thbench_methods.nets.unet3d.unet import Place, Stage
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.nets.unet3d.config import Sizes


class _FinalBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)


class FinalTransformer(nn.Module):
    """The last transformer, of which only what gives the features is in the published file."""

    def __init__(self, place: Place, sizes: Sizes) -> None:
        super().__init__()
        self.place = place.name
        self.norm = nn.GroupNorm(sizes.groups, place.channels, eps=1e-6)
        self.proj_in = nn.Conv2d(place.channels, place.channels, 1)
        self.transformer_blocks = nn.ModuleList([_FinalBlock(place.channels)])

    def forward(self, x: Tensor, call: Any) -> Tensor:
        """Return the images (N, C, h, w) as they are."""
        tokens = to_tokens(self.proj_in(self.norm(x)))
        call.features[self.place] = self.transformer_blocks[0].get_submodule("norm1")(tokens)
        return x


class ResnetOutput(nn.Module):
    """Gives the output of a resnet without transformer as features; has no weights."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place.name.replace(OUTPUTS, ATTENTIONS)

    def forward(self, x: Tensor, call: Any) -> Tensor:
        """Return the images (N, C, h, w) as they are."""
        call.features.setdefault(self.place, to_tokens(x))
        return x


OUTPUTS = "outputs"
"""Stage of `ResnetOutput`; where there are transformers, theirs are the features."""


class ReferenceNet(ReferenceUNet):
    """Two-dimensional UNet without output convolution.

    Features of every place, also of those without a transformer, which are named as if there were one.
    """

    def __init__(self, sizes: Sizes) -> None:
        final = f"up_blocks.{len(sizes.channels) - 1}.{ATTENTIONS}.{sizes.layers}"

        def transformer(place: Place) -> nn.Module:
            return FinalTransformer(place, sizes) if place.name == final else WritingTransformer(place, sizes)

        outputs = Stage(OUTPUTS, ResnetOutput, everywhere=True)
        super().__init__(sizes, [Stage(ATTENTIONS, transformer), outputs])
