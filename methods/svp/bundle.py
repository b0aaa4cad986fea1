"""All that SVP needs beside a request. The authors published no weights; the small preset has its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.heads import read_sound, read_video, seen_heads
from thbench_methods.common.presets import shipped
from thbench_methods.dreamtalk.faces import UNIT, face_of
from thbench_methods.dreamtalk.mean_face import MeanFace, measured_face
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.svp.key_points import key_points_of
from thbench_methods.svp.networks import SVP
from thbench_methods.svp.spec import GENERATED, NONE, SAMPLED, STILL

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import SIDE, resized
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.dreamtalk.faces import Face
    from thbench_methods.hallo.portrait import Outlines
    from thbench_methods.nets.speech.encoder import SpeechEncoder
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from thbench_methods.svp.config import Config
    from torch import Tensor

FILE = Path(__file__).parent / "mini.safetensors"
LONGEST = 15_000
"""Frames that are read of a video whose head is followed."""
NAME = "svp"


class Looked(NamedTuple):
    """What is known of a portrait."""

    outlines: Outlines
    face: Tensor
    """Embedding of the mini identity network, (1, embedding)."""
    key_points: Tensor
    """Shape (3, 2), in shares of the picture."""
    coefficients: Face
    """Expressions and pose, one row."""


class StyleClip(NamedTuple):
    """What the style extractor reads."""

    expression: Tensor
    """Shape (1, frames, expression)."""
    audio: Tensor
    """Shape (1, frames, audio)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the small preset loads."""

    config: Config
    networks: SVP
    vae: AutoencoderKL
    speech: SpeechEncoder
    mean_face: MeanFace
    """Moves portraits to other expressions."""

    def look(self, picture: NDArray[np.uint8]) -> Looked:
        """Look at a portrait (size, size, 3).

        Raises:
            MethodError: It shows no head like those of synth-heads.
        """
        small = resized(picture, SIDE)
        seen = seen_heads(NAME, small[None], "the portrait")
        with torch.inference_mode():
            face = loaded.identity()(as_input(whole_frame(small, loaded.identity().INPUT_SIZE)[None]))
        points = torch.from_numpy(seen.landmarks[0] / SIDE)
        coefficients = face_of(seen.expression, seen.pose, seen.landmarks)
        return Looked(outlines68(seen.landmarks[0] / SIDE), face, key_points_of(points), coefficients)

    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return hidden layers (frames, layers, width) of a sound at 16 kHz."""
        return self.speech.features(sound, frames, self.config.base.fps)

    def style_clip(self, path: Path, control: str) -> StyleClip:
        """Read the start of a video as a style clip.

        Raises:
            MethodError: It is no video with sound of a synth-heads-like head.
        """
        sizes, what = self.config.style, f"{NAME}: {control}"
        frames = read_video(what, path, self.config.base.fps, sizes.longest * sizes.every, (SAMPLED, NONE))
        audio = self.hear(read_sound(what, path), len(frames))
        seen = seen_heads(NAME, frames[:: sizes.every], f"the video of {control}")
        return StyleClip(*style_inputs(seen.expression, audio, sizes.every))

    def head_track(self, path: Path) -> Tensor:
        """Return the key points (frames, 3, 2) of a video, in shares of the picture.

        Raises:
            MethodError: It is no video of a synth-heads-like head.
        """
        frames = read_video(f"{NAME}: head", path, self.config.base.fps, LONGEST, (GENERATED, STILL))
        return key_points_of(torch.from_numpy(seen_heads(NAME, frames, "the video of head").landmarks / SIDE))


def style_inputs(expression: NDArray[np.float32], hidden: Tensor, every: int) -> tuple[Tensor, Tensor]:
    """Return what the extractor reads, (1, n, expression) and (1, n, audio).

    Args:
        expression: Of every so manieth frame, range [0, 1], shape (n, 53).
        hidden: Layers of the speech encoder of all frames, shape (frames, layers, width); the last is taken.
        every: Frames from one that is read to the next.
    """
    return UNIT * torch.from_numpy(expression)[None], hidden[::every, -1][None]


@cache
def _measured() -> dict[str, Tensor]:
    """The mean head, measured once: it takes a second or two."""
    return measured_face()


def load_mini(config: Config) -> Bundle:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    networks = SVP(config)
    load_weights(shipped(FILE), networks)
    shipped(SPEECH_FILE)
    # Tokens of an image then lie in memory as convolutions leave them.
    networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean_face = MeanFace()
    mean_face.load_state_dict(_measured())
    return Bundle(config, networks, load_mini_vae(), load_speech_encoder(), mean_face)
