"""All hidden layers of a published wav2vec 2.0 or HuBERT encoder, one feature per layer and video frame.

The output of the convolutions is brought to the video's frame rate before the transformer reads it, as MoDA and Hallo
do. Source: lixinyyang/MoDA, src/models/audio/hubert.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from thbench.errors import MissingExtraError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

RATE = 16_000
CHUNK_SECONDS = 60
MARGIN = 40
"""Samples that the convolutions need beyond a whole number of steps, on either side."""
VARIANCE_FLOOR = 1e-7


class HiddenLayers:
    """A local checkpoint of transformers; nothing is downloaded."""

    def __init__(self, folder: Path) -> None:
        """Load the checkpoint.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsMismatchError: The folder holds no such model.
        """
        try:
            from transformers import AutoModel
        except ModuleNotFoundError as error:
            raise MissingExtraError("transformers", "text", f"speech encoder {folder.name}") from error
        try:
            self._model: Any = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsMismatchError(
                f"{folder} holds no speech encoder that transformers can read ({reason}); get the published folder"
            ) from error

    @torch.inference_mode()
    def features(self, samples: NDArray[np.floating], frames: int, fps: float) -> Tensor:
        """Return hidden layers (frames, layers, width) of a sound at 16 kHz, without the transformer's input.

        Sound is heard in pieces of at most a minute, each of mean 0 and variance 1.
        """
        sound = torch.from_numpy(samples).float()
        piece = round(CHUNK_SECONDS * fps)
        parts = []
        for start in range(0, frames, piece):
            count = min(piece, frames - start)
            first, last = round(start / fps * RATE), round((start + count) / fps * RATE)
            parts.append(self._piece(sound[first:last], count))
        return torch.cat(parts)

    def _piece(self, sound: Tensor, frames: int) -> Tensor:
        normal = (sound - sound.mean()) / (sound.var(unbiased=False) + VARIANCE_FLOOR).sqrt()
        padded = F.pad(normal[None], (MARGIN, MARGIN), mode="reflect" if len(sound) > MARGIN else "replicate")
        heard = self._model.feature_extractor(padded)
        resampled = F.interpolate(heard, size=frames, mode="linear", align_corners=True).transpose(1, 2)
        projected = self._model.feature_projection(resampled)
        inputs = projected[0] if isinstance(projected, tuple) else projected
        hidden = self._model.encoder(inputs, output_hidden_states=True).hidden_states
        return torch.stack(hidden[1:], dim=2)[0]
