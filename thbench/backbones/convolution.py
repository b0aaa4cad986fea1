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
from thbench.backbones.precision import LOW, processor_gains_by_bfloat16

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONEDNN: bool = torch._C._has_mkldnn
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


class Convolution(nn.Module):
    """A 2-D or 3-D convolution for inference: weights with the channels last, oneDNN on CPUs.

    The input is brought to the type and the device of the weights, so that layers of different precision may follow
    each other, and frames may come from the CPU. On a CPU that gains nothing by bfloat16, inputs and weights rounded to
    it are multiplied in float32: the numbers are the same but for the order of summation.
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
        self.dtype = weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...)."""
        on_cpu = self.weight.device.type == "cpu"
        self._hold(torch.float32 if on_cpu and self.dtype in LOW and not processor_gains_by_bfloat16() else self.dtype)
        # The input is rounded to the type of the layer even where it is multiplied in a wider one.
        x = x.to(device=self.weight.device, dtype=self.dtype).to(self.weight.dtype)
        sizes = self.padding, self.stride, self.dilation
        if on_cpu and _ONEDNN:
            y = torch.mkldnn_convolution(x, self.weight, self.bias, *sizes, self.groups)
        else:
            none = [0] * len(self.stride)
            padding, stride, dilation = sizes
            with float32_convolutions():
                y = torch.convolution(x, self.weight, self.bias, stride, padding, dilation, False, none, self.groups)
        return y.to(self.dtype)

    def _hold(self, dtype: torch.dtype) -> None:
        """Hold the weights, whose values are those of `self.dtype`, in the type that they are multiplied in."""
        for values in (self.weight, self.bias):
            if values is not None and values.dtype != dtype:
                values.data = values.data.to(dtype)
