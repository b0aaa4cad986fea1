"""The mini speech encoder: log-mel spectrogram to hidden layers, one feature per layer and video frame.

It has the interface of a transformer speech encoder of which all hidden layers are read (MoDA, DreamTalk, Hallo), and
is trained on the visemes of synth-heads.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.nets.wav2lip_audio import PUBLISHED_MEL, log_mel
from torch import Tensor, nn

from thbench.training.weights import load_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = Path(__file__).parent / "mini.safetensors"
WIDTH, LAYERS, DILATIONS = 96, 4, (1, 2, 4, 2)


class Layer(nn.Module):
    """Dilated convolution over time and a network over channels, with the identity."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.time = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, columns) to the same shape."""
        y = F.gelu(self.norm(self.time(x).transpose(1, 2)))
        return x.add(self.mix(y).transpose(1, 2))


class SpeechEncoder(nn.Module):
    """Convolutions over the columns of a spectrogram; sees about a quarter of a second to either side."""

    width, layers = WIDTH, LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Conv1d(PUBLISHED_MEL.mels, WIDTH, 5, padding=2)
        self.blocks = nn.ModuleList(Layer(WIDTH, dilation) for dilation in DILATIONS)

    def forward(self, mel: Tensor, frames: int, fps: float) -> Tensor:
        """Return hidden layers at the times of video frames.

        Args:
            mel: Shape (N, columns, 80), from `log_mel`; column k lies at k / 80 s.
            frames: How many video frames.
            fps: Their rate.

        Returns:
            Shape (N, frames, layers, width).
        """
        x = F.gelu(self.input(mel.transpose(1, 2) / PUBLISHED_MEL.max_abs_value))
        hidden = []
        for block in self.blocks:
            x = block(x)
            hidden.append(x)
        return at_frames(torch.stack(hidden, dim=1), frames, fps).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def features(self, samples: NDArray[np.floating], frames: int, fps: float) -> Tensor:
        """Return hidden layers (frames, layers, width) of a sound at 16 kHz."""
        mel = torch.from_numpy(log_mel(samples)).to(self.input.weight)
        hidden: Tensor = self(mel[None], frames, fps)
        return hidden[0]


def at_frames(columns: Tensor, frames: int, fps: float) -> Tensor:
    """Return (..., frames): columns (..., n) read at the middle of each video frame, by linear interpolation."""
    places = (torch.arange(frames, device=columns.device) + 0.5) / fps * PUBLISHED_MEL.columns_per_second
    places = places.clamp(max=columns.shape[-1] - 1)
    before = places.floor().long()
    after = (before + 1).clamp(max=columns.shape[-1] - 1)
    return torch.lerp(columns[..., before], columns[..., after], (places - before).to(columns))


def load_speech_encoder(path: Path = FILE) -> SpeechEncoder:
    """Load the shipped weights, strictly.

    Args:
        path: Another training's.

    Raises:
        WeightsMismatchError: The file is damaged or of another network.
    """
    encoder = SpeechEncoder()
    load_weights(path, encoder)
    return encoder
