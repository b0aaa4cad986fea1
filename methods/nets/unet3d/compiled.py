"""Compiles the parts of a UNet that repeat, each by itself: resnets, transformer blocks, temporal blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench_methods.nets.unet3d.attention import FeedForward
from thbench_methods.nets.unet3d.layers import Downsample, ResnetBlock, Upsample
from thbench_methods.nets.unet3d.motion import TemporalBlock
from thbench_methods.nets.unet3d.transformer import TransformerBlock

if TYPE_CHECKING:
    from torch import nn

REGIONS = (ResnetBlock, TransformerBlock, TemporalBlock, FeedForward, Downsample, Upsample)
"""What is compiled; parts inside a compiled one are compiled with it."""


def compile_regions(network: nn.Module, backend: str = "inductor") -> int:
    """Compile the parts of a network in place; the first pass with new shapes takes longer.

    Equal parts share what is compiled. The network's numbers stay those of a few roundings.

    Args:
        network: On the device on which it will run.
        backend: Of torch.compile.

    Returns:
        How many parts were compiled.
    """
    count = 0
    for module in _outermost(network):
        module.compile(backend=backend, dynamic=False)
        count += 1
    return count


def _outermost(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, REGIONS):
        return [module]
    return [part for child in module.children() for part in _outermost(child)]
