"""Convolutions that run on one path, whatever the batch and the number of threads.

For small inputs, and for 1x1 kernels on one thread, PyTorch leaves oneDNN for a path of its own, whose output has the
channels first again: the pools and convolutions after it then work against the layout. In a network made ready for
inference the choice is made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from thbench.backbones.device import float32_convolutions

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONEDNN: bool = torch._C._has_mkldnn
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


class Convolution(nn.Module):
    """A 2-D or 3-D convolution for inference: weights with the channels last, oneDNN on CPUs.

    The input is brought to the type and the device of the weights, so that layers of different precision may follow
    each other, and frames may come from the CPU.
    """

    def __init__(self, layer: nn.Conv2d | nn.Conv3d) -> None:
        """Take over the weights of a layer.

        Args:
            layer: Pads with zeros, by numbers.
        """
        super().__init__()
        if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            raise ValueError(f"only zero padding given in numbers is known here, not {layer.padding!r}")
        weight = layer.weight.detach()
        self.weight = nn.Parameter(weight.contiguous(memory_format=_LAYOUTS[weight.dim()]), requires_grad=False)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), requires_grad=False)
        self.padding: Sequence[int] = layer.padding
        self.stride: Sequence[int] = layer.stride
        self.dilation: Sequence[int] = layer.dilation
        self.groups = layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...)."""
        x = x.to(device=self.weight.device, dtype=self.weight.dtype)
        sizes = self.padding, self.stride, self.dilation
        if x.device.type == "cpu" and _ONEDNN:
            return torch.mkldnn_convolution(x, self.weight, self.bias, *sizes, self.groups)
        none = [0] * len(self.stride)
        padding, stride, dilation = sizes
        with float32_convolutions():
            return torch.convolution(x, self.weight, self.bias, stride, padding, dilation, False, none, self.groups)
