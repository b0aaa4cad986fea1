"""Wav2Lip's audio front end: log-mel spectrogram, one window per video frame, and the audio encoder.

Source: Rudrabha/Wav2Lip, audio.py, hparams.py and models/wav2lip.py; Prajwal et al., "A Lip Sync Expert Is All You
Need", ACM MM 2020. The mel scale and its area norm are Slaney's, as in librosa.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MEL_PER_HZ, LINEAR_END, MEL_PER_LOG = 3 / 200, 1000.0, 27 / np.log(6.4)
"""Slaney's mel scale: linear up to 1 kHz, logarithmic above."""


@dataclass(frozen=True, slots=True)
class MelSettings:
    """Published settings of the spectrogram."""

    rate: int = 16_000
    """Samples per second of the sound."""
    n_fft: int = 800
    """Samples in a window, which is a periodic Hann window."""
    hop: int = 200
    """Samples from one column to the next."""
    mels: int = 80
    """Bands."""
    fmin: float = 55.0
    """Lower end of the lowest band in Hz."""
    fmax: float = 7600.0
    """Upper end of the highest band in Hz."""
    preemphasis: float = 0.97
    """Share of the previous sample that is taken away."""
    ref_level_db: float = 20.0
    """Level that counts as 0 dB."""
    min_level_db: float = -100.0
    """Level below which nothing is told apart."""
    max_abs_value: float = 4.0
    """Values span [-max_abs_value, max_abs_value]."""
    window_columns: int = 16
    """Columns that the encoder sees for one frame."""

    @property
    def columns_per_second(self) -> float:
        """Rate of the spectrogram."""
        return self.rate / self.hop


PUBLISHED_MEL = MelSettings()


def log_mel(samples: NDArray[np.floating], settings: MelSettings = PUBLISHED_MEL) -> NDArray[np.float32]:
    """Return the normalised log-mel spectrogram of a whole sound.

    Args:
        samples: Shape (samples,), mono at `settings.rate`.
        settings: The published ones unless stated.

    Returns:
        Shape (1 + samples // hop, mels), range [-4, 4].
    """
    sound = np.asarray(samples, dtype=np.float64)
    sharpened = sound - settings.preemphasis * np.concatenate(([0.0], sound))[: len(sound)]
    padded = np.pad(sharpened, settings.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)[:: settings.hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(settings.n_fft) / settings.n_fft)
    energy = np.abs(np.fft.rfft(frames * hann)) @ mel_filters(settings).T
    floor = 10 ** (settings.min_level_db / 20)
    level = 20 * np.log10(np.maximum(energy, floor)) - settings.ref_level_db
    share = (level - settings.min_level_db) / -settings.min_level_db
    return (settings.max_abs_value * np.clip(2 * share - 1, -1, 1)).astype(np.float32)


@lru_cache(maxsize=4)
def mel_filters(settings: MelSettings = PUBLISHED_MEL) -> NDArray[np.float64]:
    """Return (mels, n_fft // 2 + 1): triangles on Slaney's mel scale, each of area 2 over its width in Hz."""
    bins = np.fft.rfftfreq(settings.n_fft, 1 / settings.rate)
    edges = _mel_to_hz(np.linspace(_hz_to_mel(settings.fmin), _hz_to_mel(settings.fmax), settings.mels + 2))
    low, centre, high = (edges[offset : offset + settings.mels, None] for offset in range(3))
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    filters: NDArray[np.float64] = np.maximum(triangles, 0) * 2 / (high - low)
    return filters


def _hz_to_mel(hz: float) -> float:
    if hz < LINEAR_END:
        return hz * MEL_PER_HZ
    return float(LINEAR_END * MEL_PER_HZ + MEL_PER_LOG * np.log(hz / LINEAR_END))


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = LINEAR_END * MEL_PER_HZ
    return np.where(mels < knee, mels / MEL_PER_HZ, LINEAR_END * np.exp((mels - knee) / MEL_PER_LOG))


def mel_windows(
    samples: NDArray[np.floating], fps: float = 25.0, settings: MelSettings = PUBLISHED_MEL
) -> NDArray[np.float32]:
    """Return the window of the spectrogram that belongs to each video frame.

    The sound is cut to whole frames. Frame i starts two frames early, at column int(columns_per_second (i - 2) / fps)
    truncated towards zero; columns outside the sound repeat its first or last one.

    Args:
        samples: Shape (samples,), mono at `settings.rate`.
        fps: Frames per second of the video.
        settings: The published ones unless stated.

    Returns:
        Shape (frames, mels, window_columns), frames = int(seconds * fps).
    """
    frames = int(len(samples) / settings.rate * fps)
    mel = log_mel(samples[: int(frames * settings.rate / fps)], settings)
    starts = np.trunc(settings.columns_per_second * (np.arange(frames) - 2) / fps).astype(np.int64)
    columns = np.clip(starts[:, None] + np.arange(settings.window_columns), 0, len(mel) - 1)
    windows: NDArray[np.float32] = mel[columns].transpose(0, 2, 1)
    return windows


class ConvBlock(nn.Module):
    """Convolution, batch norm, the identity where residual, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, stride: int | tuple[int, int] = 1, *, kernel: int = 3, padding: int = 1
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, h, w)."""
        return F.relu(self.conv_block(x))


class ResidualConvBlock(ConvBlock):
    """The same with the identity added before the ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return F.relu(self.conv_block(x) + x)


class AudioEncoder(nn.Module):
    """Thirteen convolutions that bring a window of 80 bands and 16 columns to one place."""

    PREFIX: ClassVar = "audio_encoder."
    """Of its keys in `wav2lip.pth`, behind `module.`."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.audio_encoder = nn.Sequential(
            ConvBlock(1, a),
            ResidualConvBlock(a),
            ResidualConvBlock(a),
            ConvBlock(a, b, (3, 1)),
            ResidualConvBlock(b),
            ResidualConvBlock(b),
            ConvBlock(b, c, 3),
            ResidualConvBlock(c),
            ResidualConvBlock(c),
            ConvBlock(c, d, (3, 2)),
            ResidualConvBlock(d),
            ConvBlock(d, e, padding=0),
            ConvBlock(e, e, kernel=1, padding=0),
        )

    def forward(self, windows: Tensor) -> Tensor:
        """Return features.

        Each window is encoded by itself. The published wrapper reorders clips and frames when it is given more than one
        clip; this one does not.

        Args:
            windows: Shape (..., 80, 16), from `mel_windows`.

        Returns:
            Shape (..., 512), not negative.
        """
        features: Tensor = self.audio_encoder(windows.reshape(-1, 1, *windows.shape[-2:]))
        return features.reshape(*windows.shape[:-2], features.shape[1])

    @classmethod
    def select(cls, checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoder's tensors of a whole Wav2Lip checkpoint (without `module.`)."""
        return {key: tensor for key, tensor in checkpoint.items() if key.startswith(cls.PREFIX)}
