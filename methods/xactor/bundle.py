"""All that X-Actor needs: its networks, the autoencoder, a speech encoder, and what looks at the portrait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import torch
from thbench_methods.common.presets import shipped
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.hallo.portrait import FACE_REACH, SHADE, drawn
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.xactor.networks import Acted, Rendering
from torch import Tensor

from thbench.errors import MethodError, MissingWeightsError
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from thbench_methods.xactor.config import Config

RENDERING_FILE = Path(__file__).parent / "mini_rendering.safetensors"
ACTING_FILE = Path(__file__).parent / "mini_acting.safetensors"
Hear = Callable[["NDArray[np.float32]", int, float], "Tensor"]
"""Samples at 16 kHz, frames and rate to hidden layers (frames, layers, channels)."""


class Looked(NamedTuple):
    """What is known of a portrait."""

    landmarks: NDArray[np.floating]
    """Shape (68, 2): in shares of the picture's width and height."""
    embedding: Tensor
    """Shape (1, embedding): of the face."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a preset loads."""

    acted: Acted
    rendering: Rendering
    vae: AutoencoderKL
    hear: Hear
    look: Callable[[NDArray[np.uint8]], Looked]
    """Square RGB picture to what is known of it; refuses one without a face."""


def load_mini(config: Config) -> Bundle:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    acted, rendering = Acted(config), Rendering(config)
    load_weights(shipped(ACTING_FILE), acted)
    load_weights(shipped(RENDERING_FILE), rendering)
    shipped(SPEECH_FILE)
    # Tokens of an image then lie in memory as convolutions leave them.
    rendering.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Bundle(acted, rendering, load_mini_vae(), load_speech_encoder().features, look_mini)


def load_paper(config: Config) -> NoReturn:
    """Refuse: the authors publish no weights.

    Raises:
        MissingWeightsError: Always.
    """
    del config
    raise MissingWeightsError(
        "x-actor@paper cannot be run: its authors publish no weights; count it with `thbench flops`, or take the preset"
        " `mini`, whose weights come with thbench"
    )


def look_mini(picture: NDArray[np.uint8]) -> Looked:
    """Look at a portrait by the mini networks of the metrics.

    Raises:
        MethodError: They see no head like those of synth-heads.
    """
    from thbench.backbones.mini import face as faces
    from thbench.backbones.mini.loaded import face, identity
    from thbench.backbones.mini.whole_frame import as_input, whole_frame

    seen = faces.look(face(), faces.resized(picture, faces.SIDE)[None])
    if seen.presence[0] < faces.PRESENT:
        raise MethodError(
            "x-actor@mini sees no head like those of synth-heads in the portrait; give a portrait of such a head"
        )
    with torch.inference_mode():
        embedding = identity()(as_input(whole_frame(picture, identity().INPUT_SIZE)[None]))
    return Looked(seen.landmarks[0] / faces.SIDE, embedding)


def lit(landmarks: NDArray[np.floating], portrait: Tensor) -> Tensor:
    """Return a portrait (1, 3, size, size), range [0, 1], shaded outside its face: what the face locator sees."""
    box = drawn(outlines68(landmarks).face, FACE_REACH, portrait.shape[-1])
    inside = torch.from_numpy(box).to(portrait)[None, None] / 255
    return portrait * (SHADE + (1 - SHADE) * inside)
