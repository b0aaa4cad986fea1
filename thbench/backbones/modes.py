"""Networks made ready to run: the published numbers as fast as they go (`exact`), or marked approximations (`fast`).

Both fold batch normalisations into convolutions and lay weights out with the channels last, 3-D ones too, which is what
convolutions of CPUs and of tensor cores want. `fast` rounds what convolutions multiply to 8 bits, and keeps all else in
float32, first layers, which see few channels, and heads among it; its numbers differ from the published ones and belong
under protocol names of their own. They are the same on every device but for the order in which products are added.
A prepared network is moved with `.to`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from thbench.backbones.convolution import Convolution, Int8Convolution
from thbench.backbones.folding import fold_batch_norms
from thbench.backbones.mode_names import MODES, Mode
from thbench.backbones.syncnet import LipTower, SyncNet
from thbench.errors import UsageError, did_you_mean

__all__ = ["MODES", "Mode", "prepare"]

if TYPE_CHECKING:
    from collections.abc import Iterator

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_FEW_CHANNELS = 4
"""Inputs of a layer that 8-bit products do not make faster: those of pictures and of spectra."""


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
    kept = {id(layer) for parent in prepared.modules() for layer in _in_float32(parent)}
    for parent in list(prepared.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                rounded = mode == "fast" and id(layer) not in kept and layer.in_channels > _FEW_CHANNELS
                setattr(parent, name, Int8Convolution(layer) if rounded else Convolution(layer))
    return prepared


def _in_float32(parent: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers below the children that a network's class attribute `IN_FLOAT32` names."""
    for name in getattr(parent, "IN_FLOAT32", ()):
        yield from getattr(parent, name).modules()
