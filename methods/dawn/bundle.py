"""All networks of DAWN, from published or shipped files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.dawn.checkpoints import load_diffusion, load_flow_generator, load_pbnet
from thbench_methods.dawn.diffusion import A2VFDM
from thbench_methods.dawn.face_mask import FaceMaskEncoder, published_encoder
from thbench_methods.dawn.head import MeanHead
from thbench_methods.dawn.hearing import Hubert, MiniHearing
from thbench_methods.dawn.lfg import flow_generator
from thbench_methods.dawn.pbnet import PBNet
from thbench_methods.dawn.state import QUANTILES, read_by_landmarks, read_by_mini_face
from torch import Tensor, nn

from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.dawn.config import Config
    from thbench_methods.dawn.hearing import Hearing
    from thbench_methods.dawn.lfg import LatentFlowGenerator
    from thbench_methods.dawn.state import Frame, State

LFG_FILE = Path(__file__).parent / "mini_lfg.safetensors"
A2V_FILE = Path(__file__).parent / "mini_a2v.safetensors"
PBNET_FILE = Path(__file__).parent / "mini_pbnet.safetensors"
PUBLISHED_SEED = 1234
"""Of the face-mask encoder that the released A2V-FDM was, by its scripts, trained beside."""


class MaskedDiffusion(nn.Module):
    """A2V-FDM, and the face-mask encoder and the mean head that it was trained beside, which belong together."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.diffusion = A2VFDM(config.unet, config.diffusion.train_steps)
        self.face = FaceMaskEncoder()
        self.head = MeanHead()


class PoseAndBlink(nn.Module):
    """The two networks of PBNet, and what its lids are like beside real ones."""

    lids: Tensor
    """Shape (2, 2 quantiles): of how far lids are open, as generated and in training; see `state.as_real_lids`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.pose = PBNet(config.pose)
        self.blink = PBNet(config.blink)
        self.register_buffer("lids", torch.linspace(0, 1, 2 * QUANTILES).repeat(2, 1))


@dataclass(frozen=True, slots=True)
class Networks:
    """What a clip needs."""

    lfg: LatentFlowGenerator
    diffusion: A2VFDM
    face: FaceMaskEncoder
    pose: PBNet
    blink: PBNet
    hear: Hearing
    read: Callable[[Frame], State]
    """A portrait's state."""
    lids: Tensor | None
    """As of `PoseAndBlink`; None leaves lids as PBNet says."""
    head: MeanHead | None
    """How a head moves as its pose and lids say, where the diffusion tells what is beyond that."""
    reads_whole: bool
    """Whether the state is read in the portrait as it is, and not in the square that the networks see."""


def load_mini(config: Config, device: torch.device) -> Networks:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: One is damaged or of another network.
    """
    lfg, masked, pbnet = flow_generator(config.lfg), MaskedDiffusion(config), PoseAndBlink(config)
    for file, network in ((LFG_FILE, lfg), (A2V_FILE, masked), (PBNET_FILE, pbnet)):
        load_weights(shipped(file), network)
        network.to(device)
    return Networks(
        lfg,
        masked.diffusion,
        masked.face,
        pbnet.pose,
        pbnet.blink,
        MiniHearing(),
        read_by_mini_face,
        pbnet.lids,
        masked.head,
        reads_whole=False,
    )


def load_published(config: Config, device: torch.device) -> Networks:
    """Load the published checkpoints from the weights folder, strictly.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
    """
    paths = own_files("dawn", published_files(config))
    return Networks(
        load_flow_generator(paths["lfg"]).to(device),
        load_diffusion(paths["diffusion"], config.unet).to(device),
        published_encoder(PUBLISHED_SEED).to(device).eval(),
        load_pbnet(paths["pose"], config.pose).to(device),
        load_pbnet(paths["blink"], config.blink).to(device),
        Hubert(paths["speech"], config.unet.audio, device),
        read_by_landmarks,
        lids=None,
        head=None,
        reads_whole=True,
    )


def published_files(config: Config) -> dict[str, str]:
    """Return the names of the authors' files, by part."""
    size = config.image_size
    return {
        "lfg": {128: "LFG_128_1000ep.pth", 256: "LFG_256_400ep.pth"}[size],
        "diffusion": f"DAWN_{size}.pth",
        "pose": "checkpoint_40000.pth.tar",
        "blink": "checkpoint_95000.pth.tar",
        "speech": "hubert-large-ls960-ft",
    }
