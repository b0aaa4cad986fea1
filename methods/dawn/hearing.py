"""What DAWN hears: HuBERT's last hidden state, or the last layer of the mini speech encoder, a row per video frame.

Source: Hanbo-Cheng/DAWN-pytorch, unified_video_generator.py; the segments are those of AD-NeRF and GeneFace.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from thbench_methods.nets.speech import load_speech_encoder

from thbench.errors import MissingExtraError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

KERNEL, STRIDE = 400, 320
"""Samples that one feature of HuBERT's convolutions sees, and from one to the next."""
SEGMENT = 1000 * STRIDE
"""Samples that are heard at once, beside the overlap that the last feature of a segment needs."""
VARIANCE_FLOOR = 1e-7


class Hearing(Protocol):
    """Sound to features."""

    def __call__(self, samples: NDArray[np.float32], frames: int, fps: float) -> Tensor:
        """Return (frames, width) of a sound at 16 kHz that lasts as long as the frames."""
        ...


class MiniHearing:
    """The last layer of the mini speech encoder."""

    def __init__(self) -> None:
        self._encoder = load_speech_encoder()

    def __call__(self, samples: NDArray[np.float32], frames: int, fps: float) -> Tensor:
        """See `Hearing`."""
        return self._encoder.features(samples, frames, fps)[:, -1]


class Hubert:
    """The last hidden state of a local HuBERT of transformers; nothing is downloaded."""

    def __init__(self, folder: Path, width: int, device: torch.device) -> None:
        """Load the checkpoint.

        Args:
            folder: As saved by transformers.
            width: Of the features that the denoising network takes.
            device: Where it runs.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsMismatchError: The folder holds no such model, or one of another width.
        """
        try:
            transformers = importlib.import_module("transformers")
        except ModuleNotFoundError as error:
            raise MissingExtraError("transformers", "text", f"speech encoder {folder.name}") from error
        try:
            model: Any = transformers.HubertModel.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsMismatchError(
                f"{folder} holds no HuBERT that transformers can read ({reason}); get the published folder"
            ) from error
        if model.config.hidden_size != width:
            raise WeightsMismatchError(
                f"{folder} has features of {model.config.hidden_size} values and the denoising network takes {width};"
                " get the published folder"
            )
        self._model = model.to(device).eval()
        self._device = device

    @torch.inference_mode()
    def __call__(self, samples: NDArray[np.float32], frames: int, fps: float) -> Tensor:
        """See `Hearing`: heard in segments of 20 s, then interpolated from the first feature to the last."""
        del fps
        sound = torch.from_numpy(samples).float().to(self._device)
        sound = (sound - sound.mean()) / (sound.var(unbiased=False) + VARIANCE_FLOOR).sqrt()
        parts = [self._model(part[None]).last_hidden_state[0] for part in segments(sound)]
        features = expected(torch.cat(parts) if parts else sound.new_zeros(0, self._model.config.hidden_size), sound)
        return F.interpolate(features.T[None], size=frames, mode="linear", align_corners=True)[0].T


def segments(sound: Tensor) -> list[Tensor]:
    """Return the pieces of a sound (samples,) that are heard one by one; the last is left out where it is too short."""
    whole = len(sound) // SEGMENT
    pieces = [sound[SEGMENT * number : SEGMENT * (number + 1) + KERNEL - STRIDE] for number in range(whole)]
    rest = sound[SEGMENT * whole :]
    return [*pieces, rest] if len(rest) >= KERNEL else pieces


def expected(features: Tensor, sound: Tensor) -> Tensor:
    """Return features cut, or with zeros behind, to as many as the whole sound has; at least one."""
    count = max((len(sound) - (KERNEL - STRIDE)) // STRIDE, 1)
    return F.pad(features[:count], (0, 0, 0, max(count - len(features), 0)))
