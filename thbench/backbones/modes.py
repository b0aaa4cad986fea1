"""Networks made ready to run: the published numbers as fast as they go (`exact`), or marked approximations (`fast`).

Both fold batch normalisations into convolutions and lay weights out with the channels last, 3-D ones too, which is what
convolutions of CPUs and of tensor cores want. `fast` holds convolutions in bfloat16, whose products are summed in
float32, and keeps linear layers, averages and distances in float32; its numbers differ from the published ones and
belong under protocol names of their own. A processor that gains nothing by bfloat16 multiplies the same numbers in
float32. Nothing here depends on a device: a prepared network is moved with `.to`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from thbench.backbones.convolution import Convolution
from thbench.backbones.folding import fold_batch_norms
from thbench.backbones.mode_names import MODES, Mode
from thbench.backbones.syncnet import LipTower, SyncNet
from thbench.errors import UsageError, did_you_mean

__all__ = ["MODES", "Mode", "prepare"]

if TYPE_CHECKING:
    from collections.abc import Iterator

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_BETWEEN = (nn.PReLU, nn.BatchNorm2d, nn.BatchNorm3d)


def prepare(network: ModuleT, mode: Mode) -> ModuleT:
    """Return a copy of a network that computes the same, or nearly the same, in less time.

    Args:
        network: One of `thbench.backbones` in evaluation mode; it is left as it is. A TorchScript program is published
            as a program and returned unchanged.
        mode: `exact` or `fast`.

    Returns:
        A network with the same methods for inference only. Inputs are as before, outputs float32; the state dict has
        other keys.

    Raises:
        UsageError: There is no such mode.
        ValueError: The network is in training mode.
    """
    if mode not in MODES:
        raise UsageError(f"there is no mode {mode!r}{did_you_mean(mode, MODES)}; networks run `exact` or `fast`")
    if isinstance(network, torch.jit.ScriptModule):
        return network
    prepared = fold_batch_norms(network).requires_grad_(requires_grad=False)
    if isinstance(prepared, SyncNet):
        prepared.netcnnlip = LipTower(prepared.netcnnlip)
    if mode == "fast":
        _lower(prepared)
    for parent in list(prepared.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                setattr(parent, name, Convolution(layer))
    return prepared


def _lower(network: nn.Module) -> None:
    """Hold convolutions and what stands between them in bfloat16; each layer takes whatever its neighbour hands it."""
    kept = {id(layer) for parent in network.modules() for layer in _in_float32(parent)}
    for layer in network.modules():
        if isinstance(layer, (*_CONVOLUTIONS, *_BETWEEN)) and id(layer) not in kept:
            layer.to(torch.bfloat16)
        if isinstance(layer, (*_BETWEEN, nn.Linear)):
            layer.register_forward_pre_hook(_cast)


def _in_float32(parent: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers below the children that a network's class attribute `IN_FLOAT32` names."""
    for name in getattr(parent, "IN_FLOAT32", ()):
        yield from getattr(parent, name).modules()


def _cast(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    weight = layer.weight
    return (inputs[0].to(weight.dtype), *inputs[1:]) if isinstance(weight, torch.Tensor) else inputs
