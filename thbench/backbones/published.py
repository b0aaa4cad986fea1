"""Networks from the files that were published: one function per file format, from path to network in evaluation mode.

Whether a file is the published one is checked by the weights registry before; here its keys must fit exactly.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from thbench.backbones.arcface import IResNet
from thbench.backbones.checkpoint import build, read_state_dict, read_torchscript
from thbench.backbones.hopenet import Hopenet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS, published_heads, trunk_state
from thbench.backbones.s3fd import S3FD
from thbench.backbones.sixdrepnet import SixDRepNet, merge_branches
from thbench.backbones.syncnet import SyncNet
from thbench.errors import WeightsMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch


def load_inception(path: Path) -> InceptionFID:
    """Load `pt_inception-2015-12-05-6726825d.pth`.

    Raises:
        MissingWeightsError: There is no such file; so for all functions here.
        WeightsMismatchError: It is damaged or another network's; so for all functions here.
    """
    return build(InceptionFID, read_state_dict(path), source=path.name)


def load_i3d(path: Path, *, pool_frames: int = 2) -> I3D:
    """Load `i3d_pretrained_400.pt` (VideoGPT); `pool_frames` as the protocol says."""
    return build(partial(I3D, pool_frames=pool_frames), read_state_dict(path), source=path.name)


def load_i3d_torchscript(path: Path) -> torch.jit.ScriptModule:
    """Load `i3d_torchscript.pt` (StyleGAN-V), a program that is run as it is."""
    return read_torchscript(path)


def load_syncnet(path: Path) -> SyncNet:
    """Load `syncnet_v2.model`."""
    return build(SyncNet, read_state_dict(path), source=path.name)


def load_s3fd(path: Path) -> S3FD:
    """Load `sfd_face.pth`."""
    return build(S3FD, read_state_dict(path), source=path.name)


def load_arcface(path: Path) -> IResNet:
    """Load a `backbone.pth` of insightface's arcface_torch; its depth is read from its keys."""
    state = read_state_dict(path)
    layers = [_blocks(state, stage) for stage in range(1, 5)]
    if not all(layers):
        raise WeightsMismatchError(f"{path.name} is no improved residual network: it lacks blocks layer1.0 to layer4.0")
    return build(partial(IResNet, layers), state, source=path.name)


def _blocks(keys: Iterable[str], stage: int) -> int:
    numbers = (re.match(rf"layer{stage}\.(\d+)\.", key) for key in keys)
    return 1 + max((int(number.group(1)) for number in numbers if number), default=-1)


def load_hopenet(path: Path) -> Hopenet:
    """Load `hopenet_robust_alpha1.pkl`."""
    return build(Hopenet, read_state_dict(path), source=path.name)


def load_sixdrepnet(path: Path) -> SixDRepNet:
    """Load a 6DRepNet: the published merged file, or a training checkpoint, which is merged here."""
    state = read_state_dict(path, optional_entry="model_state_dict")
    training = any("rbr_dense" in key for key in state)
    network = build(partial(SixDRepNet, deploy=not training), state, source=path.name)
    return merge_branches(network) if training else network


def load_lpips(trunk: str, path: Path) -> LPIPS:
    """Load LPIPS version 0.1.

    Args:
        trunk: `alex`, `vgg` or `squeeze`.
        path: torchvision's file of that network, e.g. `vgg16-397923af.pth`.
    """
    state = trunk_state(read_state_dict(path)) | published_heads(trunk)
    return build(partial(LPIPS, trunk), state, source=path.name)
