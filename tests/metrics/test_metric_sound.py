"""Features of sound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_helpers import RATE, bursts

from thbench.errors import UsageError
from thbench.metrics.sound import BANDS, FLOOR_DB, Sound, analyse, onsets


def tone(frequency: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def same(a: Sound, b: Sound) -> bool:
    return a.duration == b.duration and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("loudness", "bands", "onset_strength")
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * 163_840 + 1000), st.lists(st.integers(1, 60_000), min_size=1, max_size=8))
def test_the_result_does_not_depend_on_the_blocks(length: int, sizes: list[int]) -> None:
    samples = np.random.default_rng(length).normal(size=length).astype(np.float32) * 0.1
    pieces, start = [], 0
    for size in itertools.cycle(sizes):
        if start >= length:
            break
        pieces.append(samples[start : start + size])
        start += size
    assert same(analyse(pieces), analyse([samples]))


@pytest.mark.parametrize("extra", [-1, 0, 1, 200, 201, 239, 240, 241])
def test_there_is_a_point_for_every_10_ms_at_the_seams_of_batches(extra: int) -> None:
    samples = tone(300, (163_840 + extra) / RATE)
    sound = analyse([samples])
    assert len(sound.loudness) == -(-len(samples) // 160)
    np.testing.assert_allclose(sound.loudness[2:-2], 10 * np.log10(0.5), atol=0.01)


@pytest.mark.parametrize(("frequency", "column"), [(300, 0), (700, 1), (2500, 2), (6000, 3)])
@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_tone_of_full_scale_has_minus_3_db_in_its_band(frequency: float, column: int, rate: int) -> None:
    sound = analyse([tone(frequency, rate=rate)], rate)
    level = 10 * np.log10(0.5)
    assert sound.loudness[50] == pytest.approx(level, abs=0.01)
    assert sound.bands[50, column] == pytest.approx(level, abs=0.05)
    others = [c for c, (low, high) in enumerate(BANDS) if not low <= frequency < high]
    assert (sound.bands[50, others] < level - 40).all()


def test_halving_the_amplitude_takes_6_db_everywhere() -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.1
    loud, soft = analyse([noise]), analyse([noise / 2])
    np.testing.assert_allclose(loud.bands - soft.bands, 20 * np.log10(2), atol=1e-3)
    np.testing.assert_allclose(loud.loudness - soft.loudness, 20 * np.log10(2), atol=1e-3)


def test_silence_is_the_floor_and_has_no_onset() -> None:
    sound = analyse([np.zeros(RATE, np.float32)])
    assert (sound.loudness == FLOOR_DB).all()
    assert (sound.bands == FLOOR_DB).all()
    assert len(onsets(sound)) == 0


def test_no_samples_give_no_points() -> None:
    sound = analyse([])
    assert sound.duration == 0
    assert sound.bands.shape == (0, len(BANDS))
    assert len(onsets(sound)) == len(sound.times) == 0


def test_ten_minutes_stay_small() -> None:
    second = tone(300)
    sound = analyse(itertools.repeat(second, 600))
    assert sound.duration == 600
    assert sound.loudness.nbytes + sound.bands.nbytes + sound.onset_strength.nbytes < 2_000_000


@pytest.mark.parametrize("rate", [8000, 11025, 16001, 22050])
def test_rates_that_do_not_fit_are_refused(rate: int) -> None:
    with pytest.raises(UsageError, match=f"{rate} samples per second"):
        analyse([tone(300)], rate)


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_every_burst_is_an_onset_found_within_10_ms(gain: float) -> None:
    rng = np.random.default_rng(1)
    times = np.arange(0.5, 19.5, 0.371)
    found = onsets(analyse([bursts(times, 20, rng) * np.float32(gain)]))
    assert len(found) == len(times)
    assert np.abs(found - times - 0.005).max() <= 0.0101


@pytest.mark.parametrize("level", [0.3, 0.01, 0.0003])
def test_steady_noise_has_no_onsets(level: float) -> None:
    noise = np.random.default_rng(2).normal(size=20 * RATE) * level
    assert len(onsets(analyse([noise.astype(np.float32)]))) <= 1
