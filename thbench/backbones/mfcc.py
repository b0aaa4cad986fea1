"""Mel-frequency cepstral coefficients exactly as SyncNet was trained on.

Source: python_speech_features 0.6 (`mfcc` with all defaults) as joonson/syncnet_python calls it: 25 ms rectangular
windows every 10 ms, 26 triangular mel filters, orthonormal DCT-II, 13 coefficients, lifter 22, and the log of the
frame's energy in place of the first. Samples are int16 values that are not scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thbench.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MfccSettings:
    """Every choice of the analysis; the defaults are the published ones."""

    rate: int = 16000
    """Samples per second."""
    window: float = 0.025
    """Seconds per frame."""
    step: float = 0.01
    """Seconds between frames."""
    coefficients: int = 13
    """Cepstral coefficients kept."""
    filters: int = 26
    """Triangular filters."""
    fft: int = 512
    """Points of the Fourier transform."""
    low: float = 0.0
    """Lower edge of the first filter, Hz."""
    high: float = 8000.0
    """Upper edge of the last filter, Hz."""
    preemphasis: float = 0.97
    """Share of the previous sample that is subtracted from each."""
    lifter: int = 22
    """Strength of the sine lifter; 0 for none."""
    energy: bool = True
    """Replace the first coefficient by the log of the frame's energy."""


class FilterBank(NamedTuple):
    """What the filters let through."""

    energies: NDArray[np.float64]
    """Shape (frames, filters)."""
    total: NDArray[np.float64]
    """Shape (frames,): power summed over all frequencies."""


_BLOCK = 1024
"""Frames whose spectra are in memory at once."""


def frame_count(samples: int, settings: MfccSettings = MfccSettings()) -> int:
    """Return the number of frames: one, and another for each step begun beyond the first window."""
    window, step = _samples(settings)
    return 1 + max(0, math.ceil((samples - window) / step))


def mfcc(audio: NDArray[Any], settings: MfccSettings = MfccSettings()) -> NDArray[np.float64]:
    """Return coefficients by time.

    Args:
        audio: Shape (samples,), int16 values, not scaled to [-1, 1].
        settings: The analysis.

    Returns:
        Shape (frames, coefficients). SyncNet takes the transpose.

    Raises:
        MediaError: There is no sample.
    """
    return np.concatenate(list(mfcc_blocks(audio, settings)))


def mfcc_blocks(audio: NDArray[Any], settings: MfccSettings = MfccSettings()) -> Iterator[NDArray[np.float64]]:
    """Yield the rows of `mfcc` in blocks: long sound has many, and not everybody keeps them in double precision."""
    matrix = _dct(settings.filters, settings.coefficients)
    index = np.arange(settings.coefficients)
    lifter = 1 + (settings.lifter / 2) * np.sin(np.pi * index / settings.lifter) if settings.lifter > 0 else 1.0
    for energies, total in _filter_banks(audio, settings):
        cepstra = np.log(energies) @ matrix * lifter
        if settings.energy:
            cepstra[:, 0] = np.log(total)
        yield cepstra


def filter_bank(audio: NDArray[Any], settings: MfccSettings = MfccSettings()) -> FilterBank:
    """Return the filters' energies and the total power of each frame; exact zeros become the machine epsilon."""
    return FilterBank(*(np.concatenate(part) for part in zip(*_filter_banks(audio, settings), strict=True)))


def _filter_banks(audio: NDArray[Any], settings: MfccSettings) -> Iterator[FilterBank]:
    """Yield what the filters let through, block by block of frames."""
    if audio.ndim != 1 or audio.size == 0:
        raise MediaError(f"MFCC needs mono sound with at least one sample; this one has shape {audio.shape}")
    window, step = _samples(settings)
    count, filters = frame_count(len(audio), settings), mel_filters(settings).T
    for first in range(0, count, _BLOCK):
        last = min(first + _BLOCK, count) - 1
        signal = _emphasised(audio, first * step, last * step + window, settings.preemphasis)
        frames = np.lib.stride_tricks.sliding_window_view(signal, window)[::step]
        power = np.square(np.abs(np.fft.rfft(frames, settings.fft))) / settings.fft
        yield FilterBank(_floor(power @ filters), _floor(power.sum(axis=1)))


def _emphasised(audio: NDArray[Any], start: int, stop: int, share: float) -> NDArray[np.float64]:
    """Samples less a share of the one before each; silence beyond the end."""
    signal = np.zeros(stop - start)
    known = audio[start:stop]
    signal[: len(known)] = known
    before = audio[max(start - 1, 0) : start + len(known) - 1]
    signal[len(known) - len(before) : len(known)] -= share * before.astype(np.float64)
    return signal


def _floor(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values == 0, np.finfo(np.float64).eps, values)


def _samples(settings: MfccSettings) -> tuple[int, int]:
    """Return window and step in samples, halves rounded up."""
    return math.floor(settings.window * settings.rate + 0.5), math.floor(settings.step * settings.rate + 0.5)


@lru_cache(maxsize=8)
def mel_filters(settings: MfccSettings = MfccSettings()) -> NDArray[np.float64]:
    """Return the triangular filters, shape (filters, fft / 2 + 1), read-only.

    Their edges are equally spaced in mel, 2595 log10(1 + Hz / 700), and rounded down to bins of rate / (fft + 1) Hz.
    """
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (settings.low, settings.high))
    hertz = 700 * (10 ** (np.linspace(low, high, settings.filters + 2) / 2595) - 1)
    edges = np.floor((settings.fft + 1) * hertz / settings.rate).astype(int)
    filters = np.zeros((settings.filters, settings.fft // 2 + 1))
    for row, (left, middle, right) in zip(filters, zip(edges, edges[1:], edges[2:], strict=False), strict=True):
        row[left:middle] = (np.arange(left, middle) - left) / max(middle - left, 1)
        row[middle:right] = (right - np.arange(middle, right)) / max(right - middle, 1)
    filters.setflags(write=False)
    return filters


@lru_cache(maxsize=8)
def _dct(inputs: int, outputs: int) -> NDArray[np.float64]:
    """Return the matrix (inputs, outputs) of the orthonormal DCT-II."""
    angles = np.pi / inputs * np.outer(np.arange(inputs) + 0.5, np.arange(outputs))
    matrix = np.cos(angles) * math.sqrt(2 / inputs)
    matrix[:, 0] /= math.sqrt(2)
    matrix.setflags(write=False)
    return matrix
