"""What metrics need of a sound track: a few numbers on a 10 ms grid, never the samples.

`analyse` reads a stream of blocks once, in constant working memory; its result does not depend on how the stream is cut
into blocks, to the last bit, because spectra are taken in batches of fixed size.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter

from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

GRID_RATE = 100
"""Grid points per second."""
WINDOW_SECONDS = 0.025
"""Length of the Hann window, centred on its grid point."""
FLOOR_DB = -100.0
"""Level that stands for digital silence, in dB relative to full scale."""
BANDS: tuple[tuple[float, float], ...] = ((100.0, 500.0), (500.0, 1500.0), (1000.0, 4000.0), (4000.0, 8000.0))
"""Frequency bands in Hz: voicing, nasals and the first formant of close vowels; first formant of open vowels; second
formant and above; hiss of fricatives."""
VOICING, VOWEL, BRIGHT, HISS = range(4)
"""Columns of `Sound.bands`."""

MEL_BANDS = 40
"""Mel bands, 50 Hz to 8 kHz, over which the onset strength is averaged."""
MEL_LOW, MEL_HIGH = 50.0, 8000.0
MEL_FLOOR = 1e-7
"""Power added to each mel band (-70 dB of full scale), so that noise in silence is no onset."""
FLUX_LAG = 2
"""Grid points between the spectra compared: 20 ms, about one window, so that they hardly share samples."""

ONSET_SMOOTHING = 0.02
"""Standard deviation in seconds of the Gaussian that smooths the onset strength."""
ONSET_MEDIAN = 0.5
"""Half width in seconds of the running median that an onset must exceed."""
ONSET_RISE = 1.5
"""Decibels, as a mean over bands within 20 ms, by which it must exceed it."""
ONSET_SPACING = 0.05
"""Half width in seconds of the interval in which an onset is the strongest point."""

_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Sound:
    """The features of a sound track; point k lies k * 10 ms after the first video frame.

    Ten minutes take 1.5 MB.
    """

    loudness: NDArray[np.float32]
    """Shape (points,): RMS level over the window in dB of full scale, `FLOOR_DB` or more."""
    bands: NDArray[np.float32]
    """Shape (points, 4): level in the frequency bands `BANDS` in dB of full scale, `FLOOR_DB` or more."""
    onset_strength: NDArray[np.float32]
    """Shape (points,): mean rise over mel bands within 20 ms, in dB, 0 or more."""
    duration: float
    """Seconds."""

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds of the points, shape (points,)."""
        return np.arange(len(self.loudness)) / GRID_RATE


def analyse(blocks: Iterable[NDArray[np.float32]], rate: int = 16000) -> Sound:
    """Reduce a stream of samples to features.

    Args:
        blocks: Mono samples in order, each block of shape (n,), range [-1, 1]; the first sample is at the first video
            frame.
        rate: Samples per second.

    Raises:
        UsageError: The rate is no multiple of 100, or below 16000.
    """
    hop = _hop(rate)
    window, spectrum_size = _window(rate)
    scale = 2.0 / (spectrum_size * float(np.sum(window.astype(np.float64) ** 2)))
    weights = _weights(rate, spectrum_size)
    parts: list[NDArray[np.float32]] = []
    flux = _Flux()
    length = _Length()
    for frames in _frames(length.count(blocks), hop, len(window)):
        power = np.abs(scipy.fft.rfft(frames * window, spectrum_size, axis=1)) ** 2 * np.float32(scale)
        energies = power @ weights
        parts.append(np.column_stack([_decibels(energies[:, : 1 + len(BANDS)]), flux(energies[:, 1 + len(BANDS) :])]))
    points = -(-length.samples // hop)
    rows = np.concatenate([np.empty((0, 2 + len(BANDS)), np.float32), *parts])[:points]
    return Sound(
        loudness=rows[:, 0].copy(),
        bands=rows[:, 1:-1].copy(),
        onset_strength=rows[:, -1].copy(),
        duration=length.samples / rate,
    )


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return samples in [-1, 1] as 16-bit integers, as a WAV file of the published pipeline holds them."""
    return np.asarray(np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767), dtype=np.int16)


def onsets(sound: Sound) -> NDArray[np.float64]:
    """Times in seconds at which the sound sets in: bursts, syllables, notes.

    Peaks of the smoothed spectral flux that are the strongest point within 50 ms and exceed the running median (1 s) by
    `ONSET_RISE`. The adaptive threshold follows Bello et al., "A tutorial on onset detection in music signals", 2005;
    the flux over logarithmic bands follows Böck et al., "Evaluating the online capabilities of onset detection
    methods", 2012. A burst is found 0 to 10 ms after it begins.

    Returns:
        Shape (onsets,), ascending.
    """
    if len(sound.onset_strength) == 0:
        return np.empty(0)
    strength = gaussian_filter1d(sound.onset_strength.astype(np.float64), ONSET_SMOOTHING * GRID_RATE)
    median = median_filter(strength, 2 * round(ONSET_MEDIAN * GRID_RATE) + 1, mode="nearest")
    strongest = maximum_filter1d(strength, 2 * round(ONSET_SPACING * GRID_RATE) + 1)
    return np.flatnonzero((strength == strongest) & (strength > median + ONSET_RISE)) / GRID_RATE


class _Length:
    """Counts the samples that pass."""

    def __init__(self) -> None:
        self.samples = 0

    def count(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            self.samples += len(block)
            yield np.asarray(block, dtype=np.float32)


class _Flux:
    """Mean rise of the mel levels against `FLUX_LAG` points earlier; the beginning of the track is no rise."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def __call__(self, energies: NDArray[np.float32]) -> NDArray[np.float32]:
        levels = 10 * np.log10(energies + np.float32(MEL_FLOOR))
        before = np.repeat(levels[:1], FLUX_LAG, axis=0) if self._last is None else self._last
        joined = np.concatenate([before, levels])
        self._last = joined[-FLUX_LAG:]
        return np.asarray(np.maximum(joined[FLUX_LAG:] - joined[:-FLUX_LAG], 0).mean(axis=1), dtype=np.float32)


def _frames(blocks: Iterable[NDArray[np.float32]], hop: int, window: int) -> Iterator[NDArray[np.float32]]:
    """Batches (batch, window) of overlapping frames, the k-th centred on sample k * hop, with zeros beyond the ends."""
    need = (_BATCH - 1) * hop + window
    pending = [np.zeros(window // 2, np.float32)]
    held = len(pending[0])
    for block in chain(blocks, [np.zeros(need, np.float32)]):
        pending.append(block)
        held += len(block)
        if held < need:
            continue
        samples = np.concatenate(pending)
        used = 0
        while held - used >= need:
            yield np.lib.stride_tricks.sliding_window_view(samples[used : used + need], window)[::hop]
            used += _BATCH * hop
        pending = [samples[used:]]
        held -= used


def _hop(rate: int) -> int:
    lowest = round(2 * BANDS[HISS][1])
    if rate % GRID_RATE or rate < lowest:
        raise UsageError(
            f"sound has {rate} samples per second; the analysis takes multiples of {GRID_RATE} from {lowest} on,"
            " so resample it, e.g. to 16000"
        )
    return rate // GRID_RATE


def _window(rate: int) -> tuple[NDArray[np.float32], int]:
    """Periodic Hann window and the FFT size."""
    size = 2 * round(rate * WINDOW_SECONDS / 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return hann.astype(np.float32), 1 << (size - 1).bit_length()


def _weights(rate: int, spectrum_size: int) -> NDArray[np.float32]:
    """Columns that turn a power spectrum into total power, band powers and mel powers, shape (bins, 1 + 4 + 40)."""
    frequencies = np.fft.rfftfreq(spectrum_size, 1 / rate)
    bands = [((frequencies >= low) & (frequencies < high)).astype(np.float64) for low, high in BANDS]
    edges = _mel_to_hz(np.linspace(_hz_to_mel(MEL_LOW), _hz_to_mel(MEL_HIGH), MEL_BANDS + 2))
    rising = (frequencies[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequencies[:, None]) / np.diff(edges)[1:]
    mel = np.maximum(np.minimum(rising, falling), 0)
    return np.column_stack([np.ones(len(frequencies)), *bands, mel]).astype(np.float32)


def _hz_to_mel(frequency: float) -> float:
    return 2595 * float(np.log10(1 + frequency / 700))


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def _decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    floor = np.float32(FLOOR_DB)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 10 ** (floor / 10))), floor), dtype=np.float32)
