"""Batch normalisation folded into the convolution before it, as a pure function.

In evaluation mode a batch normalisation is an affine map per channel, so `bn(conv(x))` is one convolution with other
weights. A network says which of its children follow each other by a class attribute `FOLDS`, pairs of child names;
neighbours in a `Sequential` are found without it.
"""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

ModuleT = TypeVar("ModuleT", bound=nn.Module)

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Linear = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


def fold_batch_norms(module: ModuleT) -> ModuleT:
    """Return a copy in which each foldable batch normalisation has become part of the layer before it.

    The copy computes the same function up to rounding (weights are folded in float64) and has other state-dict keys.

    Args:
        module: A network in evaluation mode; it is left as it is. The copy shares the memory of what is not folded.

    Raises:
        ValueError: The network is in training mode, where batch normalisation is no affine map.
    """
    if module.training:
        raise ValueError("fold_batch_norms needs a network in evaluation mode; call .eval() first")
    folded = copy.deepcopy(module, {id(tensor): _shared(tensor) for tensor in _tensors(module)})
    for parent in list(folded.modules()):
        for first, second in list(_pairs(parent)):
            layer, norm = getattr(parent, first), getattr(parent, second)
            if isinstance(layer, Linear) and isinstance(norm, Norm):
                setattr(parent, first, _fold(layer, norm))
                setattr(parent, second, nn.Identity())
    return folded


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _shared(tensor: torch.Tensor) -> torch.Tensor:
    """Return another tensor on the same memory: to copy it would take as much again, to be freed at once."""
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=tensor.requires_grad)
    return tensor.detach()


def _pairs(parent: nn.Module) -> Iterator[tuple[str, str]]:
    yield from getattr(parent, "FOLDS", ())
    if isinstance(parent, nn.Sequential):
        names = list(parent._modules)
        yield from itertools.pairwise(names)


def _fold(layer: Linear, norm: Norm) -> Linear:
    """Return the layer, which is a copy already, with the normalisation in it."""
    factor, offset = affine(norm)
    weight = layer.weight.detach()
    bias = torch.zeros_like(factor) if layer.bias is None else layer.bias.detach().double()
    scaled = weight.double() * factor.reshape(-1, *[1] * (weight.dim() - 1))
    layer.weight = nn.Parameter(scaled.to(weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter((bias * factor + offset).to(weight.dtype), requires_grad=False)
    return layer


def affine(norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the offset per channel, float64, that a batch normalisation applies in evaluation mode."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch normalisation without running statistics is no affine map and cannot be folded")
    factor = torch.rsqrt(norm.running_var.detach().double() + norm.eps)
    offset = torch.zeros_like(factor)
    if norm.affine:
        factor = factor * norm.weight.detach().double()
        offset = norm.bias.detach().double()
    return factor, offset - norm.running_mean.detach().double() * factor
