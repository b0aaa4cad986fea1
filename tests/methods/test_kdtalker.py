"""KDTalker: audio front end, denoiser, sampler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.kdtalker.config import Diffusion, Sizes
from thbench_methods.kdtalker.crop import crop, crop_box
from thbench_methods.kdtalker.motion import LAYOUT, driving_keypoints, read_statistics, smooth, smooth_motion
from thbench_methods.kdtalker.networks import Condition, RelativePositionBias, SpatiotemporalTransformer
from thbench_methods.kdtalker.schedule import sampler
from thbench_methods.kdtalker.windows import chained, padded
from thbench_methods.nets.building import build
from thbench_methods.nets.embeddings import angles, frequencies, position_table, rotate
from thbench_methods.nets.liveportrait import HeadPose, Motion, Source
from thbench_methods.nets.sampling import sample
from thbench_methods.nets.wav2lip_audio import AudioEncoder, log_mel, mel_filters, mel_windows

from thbench.errors import MissingWeightsError, WeightsMismatchError
from thbench.parity import Outcome

SMALL = Sizes(
    width=24,
    layers=2,
    heads=2,
    motion=16,
    audio=8,
    time_embedding=8,
    rotary_dimensions=6,
    bias_buckets=8,
    bias_max_distance=16,
)


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
    return SpatiotemporalTransformer(SMALL).eval()


def window(frames: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, Condition]:
    generator = torch.Generator().manual_seed(frames)
    noisy, audio = (torch.randn(batch, frames, size, generator=generator) for size in (16, 8))
    reference, canonical = (torch.randn(batch, size, generator=generator) for size in (16, 9))
    return noisy, torch.tensor([900] * batch), Condition(reference, canonical, audio)


def test_tables_may_be_absent_from_a_checkpoint_but_weights_may_not(small: SpatiotemporalTransformer) -> None:
    state = small.state_dict()
    bare = {key: tensor for key, tensor in state.items() if "freq" not in key}
    assert len(bare) == len(state) - SMALL.layers - 1
    filled = build(lambda: SpatiotemporalTransformer(SMALL), bare, source="test")
    inputs = window(5)
    torch.testing.assert_close(filled(*inputs), small(*inputs))
    del bare["output_projection.bias"]
    with pytest.raises(WeightsMismatchError, match=r"1 missing \(output_projection.bias\)"):
        build(lambda: SpatiotemporalTransformer(SMALL), bare, source="test")


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
    assert sampler(Diffusion(steps=steps)).times == times


def test_fifty_steps_start_at_the_published_noise_level() -> None:
    steps = sampler(Diffusion())
    assert steps.times[:2] == (980, 960)
    assert steps.signal[0] ** 0.5 == pytest.approx(0.145, abs=1e-3)
    assert steps.next_signal[:-1] == steps.signal[1:]
    assert steps.next_signal[-1] == 1.0


def test_a_perfect_denoiser_is_followed_to_the_clean_motion() -> None:
    steps = sampler(Diffusion(steps=10))
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


def walk(frames: int, columns: int = 3) -> np.ndarray:
    return np.random.default_rng(frames).standard_normal((frames, columns)).cumsum(axis=0)


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_smoothing_is_the_posterior_mean_of_a_random_walk(frames: int) -> None:
    seen, process, observation = walk(frames), 0.05, 0.001
    steps = np.diff(np.eye(frames), axis=0)
    precision = steps.T @ steps / process + np.eye(frames) / observation
    precision[0, 0] += 1.0  # prior of the first state: variance 1 around the first sample
    evidence = seen / observation
    evidence[0] += seen[0]
    np.testing.assert_allclose(smooth(seen, process, observation), np.linalg.solve(precision, evidence), atol=1e-9)


def test_smoothing_takes_columns_apart_and_no_frames() -> None:
    seen = walk(30)
    np.testing.assert_allclose(smooth(seen)[:, 1:2], smooth(seen[:, 1:2]))
    assert smooth(np.empty((0, 3))).shape == (0, 3)


def test_the_generated_scale_is_not_smoothed() -> None:
    motion = torch.randn(20, 70)
    smoothed = smooth_motion(motion)
    torch.testing.assert_close(smoothed[:, 0], motion[:, 0])
    assert (smoothed[:, 1:].diff(dim=0).square().sum(dim=0) < motion[:, 1:].diff(dim=0).square().sum(dim=0)).all()


def write_norm(path: Path, **changed: np.ndarray) -> Path:
    sizes = {"scale": 1, "yaw": 1, "pitch": 1, "roll": 1, "t": 3, "exp": 63, "kp": 63}
    rng = np.random.default_rng(0)
    arrays = {f"{name}_mean": rng.standard_normal(size) for name, size in sizes.items()}
    arrays |= {f"{name}_std": rng.uniform(0.5, 2, size) for name, size in sizes.items()}
    np.savez(path, **(arrays | changed))
    return path


def test_statistics_are_read_in_the_order_of_the_vector(tmp_path: Path) -> None:
    statistics = read_statistics(write_norm(tmp_path / "norm.npz", t_std=np.array([1.0, 2.0, 0.0])))
    with np.load(tmp_path / "norm.npz") as file:
        assert statistics.motion_mean[1].item() == pytest.approx(file["yaw_mean"].item())
        assert statistics.motion_mean[2].item() == pytest.approx(file["pitch_mean"].item())
    assert statistics.motion_std[4:7].tolist() == [1.0, 2.0, 1.0]
    motion = torch.randn(4, 70)
    torch.testing.assert_close(statistics.restore(statistics.normalise(motion)), motion)
    assert statistics.normalise_canonical(torch.randn(2, 21, 3)).shape == (2, 63)


def test_other_statistics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatchError, match="10 values as exp_std instead of 63"):
        read_statistics(write_norm(tmp_path / "norm.npz", exp_std=np.ones(10)))
    with pytest.raises(MissingWeightsError, match=r"norm\.npz"):
        read_statistics(tmp_path / "absent" / "norm.npz")


def count_windows(audio: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Motion that counts on from the reference, one per frame, beside the audio heard."""
    return torch.stack((reference[0] + 1 + torch.arange(len(audio)), audio[:, 0]), dim=1)


@pytest.mark.parametrize("frames", [0, 1, 63, 64, 65, 200])
@pytest.mark.parametrize("padding", ["edge", "repeat-start"])
def test_windows_are_chained_by_their_last_frame(frames: int, padding: str) -> None:
    audio = torch.arange(float(frames))[:, None]
    motion = chained(audio, torch.zeros(2), count_windows, padding=padding)
    assert motion.shape == (frames, 2)
    torch.testing.assert_close(motion[:, 0], torch.arange(1.0, frames + 1))
    torch.testing.assert_close(motion[:, 1], audio[:, 0])


def test_paddings() -> None:
    audio = torch.arange(3.0)[:, None]
    assert padded(audio, 8, "edge").flatten().tolist() == [0, 1, 2, 2, 2, 2, 2, 2]
    assert padded(audio, 8, "repeat-start").flatten().tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert padded(audio, 3).flatten().tolist() == [0, 1, 2]


def test_the_portraits_scale_is_kept_unless_asked() -> None:
    zero = torch.zeros(1)
    own = Motion(HeadPose(zero, zero, zero), torch.zeros(1, 3), torch.zeros(1, 21, 3), torch.tensor([2.0]))
    source = Source(torch.zeros(1, 1, 1, 1, 1), torch.rand(1, 21, 3), own)
    generated = LAYOUT.unpack(torch.cat((torch.full((4, 1), 3.0), torch.zeros(4, 69)), dim=1))
    torch.testing.assert_close(driving_keypoints(source, generated), 2 * source.canonical.expand(4, -1, -1))
    scaled = driving_keypoints(source, generated, use_generated_scale=True)
    torch.testing.assert_close(scaled, 3 * source.canonical.expand(4, -1, -1))


def face68(centre: float) -> np.ndarray:
    points = np.full((68, 2), centre)
    points[36:42] += (-20, -10)
    points[42:48] += (20, -10)
    points[48], points[54] = (centre - 15, centre + 30), (centre + 15, centre + 30)
    return points


def test_the_crop_is_the_box_of_the_ffhq_square() -> None:
    assert crop_box(face68(300), 600, 600) == (220, 214, 380, 374)
    assert crop_box(face68(50), 90, 200) == (0, 0, 130, 90)
    assert crop(np.zeros((90, 200, 3), np.uint8), face68(50)).shape == (256, 256, 3)
