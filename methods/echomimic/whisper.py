"""Whisper's speech encoder, in the key names of the published `tiny.pt`; every layer is heard.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", ICML 2023, section 2.2;
antgroup/echomimic at a53e970, src/models/whisper/, which keeps the input of the transformer and the output of each of
its blocks, before the last norm.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.nets.building import build
from thbench_methods.nets.unet3d.attention import attend
from thbench_methods.nets.wav2lip_audio import MelSettings, mel_filters
from torch import Tensor, nn

from thbench.backbones.checkpoint import read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MEL = MelSettings(n_fft=400, hop=160, mels=80, fmin=0.0, fmax=8000.0)
"""Of what is used here: windows, hop and bands."""
COLUMNS = 3000
"""Of the spectrogram that are heard at once, 30 seconds; what lacks is zero."""
LEAST, RANGE = 1e-10, 8.0
"""Least power, and decades below the loudest that are told apart."""
PREFIX, ENTRY = "encoder.", "model_state_dict"
"""Of the encoder's keys in the published file, and the entry that has them."""


class WhisperSizes(NamedTuple):
    """Sizes of the encoder; the defaults are those of `tiny`."""

    width: int = 384
    """Of a feature."""
    heads: int = 6
    """Of each attention."""
    blocks: int = 4
    """Of the transformer."""


TINY = WhisperSizes()


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.out(attend(self.query(x), self.key(x), self.value(x), self.heads))
        return mixed


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn, self.attn_ln = _Attention(width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x))
        mixed: Tensor = x + self.mlp(self.mlp_ln(x))
        return mixed


class WhisperEncoder(nn.Module):
    """Two convolutions, of which the second halves the rate to 50 per second, and a transformer."""

    positional_embedding: Tensor

    def __init__(self, sizes: WhisperSizes = TINY) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MEL.mels, sizes.width, 3, padding=1)
        self.conv2 = nn.Conv1d(sizes.width, sizes.width, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", torch.zeros(COLUMNS // 2, sizes.width))
        self.blocks = nn.ModuleList([_Block(sizes.width, sizes.heads) for _ in range(sizes.blocks)])
        self.ln_post = nn.LayerNorm(sizes.width)

    def forward(self, mel: Tensor) -> Tensor:
        """Map spectrograms (N, 80, 3000) to what every layer gives, (N, 1500, 1 + blocks, width)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2) + self.positional_embedding
        heard = [x]
        for block in self.blocks:
            x = block(x)
            heard.append(x)
        return torch.stack(heard, dim=2)

    @torch.inference_mode()
    def features(self, samples: NDArray[np.float32]) -> Tensor:
        """Return what every layer gives of a sound at 16 kHz, (n, 1 + blocks, width), 50 a second.

        The sound is heard in pieces of 30 seconds; the last one is filled with zeros, and what is given of it is as
        long as the sound.

        Args:
            samples: Shape (samples,), at least 201.
        """
        mel = whisper_mel(samples).to(self.conv1.weight)
        parts = []
        for start, end in pairwise([*range(0, mel.shape[1], COLUMNS), mel.shape[1]]):
            piece = F.pad(mel[:, start:end], (0, COLUMNS - (end - start)))
            parts.append(self(piece[None])[0, : (end - start) // 2])
        return torch.cat(parts)


def whisper_mel(samples: NDArray[np.float32]) -> Tensor:
    """Return the log-mel spectrogram (80, samples // 160): decades of power, 8 of them, halved and halved again.

    Args:
        samples: Shape (samples,), at 16 kHz, at least 201.
    """
    waves = torch.stft(
        torch.from_numpy(samples),
        MEL.n_fft,
        MEL.hop,
        window=torch.hann_window(MEL.n_fft),
        return_complex=True,
    )
    power = waves[:, :-1].abs().square()
    decades = (torch.from_numpy(mel_filters(MEL)).float() @ power).clamp(min=LEAST).log10()
    return (torch.maximum(decades, decades.max() - RANGE) + 4) / 4


def load_whisper(path: Path, sizes: WhisperSizes = TINY) -> WhisperEncoder:
    """Read the encoder of a published checkpoint, strictly; the decoder in it is left alone.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: It is no checkpoint of Whisper, or one of other sizes.
    """
    state = read_state_dict(path, entry=ENTRY)
    own = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
    return build(lambda: WhisperEncoder(sizes), own, source=str(path))
