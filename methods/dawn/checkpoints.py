"""Reads the published weight files of DAWN.

Files (Hugging Face, Hanbo-Cheng/DAWN): `LFG_*.pth`, `DAWN_*.pth`, `pbnet_*/**/checkpoint_*.pth.tar`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench_methods.dawn.diffusion import A2VFDM
from thbench_methods.dawn.lfg import LatentFlowGenerator
from thbench_methods.dawn.pbnet import PBNet
from thbench_methods.nets.building import build

from thbench.backbones.checkpoint import read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    from thbench_methods.dawn.config import PBNetSizes, UNetSizes

LFG_ENTRIES = ("generator", "region_predictor", "bg_predictor")


def load_flow_generator(path: Path) -> LatentFlowGenerator:
    """Read the latent flow generator.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: It is not the published one.
    """
    state = {
        f"{entry}.{key}": tensor for entry in LFG_ENTRIES for key, tensor in read_state_dict(path, entry=entry).items()
    }
    return build(LatentFlowGenerator, state, source=str(path))


def load_diffusion(path: Path, sizes: UNetSizes) -> A2VFDM:
    """Read A2V-FDM; raises as `load_flow_generator`."""
    return build(lambda: A2VFDM(sizes), read_state_dict(path, entry="diffusion"), source=str(path))


def load_pbnet(path: Path, sizes: PBNetSizes) -> PBNet:
    """Read PBNet; raises as `load_flow_generator`."""
    return build(lambda: PBNet(sizes), read_state_dict(path), source=str(path))
