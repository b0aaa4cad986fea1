"""Reading sound: frequency, phase, length and alignment for every layout, rate and codec."""

from __future__ import annotations

import wave
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from media_clips import Sound, encode, numbered, sine, write_sound

from thbench.errors import MediaError, UsageError
from thbench.media import RESAMPLER, NoAudioError, iter_audio, probe, read_audio
from thbench.media.audio import _in_blocks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HERTZ = 440.0


def phasor(samples: NDArray[np.float32], rate: int) -> complex:
    """Peak and phase of the 440 Hz tone in the middle of a signal; exp(-j pi/2) times the peak for a sine from 0."""
    middle = slice(len(samples) // 4, len(samples) * 3 // 4)
    n = np.arange(len(samples))[middle]
    window = np.hanning(len(n))
    return complex(2 * np.sum(samples[middle] * window * np.exp(-2j * np.pi * HERTZ * n / rate)) / window.sum())


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_a_sine_keeps_frequency_phase_and_length(tmp_path: Path, rate: int, layout: str, channels: int) -> None:
    track = np.tile(sine(2.0, rate), (channels, 1))
    path = write_sound(tmp_path / "tone.wav", Sound(track, rate, "pcm_s16le", layout))
    audio = read_audio(path)
    assert audio.rate == 16000
    assert audio.samples.dtype == np.float32
    assert len(audio.samples) == 32000
    assert abs(phasor(audio.samples, 16000) - 0.5 * np.exp(-0.5j * np.pi)) < 2e-4


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_sample_formats_have_one_scale(tmp_path: Path, codec: str) -> None:
    audio = read_audio(write_sound(tmp_path / "tone.wav", Sound(sine(1.0), codec=codec)))
    assert np.abs(audio.samples - sine(1.0)).max() <= (1 / 128 if codec == "pcm_u8" else 1 / 32768)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "slack"),
    [
        ("a.mp3", "libmp3lame", 44100, 0),
        ("a.m4a", "aac", 44100, 0),
        ("a.opus", "libopus", 48000, 0),
        ("a.flac", "flac", 44100, 0),
        ("a.aac", "aac", 16000, 2048),
        ("a.mkv", "libopus", 48000, 160),
    ],
)
def test_codecs_keep_the_sound_in_its_place(tmp_path: Path, name: str, codec: str, rate: int, slack: int) -> None:
    """Raw AAC has no place for its encoder's delay of 1024 samples; everything else starts and ends where it did."""
    audio = read_audio(write_sound(tmp_path / name, Sound(sine(2.0, rate), rate, codec)))
    assert abs(len(audio.samples) - 32000) <= slack
    delay = 1024 if name.endswith(".aac") else 0
    tone = phasor(audio.samples[delay:], 16000)
    assert abs(tone) == pytest.approx(0.5, rel=0.06)  # LAME turns the loudness down a little
    assert abs(np.angle(tone) + np.pi / 2) / (2 * np.pi * HERTZ) < 5e-6


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    left, right = sine(1.0), sine(1.0, hertz=1000)
    path = write_sound(tmp_path / "two.wav", Sound(np.stack([left, right]), codec="pcm_f32le", layout="stereo"))
    assert np.abs(read_audio(path).samples - (left + right) / 2).max() < 1e-7


def test_equal_rates_are_not_resampled(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    path = write_sound(tmp_path / "noise.wav", Sound(noise, codec="pcm_f32le"))
    assert np.array_equal(read_audio(path).samples, noise)


def test_resampler_is_the_one_that_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44100).astype(np.float32)
    path = write_sound(tmp_path / "noise.wav", Sound(noise, 44100, "pcm_f32le"))
    assert f"soxr {soxr.__version__} VHQ" == RESAMPLER
    assert np.array_equal(read_audio(path).samples, soxr.resample(noise, 44100, 16000, quality="VHQ"))


def test_an_independent_reader_agrees(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.wav", Sound(sine(1.0), codec="pcm_s16le"))
    with wave.open(str(path)) as reader:
        raw = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    assert np.array_equal(read_audio(path).samples, raw.astype(np.float32) / 32768)


@pytest.mark.parametrize("block", [1, 333, 1024, 16000, 10**6])
def test_blocks_add_up_whatever_their_length(tmp_path: Path, block: int) -> None:
    path = write_sound(tmp_path / "tone.wav", Sound(sine(0.3, 44100), 44100, "pcm_s16le"))
    blocks = list(iter_audio(path, block=block))
    assert all(len(part) == block for part in blocks[:-1])
    assert 0 < len(blocks[-1]) <= block
    assert np.array_equal(np.concatenate(blocks), read_audio(path).samples)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 64))
def test_regrouping_loses_nothing(lengths: list[int], block: int) -> None:
    marks = [0, *np.cumsum(lengths).tolist()]
    chunks = [np.arange(a, b, dtype=np.float32) / 2048 for a, b in pairwise(marks)]
    out = list(_in_blocks(chunks, block))
    assert all(len(part) == block for part in out[:-1])
    whole = np.concatenate([*out, np.zeros(0, np.float32)])
    assert np.array_equal(whole, np.arange(marks[-1], dtype=np.float32) / 2048)


def test_a_gap_in_the_times_is_silence(tmp_path: Path) -> None:
    """Half a second of tone, a second of nothing, half a second of tone."""
    from fractions import Fraction

    import av
    from media_clips import encode_sound

    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        encode_sound(container, track, Sound(sine(0.5), codec="pcm_s16le"))
        encode_sound(container, track, Sound(sine(0.5), codec="pcm_s16le", start=24000))
        container.mux(track.encode(None))
    samples = read_audio(path).samples
    assert len(samples) == 32000
    assert not samples[8000:24000].any()
    assert np.abs(samples[24000:] - sine(0.5)).max() < 1e-4
    assert Fraction(len(samples), 16000) == 2


def test_video_without_sound_says_so(tmp_path: Path) -> None:
    path = encode(tmp_path / "mute.mp4", [numbered(0)] * 5)
    with pytest.raises(NoAudioError, match="no sound"):
        read_audio(path)
    assert issubclass(NoAudioError, MediaError)
    info = probe(path)
    assert (info.audio_codec, info.audio_rate, info.audio_channels, info.audio_start, info.audio_duration) == (
        None,
    ) * 5


def test_sound_facts_are_reported(tmp_path: Path) -> None:
    sound = Sound(np.tile(sine(1.5, 44100), (2, 1)), 44100, "aac", "stereo")
    info = probe(encode(tmp_path / "clip.mp4", [numbered(0)] * 25, sound=sound))
    assert (info.audio_codec, info.audio_rate, info.audio_channels) == ("aac", 44100, 2)
    assert info.audio_start == pytest.approx(0, abs=1e-3)
    assert info.audio_duration == pytest.approx(1.5, abs=2e-3)
    assert info.duration == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("rate", "block"), [(0, 100), (16000, 0), (-1, 1)])
def test_impossible_rates_and_blocks_are_refused(tmp_path: Path, rate: int, block: int) -> None:
    path = write_sound(tmp_path / "tone.wav", Sound(sine(0.1), codec="pcm_s16le"))
    with pytest.raises(UsageError, match="at least 1"):
        list(iter_audio(path, rate, block))


@pytest.mark.real
def test_real_clips_have_as_much_sound_as_they_declare(shared: Path) -> None:
    for path in sorted(shared.glob("real/*/*.mp4")):
        info = probe(path)
        audio = read_audio(path)
        assert info.audio_duration is not None
        assert audio.duration == pytest.approx(info.audio_duration, abs=2e-4)
        assert 0.005 < np.sqrt(np.mean(audio.samples**2)) < 0.5


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF])
def test_a_piped_wav_states_no_length_and_is_whole(tmp_path: Path, stated: int) -> None:
    path = write_sound(tmp_path / "tone.wav", Sound(sine(1.0), codec="pcm_s16le"))
    data = bytearray(path.read_bytes())
    where = data.find(b"data") + 4
    data[where : where + 4] = data[4:8] = stated.to_bytes(4, "little")
    path.write_bytes(data)
    assert np.abs(read_audio(path).samples - sine(1.0)).max() < 1e-4
