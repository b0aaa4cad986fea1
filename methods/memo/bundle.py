"""All that MEMO needs: its networks, the autoencoder, a speech encoder, what hears emotions, what sees the portrait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.heads import seen_heads
from thbench_methods.common.presets import own_files, shipped
from thbench_methods.common.sound import RATE
from thbench_methods.hallo.bundle import Looked, Recogniser, outlines68, vae_state
from thbench_methods.memo.emotion import EmotionClassifier, PublishedFeel, voice_features
from thbench_methods.memo.networks import MEMO, DenoisingUNet
from thbench_methods.memo.reference import ReferenceNet
from thbench_methods.nets.building import build
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.speech.hidden_layers import HiddenLayers
from thbench_methods.nets.unet3d.projections import AudioProjModel, ImageProjModel
from thbench_methods.nets.vae.autoencoder import AutoencoderKL, load_mini_vae, read_published
from torch import nn

from thbench.backbones.checkpoint import read_state_dict
from thbench.backbones.mini import loaded
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.memo.config import Config
    from thbench_methods.memo.emotion import Feel
    from thbench_methods.nets.speech.encoder import SpeechEncoder
    from torch import Tensor

NAME = "memo"
FILE = Path(__file__).parent / "mini.safetensors"
PUBLISHED = {
    "denoising": "diffusion_net",
    "reference": "reference_net",
    "image": "image_proj",
    "audio": "audio_proj",
    "classifier": "audio_emotion_classifier",
    "emotion": "emotion2vec_plus_large",
    "vae": "sd-vae-ft-mse",
    "speech": "wav2vec2-base-960h",
    "recogniser": "glintr100.onnx",
}
"""Files and folders as the authors list them."""
STATE = "diffusion_pytorch_model.safetensors"
"""File of a network in its folder."""
Hear = Callable[["NDArray[np.float32]", int, float], "Tensor"]
"""Samples at 16 kHz, frames and rate to hidden layers (frames, layers, channels)."""


class Shipped(nn.Module):
    """What the file of the small preset holds."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.networks = MEMO(config)
        self.emotion = EmotionClassifier(config.emotion)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a preset loads."""

    networks: MEMO
    vae: AutoencoderKL
    hear: Hear
    feel: Feel
    look: Callable[[NDArray[np.uint8]], Looked]
    """Square RGB picture to what is known of it; refuses one without a face."""


@dataclass(frozen=True, slots=True)
class MiniFeel:
    """The small classifier on the mini speech encoder."""

    speech: SpeechEncoder
    classifier: EmotionClassifier
    fps: float

    @torch.inference_mode()
    def __call__(self, sound: NDArray[np.float32]) -> int:
        """Return the class of the emotion in a sound."""
        hidden = self.speech.features(sound, max(1, round(len(sound) / RATE * self.fps)), self.fps)
        return int(self.classifier(voice_features(hidden)[None]).argmax())


def load_mini(config: Config) -> Bundle:
    """Load the shipped weights, strictly.

    Raises:
        MissingWeightsError: A file was not installed.
        WeightsMismatchError: A file is damaged or of another network.
    """
    own = Shipped(config)
    load_weights(shipped(FILE), own)
    shipped(SPEECH_FILE)
    # Tokens of an image then lie in memory as convolutions leave them.
    own.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    speech = load_speech_encoder()
    feel = MiniFeel(speech, own.emotion, config.fps)
    return Bundle(own.networks, load_mini_vae(), speech.features, feel, look_mini)


def load_published(config: Config) -> Bundle:
    """Load the published checkpoints from the weights folder, strictly.

    The published inference separates the voice from music first (Kim_Vocal_2); speech is taken as it is here. It takes
    a portrait without a face as one of nobody; that is refused here.

    Raises:
        MissingWeightsError: A file is absent.
        WeightsMismatchError: A file is not the published one.
        MissingExtraError: transformers or onnxruntime is not installed.
    """
    paths = own_files(NAME, PUBLISHED)

    def state(part: str) -> dict[str, Tensor]:
        return read_state_dict(paths[part] / STATE)

    with torch.device("meta"):
        networks = MEMO(config).eval()
    sizes = config.unet
    networks.diffusion_net = build(
        lambda: DenoisingUNet(sizes, config.feed_forward), state("denoising"), source=str(paths["denoising"])
    )
    networks.reference_net = build(lambda: ReferenceNet(sizes), state("reference"), source=str(paths["reference"]))
    networks.image_proj = build(
        lambda: ImageProjModel(config.face, sizes.tokens), state("image"), source=str(paths["image"])
    )
    networks.audio_proj = build(
        lambda: AudioProjModel(config.audio, sizes.audio), state("audio"), source=str(paths["audio"])
    )
    classifier = build(lambda: EmotionClassifier(config.emotion), state("classifier"), source=str(paths["classifier"]))
    vae = read_published(vae_state(paths["vae"]), config.vae, source=str(paths["vae"]))
    return Bundle(
        networks,
        vae.eval(),
        HiddenLayers(paths["speech"]).features,
        PublishedFeel(paths["emotion"], classifier),
        Recogniser(paths["recogniser"]),
    )


def look_mini(picture: NDArray[np.uint8]) -> Looked:
    """Look at a portrait (128, 128, 3) by the mini networks of the metrics.

    Raises:
        MethodError: They see no head like those of synth-heads.
    """
    seen = seen_heads(NAME, picture[None], "the portrait")
    with torch.inference_mode():
        face = loaded.identity()(as_input(whole_frame(picture, loaded.identity().INPUT_SIZE)[None]))
    return Looked(outlines68(seen.landmarks[0] / picture.shape[0]), face)
