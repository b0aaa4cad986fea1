"""Speech features for DreamTalk, two for each frame: wav2vec 2.0 as published, or the mini speech encoder."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.common.sound import RATE
from thbench_methods.dreamtalk.motion import FEATURES_PER_FRAME

from thbench.errors import MissingExtraError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.nets.speech.encoder import SpeechEncoder
    from torch import Tensor

STRIDE, FIELD = 320, 400
"""Samples from one feature of wav2vec 2.0 to the next, and samples that one sees before the transformer."""
CHUNK_SECONDS = 60
"""Longer sound is heard in pieces: attention grows with the square of the length."""
VARIANCE_FLOOR = 1e-7


class Wav2Vec:
    """The last hidden state of a local wav2vec 2.0 checkpoint of transformers; nothing is downloaded."""

    def __init__(self, folder: Path, width: int) -> None:
        """Load the checkpoint.

        Args:
            folder: As saved by transformers.
            width: Values of a feature that are wanted of it.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsMismatchError: The folder holds no such model, or one of another width.
        """
        try:
            transformers = importlib.import_module("transformers")
        except ModuleNotFoundError as error:
            raise MissingExtraError("transformers", "text", f"speech encoder {folder.name}") from error
        try:
            self.model: Any = transformers.AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsMismatchError(
                f"{folder} holds no speech encoder that transformers can read ({reason}); get the published folder"
            ) from error
        if self.model.config.hidden_size != width:
            raise WeightsMismatchError(
                f"{folder} has features of {self.model.config.hidden_size} values and the denoising network takes"
                f" {width}; get the published folder"
            )

    @torch.inference_mode()
    def __call__(self, samples: NDArray[np.floating], frames: int, fps: float) -> Tensor:
        """Return features (2 frames, width) of a sound at 16 kHz.

        Samples are brought to mean 0 and variance 1, as its processor does. Without silence behind the sound the
        convolutions end up to two features early, and the last frame would be lost.
        """
        sound = torch.from_numpy(samples).float()
        piece = round(CHUNK_SECONDS * fps)
        parts = []
        for start in range(0, frames, piece):
            count = min(piece, frames - start)
            first, last = round(start / fps * RATE), round((start + count) / fps * RATE)
            parts.append(self._piece(sound[first:last], FEATURES_PER_FRAME * count))
        return torch.cat(parts)

    def _piece(self, sound: Tensor, rows: int) -> Tensor:
        normal = (sound - sound.mean()) / (sound.var(unbiased=False) + VARIANCE_FLOOR).sqrt()
        needed = FIELD + STRIDE * (rows - 1)
        padded = torch.nn.functional.pad(normal, (0, max(needed - len(normal), 0)))
        features: Tensor = self.model(padded[None].to(self.model.device)).last_hidden_state[0, :rows]
        return features


def all_layers(encoder: SpeechEncoder, samples: NDArray[np.floating], frames: int, fps: float) -> Tensor:
    """Return all layers of the mini encoder side by side, (2 frames, layers x width), of a sound at 16 kHz."""
    rate = FEATURES_PER_FRAME
    return encoder.features(samples, rate * frames, rate * fps).flatten(1)
