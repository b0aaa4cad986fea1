"""Controls, sound, seeds and presets that all pipelines share."""

import numpy as np
import pytest
import torch
from thbench_methods.common import Control, Noise, at_frame_rate, chosen, model_frames, read_controls, speech

from thbench.errors import MethodError, UsageError
from thbench.types import Audio, Request

CONTROLS = {
    "steps": Control("denoising steps", 10, 1, 100),
    "scale": Control("guidance", 1.5, 0, 10),
    "smooth": Control("smoothing", True),
    "kind": Control("which", "a", choices=("a", "b")),
}


def request(samples=None, rate=16_000, frames=25, fps=25.0):
    sound = np.zeros(16_000, np.float32) if samples is None else np.asarray(samples, np.float32)
    return Request(np.zeros((8, 8, 3), np.uint8), Audio(sound, rate), fps, frames)


def test_silent_request_takes_defaults():
    assert read_controls("m", {}, CONTROLS) == {"steps": 10, "scale": 1.5, "smooth": True, "kind": "a"}


def test_given_values_are_taken_in_their_type():
    values = read_controls("m", {"steps": 20.0, "scale": 2, "smooth": False, "kind": "b"}, CONTROLS)
    assert values == {"steps": 20, "scale": 2.0, "smooth": False, "kind": "b"}
    assert type(values["steps"]) is int and type(values["scale"]) is float


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"stepz": 3}, "steps"),
        ({"steps": 0}, "1 to 100"),
        ({"steps": 2.5}, "whole"),
        ({"steps": True}, "whole"),
        ({"scale": "2"}, "number"),
        ({"scale": float("nan")}, "number"),
        ({"smooth": 1}, "true or false"),
        ({"kind": "c"}, "one of a, b"),
    ],
)
def test_wrong_controls_are_refused_by_name(given, told):
    with pytest.raises(MethodError, match=told) as caught:
        read_controls("m", given, CONTROLS)
    assert next(iter(given)) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("frames", "fps", "wanted"), [(1, 25, 1), (100, 25, 100), (30, 30, 26), (10, 50, 6)])
def test_the_model_covers_the_last_frame(frames, fps, wanted):
    made = model_frames(request(frames=frames, fps=fps), 25.0)
    assert made == wanted
    assert (made - 1) / 25 >= (frames - 1) / fps - 1e-9


@pytest.mark.parametrize(("frames", "fps"), [(0, 25), (5, 0.0), (5, float("nan")), (25 * 601, 25)])
def test_impossible_lengths_are_refused(frames, fps):
    with pytest.raises(MethodError):
        model_frames(request(frames=frames, fps=fps), 25.0)


def test_sound_is_cut_or_followed_by_silence():
    assert len(speech(request(np.ones(40_000)), 25, 25.0)) == 16_000
    sound = speech(request(np.ones(100)), 25, 25.0)
    assert len(sound) == 16_000 and sound[:100].all() and not sound[100:].any()


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_sound_of_other_rates_keeps_its_tone(rate):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    sound = speech(request(tone, rate), 25, 25.0)
    spectrum = np.abs(np.fft.rfft(sound))
    assert abs(int(spectrum.argmax()) - 440) <= 1


def test_loud_sound_is_clipped_and_a_single_sample_is_enough():
    assert np.abs(speech(request(np.full(16_000, 7.0)), 25, 25.0)).max() == 1
    assert len(speech(request([0.5]), 3, 25.0)) == 1_920


@pytest.mark.parametrize("samples", [[], [np.nan, 0.0], [[0.0, 1.0]]])
def test_sound_that_is_none_is_refused(samples):
    with pytest.raises(MethodError):
        speech(request(samples), 25, 25.0)


def test_motion_at_another_rate_is_interpolated():
    values = torch.arange(26.0)[:, None]
    assert torch.equal(at_frame_rate(values, 25.0, request(frames=20)), values[:20])
    twice = at_frame_rate(values, 25.0, request(frames=50, fps=50.0))
    assert torch.allclose(twice[:, 0], torch.arange(50) / 2)


def test_noise_depends_on_seed_and_purpose_alone():
    first = Noise(3).normal((4,), "window", 0)
    Noise(3).normal((1000,), "window", 1)
    assert torch.equal(first, Noise(3).normal((4,), "window", 0))
    assert not torch.equal(first, Noise(3).normal((4,), "window", 1))
    assert not torch.equal(first, Noise(4).normal((4,), "window", 0))


def test_noise_is_standard_normal():
    drawn = Noise(0).normal((20_000,), "x")
    assert abs(drawn.mean()) < 0.03 and abs(drawn.std() - 1) < 0.03


def test_unknown_presets_are_refused_by_name():
    assert chosen("m", "mini", {"mini": 1}) == 1
    with pytest.raises(UsageError, match="mini"):
        chosen("m", "min", {"mini": 1})
