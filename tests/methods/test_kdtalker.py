"""KDTalker: audio front end, denoiser, sampler."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from thbench_methods.kdtalker.networks import Condition, RelativePositionBias, SpatiotemporalTransformer
from thbench_methods.kdtalker.schedule import sampler
from thbench_methods.nets.building import build
from thbench_methods.nets.embeddings import angles, frequencies, position_table, rotate
from thbench_methods.nets.sampling import sample
from thbench_methods.nets.wav2lip_audio import AudioEncoder, log_mel, mel_filters, mel_windows

from thbench.errors import WeightsMismatchError
from thbench.parity import Outcome

SMALL = {
    "width": 24,
    "layers": 2,
    "heads": 2,
    "motion": 16,
    "audio": 8,
    "time_embedding": 8,
    "rotary_dimensions": 6,
    "bias_buckets": 8,
    "bias_max_distance": 16,
}


@pytest.mark.parametrize("part", ["audio_encoder", "denoiser", "sample"])
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome], part: str) -> None:
    outcome = parity(f"kdtalker.{part}")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


@pytest.mark.parametrize(
    ("factory", "parameters", "keys"), [(SpatiotemporalTransformer, 42_926_284, 166), (AudioEncoder, 2_812_672, 91)]
)
def test_published_sizes_are_the_defaults(factory: Callable[[], torch.nn.Module], parameters: int, keys: int) -> None:
    with torch.device("meta"):
        net = factory()
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys


@pytest.fixture
def small() -> SpatiotemporalTransformer:
    torch.manual_seed(0)
    return SpatiotemporalTransformer(**SMALL).eval()


def window(frames: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, Condition]:
    generator = torch.Generator().manual_seed(frames)
    noisy, audio = (torch.randn(batch, frames, size, generator=generator) for size in (16, 8))
    reference, canonical = (torch.randn(batch, size, generator=generator) for size in (16, 9))
    return noisy, torch.tensor([900] * batch), Condition(reference, canonical, audio)


def test_tables_may_be_absent_from_a_checkpoint_but_weights_may_not(small: SpatiotemporalTransformer) -> None:
    state = small.state_dict()
    bare = {key: tensor for key, tensor in state.items() if "freq" not in key}
    assert len(bare) == len(state) - SMALL["layers"] - 1
    filled = build(lambda: SpatiotemporalTransformer(**SMALL), bare, source="test")
    inputs = window(5)
    torch.testing.assert_close(filled(*inputs), small(*inputs))
    del bare["output_projection.bias"]
    with pytest.raises(WeightsMismatchError, match=r"1 missing \(output_projection.bias\)"):
        build(lambda: SpatiotemporalTransformer(**SMALL), bare, source="test")


@pytest.mark.parametrize("frames", [1, 3, 150])
def test_any_number_of_frames(small: SpatiotemporalTransformer, frames: int) -> None:
    noise = small(*window(frames))
    assert noise.shape == (2, frames, 16)
    assert noise.isfinite().all()


def test_a_batch_is_each_clip_alone(small: SpatiotemporalTransformer) -> None:
    noisy, time, condition = window(7)
    together = small(noisy, time, condition)
    for n in range(2):
        one = slice(n, n + 1)
        alone = small(noisy[one], time[one], Condition(*(part[one] for part in condition)))
        torch.testing.assert_close(together[one], alone)


@pytest.mark.parametrize("part", Condition._fields)
def test_every_condition_matters_to_every_frame(small: SpatiotemporalTransformer, part: str) -> None:
    noisy, time, condition = window(6)
    changed = condition._replace(**{part: getattr(condition, part) + 1})
    difference = (small(noisy, time, changed) - small(noisy, time, condition)).abs().amax(dim=(0, 2))
    assert (difference > 1e-6).all()


def test_the_last_layer_alone_gives_the_same_from_the_same_step(small: SpatiotemporalTransformer) -> None:
    noisy, time, condition = window(6)
    prediction, deep = small.full(noisy, time, condition)
    torch.testing.assert_close(small.shallow(noisy, time, condition, deep), prediction)


def test_buckets_are_exact_near_and_shared_far() -> None:
    bucket = RelativePositionBias(32, 128, 1).bucket
    before, after = bucket(-torch.arange(200)), bucket(torch.arange(1, 200))
    assert before[:9].tolist() == list(range(9))
    torch.testing.assert_close(after, before[1:] + 16)
    assert before[127:].unique().tolist() == [15]
    assert (before.diff() >= 0).all()


@pytest.mark.parametrize(
    ("steps", "times"), [(5, (800, 600, 400, 200, 0)), (7, (852, 710, 568, 426, 284, 142, 0)), (1, (0,))]
)
def test_times_are_leading(steps: int, times: tuple[int, ...]) -> None:
    assert sampler(steps).times == times


def test_fifty_steps_start_at_the_published_noise_level() -> None:
    steps = sampler(50)
    assert steps.times[:2] == (980, 960)
    assert steps.signal[0] ** 0.5 == pytest.approx(0.145, abs=1e-3)
    assert steps.next_signal[:-1] == steps.signal[1:]
    assert steps.next_signal[-1] == 1.0


def test_a_perfect_denoiser_is_followed_to_the_clean_motion() -> None:
    steps = sampler(10)
    signal = dict(zip(steps.times, steps.signal, strict=True))
    clean, noise = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    first = steps.signal[0]
    start = first**0.5 * clean + (1 - first) ** 0.5 * noise

    def truth(latent: torch.Tensor, time: float) -> torch.Tensor:
        return (latent - signal[time] ** 0.5 * clean) / (1 - signal[time]) ** 0.5

    torch.testing.assert_close(sample(steps, truth, start), clean)


def test_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    query, key = torch.randn(2, 1, 8, dtype=torch.float64)
    turns = angles(torch.arange(20), frequencies(3).double())
    turned_query, turned_key = (rotate(x.expand(20, -1), turns) for x in (query, key))
    torch.testing.assert_close(turned_query.norm(dim=-1), query.norm(dim=-1).expand(20))
    products = turned_query @ turned_key.T
    torch.testing.assert_close(products[3, 1], products[17, 15])
    torch.testing.assert_close(turned_query[:, 6:], query[:, 6:].expand(20, -1))
    torch.testing.assert_close(turned_query[0], query[0])


def test_positions_are_the_transformers() -> None:
    table = position_table(11, 6)
    assert table[4, 2].item() == pytest.approx(np.sin(4 / 10000 ** (2 / 6)), abs=1e-6)
    assert table[4, 5].item() == pytest.approx(np.cos(4 / 10000 ** (4 / 6)), abs=1e-6)


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    band = int(log_mel(tone)[40].argmax())
    assert band == mel_filters()[:, 440 // 20].argmax()  # bins are 20 Hz wide


def test_silence_is_the_floor() -> None:
    mel = log_mel(np.zeros(3200))
    assert mel.shape == (17, 80)
    # 20 log10(1e-5) - 20 dB lies below what is told apart
    assert (mel == -4).all()


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 0), (639, 0), (640, 1), (16000, 25), (16639, 25)])
def test_windows_are_one_per_whole_frame(samples: int, frames: int) -> None:
    assert mel_windows(np.zeros(samples)).shape == (frames, 80, 16)


def test_windows_are_columns_of_the_spectrogram_clamped_at_its_ends() -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 6400)
    mel, windows = log_mel(sound), mel_windows(sound)
    assert len(windows) == 10
    np.testing.assert_array_equal(windows[0], mel[np.clip(np.arange(-6, 10), 0, 32)].T)
    np.testing.assert_array_equal(windows[9], mel[np.clip(np.arange(22, 38), 0, 32)].T)


def test_the_audio_encoder_keeps_clips_and_frames_apart() -> None:
    torch.manual_seed(0)
    net = AudioEncoder().eval()
    windows = torch.rand(2, 3, 80, 16)
    together = net(windows)
    assert together.shape == (2, 3, 512)
    torch.testing.assert_close(together[1, 2], net(windows[1, 2]), atol=1e-5, rtol=1e-4)
