"""MFCC against published numbers, analytic spectra and degenerate sound."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from thbench.backbones import mfcc as mfcc_module
from thbench.backbones.mfcc import MfccSettings, filter_bank, frame_count, mel_filters, mfcc
from thbench.errors import MediaError

SINE = (10000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.int16)


def test_a_sine_has_the_published_coefficients() -> None:
    rows = mfcc(SINE)
    assert rows.shape == (99, 13)
    first = [19.5074, 18.8076, 1.7124, -14.1897, -27.1832, -33.5303, -29.6864, -18.5563, -3.2681, 10.0441]
    assert rows[0] == pytest.approx([*first, 18.0148, 17.9862, 11.9377], abs=1e-4)
    assert rows[50, :3] == pytest.approx([19.5121, 19.5095, 2.6441], abs=1e-4)


def test_silence_has_the_logarithm_of_the_machine_epsilon_and_nothing_else() -> None:
    rows = mfcc(np.zeros(1000, np.int16))
    assert rows[:, 0] == pytest.approx(np.full(5, np.log(2.0**-52)))
    assert np.abs(rows[:, 1:]).max() < 1e-12


@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (15999, 99), (16000, 99), (16160, 100)]
)
def test_frames_are_counted_as_published(samples: int, frames: int) -> None:
    assert frame_count(samples) == frames
    assert len(mfcc(np.ones(samples, np.int16))) == frames


def test_the_filters_are_the_published_triangles() -> None:
    filters = mel_filters()
    assert filters.shape == (26, 257) and filters.sum() == pytest.approx(242.5)
    assert filters.max() == 1 and filters.min() == 0
    assert not filters.flags.writeable


def test_the_power_of_each_frame_is_parsevals() -> None:
    audio = np.random.default_rng(0).integers(-1000, 1000, 400).astype(np.int16)
    emphasised = audio.astype(float)
    emphasised[1:] -= 0.97 * audio[:-1].astype(float)
    spectrum = np.fft.fft(emphasised, 512)
    power = np.abs(spectrum[:257]) ** 2 / 512
    assert filter_bank(audio).total[0] == pytest.approx(power.sum())
    assert np.square(np.abs(spectrum)).sum() / 512 == pytest.approx(np.square(emphasised).sum())


def test_the_cosine_transform_is_scipys() -> None:
    audio = np.random.default_rng(0).integers(-1000, 1000, 4000).astype(np.int16)
    plain = mfcc(audio, MfccSettings(lifter=0, energy=False))
    expected = scipy.fft.dct(np.log(filter_bank(audio).energies), type=2, axis=1, norm="ortho")[:, :13]
    np.testing.assert_allclose(plain, expected, atol=1e-10)


def test_a_frame_depends_on_its_own_samples_only() -> None:
    audio = np.random.default_rng(0).integers(-1000, 1000, 16000).astype(np.int16)
    part = mfcc(audio[:4000])
    np.testing.assert_allclose(part[:-1], mfcc(audio)[: len(part) - 1], atol=1e-12)


def test_louder_sound_moves_the_energy_only() -> None:
    audio = np.random.default_rng(0).integers(-1000, 1000, 4000).astype(np.int16)
    quiet, loud = mfcc(audio), mfcc((audio * 10).astype(np.int16))
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-9)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.log(100), atol=1e-9)


@pytest.mark.parametrize("shape", [(0,), (100, 2)])
def test_no_sound_and_stereo_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MediaError, match="mono sound with at least one sample"):
        mfcc(np.zeros(shape, np.int16))


@pytest.mark.parametrize("block", [1, 3, 98, 99])
def test_blocks_of_frames_change_nothing_but_rounding(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = (np.random.default_rng(0).standard_normal(16000) * 3000).astype(np.int16)
    whole = filter_bank(audio)
    monkeypatch.setattr(mfcc_module, "_BLOCK", block)
    # Matrix products of another size may add in another order.
    np.testing.assert_allclose(filter_bank(audio).energies, whole.energies, rtol=1e-13)
    np.testing.assert_array_equal(filter_bank(audio).total, whole.total)
