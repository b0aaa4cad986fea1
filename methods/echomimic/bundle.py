"""All that EchoMimic needs: its networks, the autoencoder, a speech encoder, and what finds the face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.heads import seen_heads
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.echomimic.networks import DenoisingUNet, EchoMimic
from thbench_methods.echomimic.whisper import load_whisper
from thbench_methods.hallo.bundle import outlines68, vae_state
from thbench_methods.hallo.portrait import LIPS, SILHOUETTE, Outlines
from thbench_methods.nets.building import build
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.reference import ReferenceUNet
from thbench_methods.nets.vae.autoencoder import AutoencoderKL, load_mini_vae, read_published

from thbench.backbones.checkpoint import read_state_dict
from thbench.errors import MethodError
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from thbench_methods.echomimic.config import Config
    from torch import Tensor

NAME, ACC_NAME = "echomimic", "echomimic-acc"
"""Of the methods, for errors."""
FILE = Path(__file__).parent / "mini.safetensors"
ACC_FILE = Path(__file__).parent / "mini_acc.safetensors"
"""The denoising network of the small accelerated preset; everything else is in the other file."""
PUBLISHED = {
    "denoising": "denoising_unet.pth",
    "motion": "motion_module.pth",
    "reference": "reference_unet.pth",
    "locator": "face_locator.pth",
    "vae": "sd-vae-ft-mse",
    "speech": "whisper_tiny.pt",
}
"""Files and folders as the authors list them."""
PUBLISHED_ACC = {**PUBLISHED, "denoising": "denoising_unet_acc.pth", "motion": "motion_module_acc.pth"}
"""The same of the accelerated preset."""
MOTION = ".motion_modules."
"""In the keys of the motion modules."""
Hear = Callable[["NDArray[np.float32]", int, float], "Tensor"]
"""Samples at 16 kHz, frames and rate to features of all layers (n, layers, channels), at the rate of `Hearing`."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a preset loads."""

    networks: EchoMimic
    vae: AutoencoderKL
    hear: Hear
    look: Callable[[NDArray[np.uint8]], Outlines]
    """Square RGB picture to the landmarks of its face; refuses one without."""


def load_mini(config: Config, name: str = NAME) -> Bundle:
    """Load the shipped weights, strictly.

    Args:
        config: Sizes and settings.
        name: Of the method, for errors.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    networks = EchoMimic(config)
    load_weights(shipped(FILE), networks)
    shipped(SPEECH_FILE)
    # Tokens of an image then lie in memory as convolutions leave them.
    networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Bundle(networks, load_mini_vae(), load_speech_encoder().features, partial(look_mini, name=name))


def load_mini_acc(config: Config) -> Bundle:
    """Load the shipped weights of the accelerated preset, strictly; raises as `load_mini`."""
    bundle = load_mini(config, ACC_NAME)
    load_weights(shipped(ACC_FILE), bundle.networks.denoising_unet)
    return bundle


def load_published(config: Config) -> Bundle:
    """Load the published checkpoints from the weights folder, strictly.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
    """
    return _published(config, PUBLISHED, NAME)


def load_published_acc(config: Config) -> Bundle:
    """Load the published checkpoints of the accelerated preset; raises as `load_published`."""
    return _published(config, PUBLISHED_ACC, ACC_NAME)


def look_mini(picture: NDArray[np.uint8], name: str = NAME) -> Outlines:
    """Look at a portrait (128, 128, 3) by the mini face regressor.

    Args:
        picture: RGB.
        name: Of the method, for errors.

    Raises:
        MethodError: It sees no head like those of synth-heads.
    """
    seen = seen_heads(name, picture[None], "the portrait")
    return outlines68(seen.landmarks[0] / picture.shape[0])


def look_published(picture: NDArray[np.uint8], name: str = NAME) -> Outlines:
    """Look at a portrait by the face landmarker.

    Args:
        picture: RGB.
        name: Of the method, for errors.

    Raises:
        MethodError: It shows no face.
    """
    from thbench.faces import FaceTracker

    with FaceTracker() as tracker:
        found = tracker.find(picture)
    if found is None:
        raise MethodError(f"{name} found no face in the portrait; use a portrait in which the face is visible")
    points = found.points[:, :2] / np.array([picture.shape[1], picture.shape[0]], np.float64)
    return Outlines(points[list(SILHOUETTE)], points[list(LIPS)])


def joined(denoising: Mapping[str, Tensor], motion: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the denoising network of two published files.

    The release loads the file of the motion modules first and the other one over it, which may hold them too.
    """
    return {**{key: value for key, value in motion.items() if MOTION in key}, **denoising}


def _published(config: Config, files: Mapping[str, str], name: str) -> Bundle:
    paths = own_files(name, files)
    state = {part: read_state_dict(paths[part]) for part in ("denoising", "motion", "reference", "locator")}
    with torch.device("meta"):
        networks = EchoMimic(config).eval()
    networks.denoising_unet = build(
        lambda: DenoisingUNet(config.unet),
        joined(state["denoising"], state["motion"]),
        source=f"{paths['denoising']} with {paths['motion'].name}",
    )
    networks.reference_unet = build(
        lambda: ReferenceUNet(config.reference), state["reference"], source=str(paths["reference"])
    )
    networks.face_locator = build(
        lambda: FaceLocator(config.unet.channels[0], inputs=1, widths=config.locator),
        state["locator"],
        source=str(paths["locator"]),
    )
    vae = read_published(vae_state(paths["vae"]), config.vae, source=str(paths["vae"]))
    whisper = load_whisper(paths["speech"])
    look = partial(look_published, name=name)
    return Bundle(networks, vae.eval(), lambda sound, frames, fps: whisper.features(sound), look)
