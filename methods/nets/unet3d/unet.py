"""The skeleton of the UNet family: where resnets, their stages, skips and scalings stand.

Each method says which stages follow each resnet (spatial transformer, audio transformer, motion module). The frames of
a batch are its images, so the same skeleton carries the two-dimensional reference network. Key names are those of the
published files. Source: Ronneberger et al., "U-Net", MICCAI 2015; huggingface/diffusers,
models/unets/unet_2d_blocks.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from thbench_methods.nets.unet3d.layers import TIME_FACTOR, Downsample, ResnetBlock, TimeEmbedding, Upsample
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from thbench_methods.nets.unet3d.config import Sizes


class Place(NamedTuple):
    """Where a stage stands."""

    name: str
    """Key of its module, e.g. `down_blocks.1.attentions.0`."""
    channels: int
    """Of the images it is given."""
    block_inputs: int
    """Channels that come into its layer of a down block; of an up block, those of its lowest skip."""
    level: int
    """0 at the latent's own size, i at 1 / 2^i of it."""


class Stage(NamedTuple):
    """What follows each resnet."""

    name: str
    """Of the module list in the published files."""
    make: Callable[[Place], nn.Module]
    """The module of one place; it maps images (B F, C, h, w) and the call to images of the same shape."""
    everywhere: bool = False
    """Also in the down and up block of the lowest level, where there is no attention."""


class Layer(NamedTuple):
    """Channels of one layer of a block."""

    inputs: int
    """Into its resnet, the skip included."""
    outputs: int
    """Out of it."""
    block_inputs: int
    """As `Place.block_inputs`."""


class Block(nn.Module):
    """Layers: a resnet followed by its stages."""

    def __init__(self, name: str, layers: Sequence[Layer], level: int, stages: Sequence[Stage], sizes: Sizes) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([_resnet(layer.inputs, layer.outputs, sizes) for layer in layers])
        self.stages = tuple(stage.name for stage in stages)
        for stage in stages:
            places = (
                Place(f"{name}.{stage.name}.{index}", layer.outputs, layer.block_inputs, level)
                for index, layer in enumerate(layers)
            )
            self.add_module(stage.name, nn.ModuleList([stage.make(place) for place in places]))

    def layer(self, index: int, x: Tensor, time: Tensor, call: Any) -> Tensor:
        """Run one layer.

        Args:
            index: Which.
            x: Shape (N, inputs, h, w).
            time: Shape (B, 4 width), embedded.
            call: What the stages want to know of this forward pass.

        Returns:
            Shape (N, outputs, h, w).
        """
        x = self.resnets[index](x, time)
        for stage in self.stages:
            x = self.get_submodule(f"{stage}.{index}")(x, call)
        return x


class DownBlock(Block):
    """Layers, then half the size, except in the lowest level."""

    def __init__(self, level: int, stages: Sequence[Stage], sizes: Sizes) -> None:
        outputs = sizes.channels[level]
        inputs = [sizes.channels[max(level - 1, 0)]] + [outputs] * (sizes.layers - 1)
        layers = [Layer(width, outputs, width) for width in inputs]
        super().__init__(f"down_blocks.{level}", layers, level, _stages(stages, level, sizes), sizes)
        self.downsamplers = nn.ModuleList([Downsample(outputs)] if level < _lowest(sizes) else [])

    def forward(self, x: Tensor, time: Tensor, call: Any) -> Iterator[Tensor]:
        """Yield what each layer and the downsampling give, which are the skips."""
        for index in range(len(self.resnets)):
            x = self.layer(index, x, time, call)
            yield x
        for downsample in self.downsamplers:
            yield downsample(x)


class MidBlock(Block):
    """A layer and one more resnet."""

    def __init__(self, stages: Sequence[Stage], sizes: Sizes) -> None:
        width = sizes.channels[-1]
        super().__init__("mid_block", [Layer(width, width, width)], _lowest(sizes), stages, sizes)
        self.resnets.append(_resnet(width, width, sizes))

    def forward(self, x: Tensor, time: Tensor, call: Any) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        last: Tensor = self.resnets[1](self.layer(0, x, time, call), time)
        return last


class UpBlock(Block):
    """Layers that take a skip each; twice the size where there is a larger level."""

    def __init__(self, index: int, stages: Sequence[Stage], sizes: Sizes) -> None:
        level = _lowest(sizes) - index
        outputs, above = sizes.channels[level], sizes.channels[min(level + 1, _lowest(sizes))]
        lowest_skip = sizes.channels[max(level - 1, 0)]
        given = [above] + [outputs] * sizes.layers
        skips = [outputs] * sizes.layers + [lowest_skip]
        layers = [Layer(x + skip, outputs, lowest_skip) for x, skip in zip(given, skips, strict=True)]
        super().__init__(f"up_blocks.{index}", layers, level, _stages(stages, level, sizes), sizes)
        self.upsamplers = nn.ModuleList([Upsample(outputs)] if level else [])


class UNet(nn.Module):
    """Trunk: everything up to the last up layers, one unless stated. Head: these layers and the output convolution."""

    def __init__(self, sizes: Sizes, stages: Sequence[Stage], *, output: bool = True) -> None:
        """Make the network.

        Args:
            sizes: Of its parts.
            stages: What follows each resnet, in order.
            output: False leaves out the output convolution.
        """
        super().__init__()
        width, levels = sizes.channels[0], range(len(sizes.channels))
        self.conv_in = nn.Conv2d(sizes.latent, width, 3, padding=1)
        self.time_embedding = TimeEmbedding(width)
        self.down_blocks = nn.ModuleList([DownBlock(level, stages, sizes) for level in levels])
        self.mid_block = MidBlock(stages, sizes)
        self.up_blocks = nn.ModuleList([UpBlock(index, stages, sizes) for index in levels])
        if output:
            self.conv_norm_out = nn.GroupNorm(sizes.groups, width, eps=1e-5)
            self.conv_out = nn.Conv2d(width, sizes.latent, 3, padding=1)

    @property
    def up_layers(self) -> int:
        """How many layers the up blocks have together."""
        return len(self._ups())

    def descend(self, first: Tensor, time: Tensor, call: Any) -> Iterator[Tensor]:
        """Yield the skips, from the first to the lowest; what is not asked for is not run.

        Args:
            first: Shape (N, channels[0], h, w), from `conv_in`.
            time: Shape (B, 4 channels[0]), embedded.
            call: What the stages want to know of this forward pass.
        """
        x = first
        yield x
        for down in self.down_blocks:
            for skip in down(x, time, call):
                x = skip
                yield x

    def trunk(self, first: Tensor, time: Tensor, call: Any, layers: int = 1) -> tuple[Tensor, list[Tensor]]:
        """Run everything but the last layers.

        Args:
            first: As in `descend`.
            time: As in `descend`.
            call: As in `descend`.
            layers: How many up layers are left out.

        Returns:
            The input of the first layer that is left out, without its skip; and the skips of these layers.
        """
        skips = list(self.descend(first, time, call))
        x = self.mid_block(skips[-1], time, call)
        return self._ascend(self._ups()[: self.up_layers - layers], x, skips, time, call), skips

    def ascend(self, deep: Tensor, skips: Sequence[Tensor], time: Tensor, call: Any) -> Tensor:
        """Return what the last up layers make of the trunk, one layer for each skip."""
        return self._ascend(self._ups()[-len(skips) :], deep, list(skips), time, call)

    def head(self, deep: Tensor, skips: Sequence[Tensor], time: Tensor, call: Any) -> Tensor:
        """Return the prediction: (N, latent, h, w)."""
        x = self.ascend(deep, skips, time, call)
        prediction: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return prediction

    def _ups(self) -> list[tuple[UpBlock, int]]:
        blocks = (cast(UpBlock, block) for block in self.up_blocks)
        return [(block, index) for block in blocks for index in range(len(block.resnets))]

    def _ascend(
        self, layers: Sequence[tuple[UpBlock, int]], x: Tensor, skips: list[Tensor], time: Tensor, call: Any
    ) -> Tensor:
        """Run up layers; each takes its skip off the list, so that its memory is free afterwards."""
        for block, index in layers:
            x = block.layer(index, torch.cat((x, skips.pop()), dim=1), time, call)
            if index == len(block.resnets) - 1:
                for upsample in block.upsamplers:
                    x = upsample(x, (skips[-1].shape[2], skips[-1].shape[3]))
        return x


def _resnet(inputs: int, outputs: int, sizes: Sizes) -> ResnetBlock:
    return ResnetBlock(inputs, outputs, TIME_FACTOR * sizes.channels[0], sizes.groups)


def _lowest(sizes: Sizes) -> int:
    return len(sizes.channels) - 1


def _stages(stages: Sequence[Stage], level: int, sizes: Sizes) -> list[Stage]:
    return [stage for stage in stages if stage.everywhere or level < _lowest(sizes)]
