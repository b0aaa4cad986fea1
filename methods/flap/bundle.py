"""All that FLAP needs beside a request. The authors published no weights; the small preset has its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.heads import read_video, seen_heads
from thbench_methods.common.presets import shipped
from thbench_methods.flap.coefficients import coefficients
from thbench_methods.flap.networks import FLAP
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.vae.autoencoder import load_mini_vae

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import SIDE, resized
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.flap.config import Config
    from thbench_methods.hallo.portrait import Outlines
    from thbench_methods.nets.speech.encoder import SpeechEncoder
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from torch import Tensor

FILE = Path(__file__).parent / "mini.safetensors"
LONGEST = 15_000
"""Frames that are read of a video whose head or face is followed."""
NAME = "flap"


class Looked(NamedTuple):
    """What is known of a portrait."""

    outlines: Outlines
    identity: Tensor
    """Embedding of the mini identity network, (1, embedding)."""
    own: Tensor
    """Its head coefficients, (total,)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the small preset loads."""

    config: Config
    networks: FLAP
    vae: AutoencoderKL
    speech: SpeechEncoder

    def look(self, picture: NDArray[np.uint8]) -> Looked:
        """Look at a portrait (size, size, 3).

        Raises:
            MethodError: It shows no head like those of synth-heads.
        """
        small = resized(picture, SIDE)
        seen = seen_heads(NAME, small[None], "the portrait")
        with torch.inference_mode():
            identity = loaded.identity()(as_input(whole_frame(small, loaded.identity().INPUT_SIZE)[None]))
        return Looked(outlines68(seen.landmarks[0] / SIDE), identity, coefficients(seen.pose, seen.expression)[0])

    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return speech features (frames, audio) of a sound at 16 kHz: the last layer of the speech encoder."""
        return self.speech.features(sound, frames, self.config.base.fps)[:, -1]

    def video_track(self, path: Path, control: str, words: Collection[str]) -> Tensor:
        """Return the head coefficients (frames, total) of a video.

        Raises:
            MethodError: It is no video of a synth-heads-like head.
        """
        frames = read_video(f"{NAME}: {control}", path, self.config.base.fps, LONGEST, words)
        seen = seen_heads(NAME, frames, f"the video of {control}")
        return coefficients(seen.pose, seen.expression)


def load_mini(config: Config) -> Bundle:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    networks = FLAP(config)
    load_weights(shipped(FILE), networks)
    shipped(SPEECH_FILE)
    # Tokens of an image then lie in memory as convolutions leave them.
    networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Bundle(config, networks, load_mini_vae(), load_speech_encoder())
