"""All that Hallo needs: its networks, the autoencoder, a speech encoder, and what looks at the portrait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.hallo.networks import Hallo
from thbench_methods.hallo.portrait import LIPS, LIPS68, SILHOUETTE, Outlines
from thbench_methods.nets.building import build
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.speech.hidden_layers import HiddenLayers
from thbench_methods.nets.vae.autoencoder import AutoencoderKL, load_mini_vae, read_published

from thbench.backbones.checkpoint import read_state_dict
from thbench.errors import MethodError, MissingExtraError
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.hallo.config import Config
    from torch import Tensor

    from thbench.faces import Face

FILE = Path(__file__).parent / "mini.safetensors"
PUBLISHED = {
    "networks": "net.pth",
    "vae": "sd-vae-ft-mse",
    "speech": "wav2vec2-base-960h",
    "recogniser": "glintr100.onnx",
}
"""Files and folders as the authors list them."""
Hear = Callable[["NDArray[np.float32]", int, float], "Tensor"]
"""Samples at 16 kHz, frames and rate to hidden layers (frames, layers, channels)."""


class Looked(NamedTuple):
    """What is known of a portrait."""

    outlines: Outlines
    face: Tensor
    """Embedding of the face recogniser, (1, embedding)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a preset loads."""

    networks: Hallo
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
    networks = Hallo(config)
    load_weights(shipped(FILE), networks)
    shipped(SPEECH_FILE)
    # Tokens of an image then lie in memory as convolutions leave them.
    networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Bundle(networks, load_mini_vae(), load_speech_encoder().features, look_mini)


def load_published(config: Config) -> Bundle:
    """Load the published checkpoints from the weights folder, strictly.

    The published inference separates the voice from music first (Kim_Vocal_2); speech is taken as it is here.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
        MissingExtraError: transformers or onnxruntime is not installed.
    """
    paths = own_files("hallo", PUBLISHED)
    networks = build(lambda: Hallo(config), read_state_dict(paths["networks"]), source=str(paths["networks"]))
    vae = read_published(vae_state(paths["vae"]), config.vae, source=str(paths["vae"]))
    return Bundle(networks, vae.eval(), HiddenLayers(paths["speech"]).features, Recogniser(paths["recogniser"]))


def vae_state(folder: Path) -> dict[str, Tensor]:
    """Return the state of the autoencoder in a published folder; safetensors where it has both formats."""
    names = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
    return read_state_dict(next((folder / name for name in names if (folder / name).is_file()), folder / names[0]))


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
        raise MethodError("hallo@mini sees no head like those of synth-heads in the portrait; use hallo@paper for it")
    with torch.inference_mode():
        embedding = identity()(as_input(whole_frame(picture, identity().INPUT_SIZE)[None]))
    return Looked(outlines68(seen.landmarks[0] / faces.SIDE), embedding)


def outlines68(points: NDArray[np.floating]) -> Outlines:
    """Return the outlines among 68 points (68, 2), in shares of the picture."""
    known = points.astype(np.float64)
    return Outlines(known, known[LIPS68])


class Recogniser:
    """Landmarks by the face landmarker, and the published face recogniser's embedding."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingExtraError("onnxruntime", "oracle", f"face recogniser {path.name}") from error
        self._session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, picture: NDArray[np.uint8]) -> Looked:
        """Look at a portrait.

        Raises:
            MethodError: It shows no face.
        """
        from thbench.faces import FaceTracker, arcface_crop

        with FaceTracker() as tracker:
            found: Face | None = tracker.find(picture)
        if found is None:
            raise MethodError("no face was found in the portrait; use a portrait in which the face is visible")
        size = np.array([picture.shape[1], picture.shape[0]], np.float64)
        points = found.points[:, :2] / size
        aligned = arcface_crop(picture, found).astype(np.float32)
        inputs = ((aligned - 127.5) / 127.5).transpose(2, 0, 1)[None]
        name = self._session.get_inputs()[0].name
        (embedding,) = self._session.run(None, {name: inputs})
        return Looked(Outlines(points[list(SILHOUETTE)], points[list(LIPS)]), torch.from_numpy(embedding))
