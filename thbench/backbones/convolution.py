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
from thbench.backbones.precision import processor_multiplies_int8

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONEDNN: bool = torch._C._has_mkldnn
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
_MOST_PACKED = 4
"""Packed copies of the weights that an 8-bit layer keeps; they depend on the shape of the input."""
_BLOCK = 1 << 18
"""Numbers that are turned into bytes at a time: a megabyte, which stays in the cache."""
_WHOLE = 1.5 * 2**23
"""Float32 numbers near this one are whole: what is added to it is rounded, ties to even. `round_` wakes all threads for
2048 numbers and more, which takes longer than its work."""


class Convolution(nn.Module):
    """A 2-D or 3-D convolution for inference: weights with the channels last, oneDNN on CPUs.

    The input is brought to the device of the weights: frames may come from the CPU.
    """

    def __init__(self, layer: nn.Conv2d | nn.Conv3d) -> None:
        """Take over the weights of a layer.

        Args:
            layer: Pads with zeros, by numbers.
        """
        super().__init__()
        self._sizes = _Sizes(layer)
        weight = layer.weight.detach()
        self.weight = nn.Parameter(weight.contiguous(memory_format=_LAYOUTS[weight.dim()]), requires_grad=False)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...)."""
        return self._sizes.convolve(x.to(self.weight), self.weight, self.bias)


class Int8Convolution(nn.Module):
    """A convolution of numbers rounded to 8 bits, whose products are summed exactly.

    Weights are rounded to 255 steps in each output channel (`whole_weights`). Inputs are rounded to steps of their own
    in each sample, 127 on either side of zero, or 255 above it where a sample has nothing below, as behind a ReLU; so
    what a sample gives does not depend on its batch. Processors with 8-bit products (VNNI, AMX) multiply several times
    faster than in float32; elsewhere the same integers are multiplied in float32, on GPUs in TF32, which holds them
    exactly.
    """

    def __init__(self, layer: nn.Conv2d | nn.Conv3d) -> None:
        """Round the weights of a layer.

        Args:
            layer: Pads with zeros, by numbers.
        """
        super().__init__()
        self._sizes = _Sizes(layer)
        weight = layer.weight.detach().contiguous(memory_format=_LAYOUTS[layer.weight.dim()])
        channels = (-1, *[1] * (weight.dim() - 1))
        steps = weight.abs().amax(tuple(range(1, weight.dim()))).clamp_min(torch.finfo(torch.float32).tiny) / 127
        self.weight = nn.Buffer(whole_weights(weight / steps.reshape(channels)).to(torch.int8))
        self.steps = nn.Buffer(steps)
        bias = torch.zeros_like(steps) if layer.bias is None else layer.bias.detach()
        self.bias = nn.Parameter(bias, requires_grad=False)
        self._packed: dict[tuple[int, ...], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (N, inputs, ...) to float32 (N, outputs, ...)."""
        x = x.to(self.steps).contiguous(memory_format=_LAYOUTS[x.dim()])
        flat = x.movedim(1, -1).flatten(1)
        low, high = flat.amin(1), flat.amax(1)
        signed = low < 0
        # Steps of a sample of zeros have any size; those of one with a NaN have none, and it gets no value.
        size = torch.where(signed, torch.maximum(-low, high) / 127, high / 255)
        size = size.clamp_min(torch.finfo(torch.float32).tiny)
        y = self._products(x, size, signed)
        last = y.movedim(1, -1)
        torch.addcmul(self.bias, last, size.view(-1, *[1] * (x.dim() - 1)), out=last)
        return y

    def _products(self, x: Tensor, size: Tensor, signed: Tensor) -> Tensor:
        """Convolve whole numbers, without the bias, in steps of the input."""
        if self.weight.device.type != "cpu":
            return self._in_float32((x * size.reciprocal().view(-1, *[1] * (x.dim() - 1))).round_())
        if not (_ONEDNN and processor_multiplies_int8()):
            zeros = (128.0 * signed).view(-1, *[1] * (x.dim() - 1))
            return self._in_float32(_as_bytes(x, size, signed) - zeros)
        bytes_, kinds = _as_bytes(x, size, signed), signed.tolist()
        if len(set(kinds)) == 1:
            return self._in_int8(bytes_, signed=kinds[0])
        # Zero lies elsewhere in samples with negative numbers than in those without.
        parts = {kind: self._in_int8(bytes_[signed == kind], signed=kind) for kind in (True, False)}
        y = torch.empty((len(kinds), *parts[True].shape[1:])).contiguous(memory_format=_LAYOUTS[x.dim()])
        for kind, part in parts.items():
            y[signed == kind] = part
        return y

    def _in_float32(self, whole: Tensor) -> Tensor:
        y = self._sizes.convolve(whole, self.weight.float(), None, tf32=True)
        y.movedim(1, -1).mul_(self.steps)
        return y

    def _in_int8(self, bytes_: Tensor, *, signed: bool) -> Tensor:
        bytes_ = bytes_.contiguous(memory_format=_LAYOUTS[bytes_.dim()])
        zero, s = (128 if signed else 0), self._sizes
        key = (zero, *bytes_.shape)
        if key not in self._packed:
            if len(self._packed) >= _MOST_PACKED:
                self._packed.clear()
            self._packed[key] = torch.ops.onednn.qconv_prepack(
                self.weight, self.steps, 1.0, zero, s.stride, s.padding, s.dilation, s.groups, list(bytes_.shape)
            )
        none = torch.zeros(len(self.steps), dtype=torch.int32)
        y: Tensor = torch.ops.onednn.qconv_pointwise(
            bytes_, 1.0, zero, self._packed[key], self.steps, none, None, s.stride, s.padding, s.dilation, s.groups,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return y


def whole_weights(weight: Tensor) -> Tensor:
    """Round weights so that what is rounded up and what is rounded down weigh the same in each output.

    Behind a ReLU inputs have much in common, and an output feels the sum of its rounding errors more than each of
    them: rounded to the nearest, 8-bit weights of a random SyncNet moved LSE-C by 1.4 %, so by a few tenths of it.
    Where the sum in a kernel is more than half a step, the weights nearest to the other side are turned over, then the
    same in each output channel.

    Args:
        weight: Shape (outputs, inputs, ...), in steps, within [-127, 127].

    Returns:
        Whole numbers of the same shape and range, none more than a step from its weight.

    Source: Guo et al., SQuant (ICLR 2022), sections 3.2 and 3.3.
    """
    whole = weight.round()
    for level in (2, 1):
        whole = _balanced(weight.flatten(level), whole.flatten(level)).view_as(weight)
    return whole.clamp_(-127, 127)


def _balanced(weight: Tensor, whole: Tensor) -> Tensor:
    """Turn over as many numbers along the last axis as their errors add up to."""
    if weight.shape[-1] == 1:
        return whole
    errors = weight - whole
    total = errors.sum(-1, keepdim=True).round_()
    up = total.sign()
    worth = errors.mul_(up)
    # The worth of the last one to be turned over; equal ones all are, which weights hardly ever are.
    ranked = worth.sort(-1, descending=True).values
    # Weights without values add up to none, and are not turned over.
    last = ranked.gather(-1, total.abs().nan_to_num_().sub_(1).clamp_(0, weight.shape[-1] - 1).long())
    return torch.where((worth >= last) & (up != 0), whole + up, whole)


def _as_bytes(x: Tensor, size: Tensor, signed: Tensor) -> Tensor:
    """Return samples (N, C, ...), divided by their sizes, as uint8, channels last; 0 is 128 in the signed ones.

    A block at a time stays in the cache from the scaling to the bytes. A cast to int8 is several times faster than one
    to uint8: all is moved down by 128 first, and the highest bit turned over at the end.
    """
    last = x.movedim(1, -1)
    flat = last.flatten(1)
    found = torch.empty(flat.shape, dtype=torch.int8)
    whole, rest = divmod(flat.shape[1], _BLOCK)
    blocks = [torch.empty(_BLOCK)] * whole + [torch.empty(rest)] * (rest > 0)
    down = torch.tensor((_WHOLE - 128, _WHOLE)).unbind()
    steps, kinds = size.reciprocal().tolist(), signed.tolist()
    for values, bytes_, step, kind in zip(flat.unbind(), found.unbind(), steps, kinds, strict=True):
        for part, target, block in zip(torch.split(values, _BLOCK), torch.split(bytes_, _BLOCK), blocks, strict=True):
            target.copy_(torch.add(down[int(kind)], part, alpha=step, out=block).sub_(_WHOLE))
    return found.view(torch.uint8).bitwise_xor_(128).view(last.shape).movedim(-1, 1)


class _Sizes:
    """How a layer moves over its input."""

    def __init__(self, layer: nn.Conv2d | nn.Conv3d) -> None:
        if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            raise ValueError(f"only zero padding given in numbers is known here, not {layer.padding!r}")
        self.padding: Sequence[int] = layer.padding
        self.stride: Sequence[int] = layer.stride
        self.dilation: Sequence[int] = layer.dilation
        self.groups = layer.groups

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, *, tf32: bool = False) -> Tensor:
        """Convolve in float32, or on GPUs in TF32 where that is enough."""
        if weight.device.type == "cpu" and _ONEDNN:
            y: Tensor = torch.mkldnn_convolution(x, weight, bias, self.padding, self.stride, self.dilation, self.groups)
            return y
        none = [0] * len(self.stride)
        with float32_convolutions(tf32=tf32):
            return torch.convolution(
                x, weight, bias, self.stride, self.padding, self.dilation, False, none, self.groups
            )
