"""MoDA: multi-stream transformer, guidance, rectified-flow sampler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from thbench_methods.moda.config import Sampling, Sizes
from thbench_methods.moda.motion import (
    LAYOUT,
    Statistics,
    driving_keypoints,
    lip_boost,
    mixed_expression,
    previous_motion,
    read_statistics,
    rescaled,
    scale_ratio,
)
from thbench_methods.moda.networks import Condition, MotionDiffusion
from thbench_methods.moda.schedule import sampler, training_sigmas
from thbench_methods.moda.windows import chained, crossfaded, smooth_pose, window_count
from thbench_methods.nets.liveportrait import HeadPose, Motion, Source
from thbench_methods.nets.sampling import sample

from thbench.errors import WeightsMismatchError
from thbench.parity import Outcome

SMALL = Sizes(
    width=16,
    heads=2,
    blocks4=1,
    blocks2=1,
    blocks=2,
    motion=6,
    audio_layers=2,
    audio=5,
    identity=9,
    emotions=3,
)


@pytest.mark.parametrize("part", [pytest.param("denoiser", marks=pytest.mark.full), "denoiser_small", "sample"])
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome], part: str) -> None:
    outcome = parity(f"moda.{part}")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


def test_published_sizes_are_the_defaults() -> None:
    with torch.device("meta"):
        net = MotionDiffusion()
    assert sum(p.numel() for p in net.talking_head_dit.parameters()) == 372_983_878
    assert sum(p.numel() for p in net.parameters()) == 372_984_716
    assert len(net.state_dict()) == 411


@pytest.fixture
def small() -> MotionDiffusion:
    torch.manual_seed(0)
    return MotionDiffusion(SMALL).eval()


Raw = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def raw_condition(frames: int, batch: int = 2) -> Raw:
    generator = torch.Generator().manual_seed(frames)
    previous = torch.randn(batch, 1, 6, generator=generator)
    audio = torch.randn(batch, frames, 2, 5, generator=generator)
    return previous, audio, torch.randn(batch, 9, generator=generator), torch.tensor([1, 2][:batch])


@pytest.mark.parametrize("frames", [1, 7])
def test_any_number_of_frames(small: MotionDiffusion, frames: int) -> None:
    net = small.talking_head_dit
    noisy = torch.randn(2, frames, 6)
    velocity = net(noisy, torch.tensor([1000.0, 12.5]), net.condition(*raw_condition(frames)))
    assert velocity.shape == noisy.shape
    assert velocity.isfinite().all()


def test_a_batch_is_each_clip_alone(small: MotionDiffusion) -> None:
    net = small.talking_head_dit
    noisy, time, condition = torch.randn(2, 5, 6), torch.tensor([700.0, 30.0]), net.condition(*raw_condition(5))
    together = net(noisy, time, condition)
    for n in range(2):
        one = slice(n, n + 1)
        alone = net(noisy[one], time[one], Condition(*(part[one] for part in condition)))
        torch.testing.assert_close(together[one], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("part", range(4))
def test_every_condition_matters_to_every_frame(small: MotionDiffusion, part: int) -> None:
    net, given = small.talking_head_dit, list(raw_condition(5))
    noisy, time = torch.randn(2, 5, 6), torch.tensor([700.0, 30.0])
    before = net(noisy, time, net.condition(*given))
    given[part] = 3 - given[part] if part == 3 else given[part] + 1
    after = net(noisy, time, net.condition(*given))
    assert ((after - before).abs().amax(dim=(0, 2)) > 1e-6).all()


def test_the_last_block_alone_gives_the_same_from_the_same_step(small: MotionDiffusion) -> None:
    net = small.talking_head_dit
    noisy, time, condition = torch.randn(2, 5, 6), torch.tensor([700.0, 30.0]), net.condition(*raw_condition(5))
    prediction, deep = net.full(noisy, time, condition)
    torch.testing.assert_close(net.shallow(noisy, time, condition, deep), prediction)


def test_guidance_drops_speech_and_emotion_but_keeps_identity_and_previous_motion(small: MotionDiffusion) -> None:
    net = small.talking_head_dit
    previous, audio, identity, emotion = raw_condition(5)
    plain = small.unconditional(net.condition(previous, audio, identity, emotion))
    null = small.null_audio_feat[0].expand(2, 5, 2, 5)
    expected = net.condition(previous, null, identity, torch.tensor([3, 3]))
    for ours, theirs in zip(plain, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_guidance_is_a_line_through_no_condition_and_the_condition(small: MotionDiffusion) -> None:
    net = small.talking_head_dit
    noisy, time, condition = torch.randn(2, 5, 6), torch.tensor([700.0, 30.0]), net.condition(*raw_condition(5))
    plain = small.unconditional(condition)
    free, led, strong = (small.guided(noisy, time, condition, plain, scale) for scale in (0.0, 1.0, 2.5))
    torch.testing.assert_close(free, net(noisy, time, plain), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(led, net(noisy, time, condition))
    torch.testing.assert_close(strong, free + 2.5 * (led - free), atol=1e-5, rtol=1e-4)


def test_ten_steps_are_the_published_ones() -> None:
    steps = sampler(10)
    assert [round(time) for time in steps.times] == [1000, 889, 778, 667, 556, 445, 334, 223, 112, 1]
    assert steps.lengths[:-1] == pytest.approx([0.111] * 9)
    assert steps.lengths[-1] == pytest.approx(0.001)


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_steps_end_at_the_clean_motion(steps: int) -> None:
    clean, noise = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    flow = sampler(steps)
    assert len(flow.times) == steps
    assert sum(flow.lengths) == pytest.approx(1)
    torch.testing.assert_close(sample(flow, lambda latent, time: noise - clean, noise), clean)


def test_training_sees_a_thousand_noise_levels() -> None:
    sigmas = training_sigmas()
    assert (sigmas.shape, sigmas[0].item(), sigmas[-1].item()) == ((1000,), pytest.approx(0.001), 1.0)


@pytest.mark.parametrize(("frames", "windows"), [(1, 1), (80, 1), (81, 2), (144, 2), (145, 3), (1500, 24)])
def test_windows_cover_the_clip(frames: int, windows: int) -> None:
    assert window_count(frames, Sampling()) == windows


@pytest.mark.parametrize("frames", [1, 79, 80, 81, 144, 145, 300])
def test_equal_windows_join_without_a_seam(frames: int) -> None:
    track = torch.randn(frames, 70)

    def generate(heard: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        return heard

    joined = chained(track, torch.zeros(70), generate, Sampling(smoothing=1))
    torch.testing.assert_close(joined, track)


def test_each_window_starts_from_the_frame_before_the_overlap() -> None:
    starts: list[float] = []

    def generate(heard: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        starts.append(previous[0].item())
        return heard

    chained(torch.arange(200.0)[:, None].expand(-1, 70), torch.full((70,), -1.0), generate, Sampling(smoothing=1))
    assert starts == [-1, 63, 127]


def test_the_overlap_fades_from_the_old_window_to_the_new() -> None:
    joined = crossfaded(torch.zeros(6, 1), torch.ones(8, 1), 4).flatten()
    assert joined.tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1]


def test_what_lies_behind_the_end_is_silence() -> None:
    heard: list[torch.Tensor] = []

    def generate(window: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        heard.append(window)
        return torch.zeros(len(window), 70)

    chained(torch.ones(10, 2, 3), torch.zeros(70), generate, Sampling())
    assert heard[0].shape == (80, 2, 3)
    assert heard[0][10:].abs().max() == 0


def test_only_the_pose_is_smoothed_and_the_ends_average_fewer_frames() -> None:
    motion = torch.randn(9, 70)
    smoothed = smooth_pose(motion, 3)
    torch.testing.assert_close(smoothed[:, :63], motion[:, :63])
    torch.testing.assert_close(smoothed[4, 63:], motion[3:6, 63:].mean(dim=0))
    torch.testing.assert_close(smoothed[0, 63:], motion[:2, 63:].mean(dim=0))
    torch.testing.assert_close(smooth_pose(motion[:1], 3), motion[:1])


def test_the_lip_boost_moves_lips_only_and_away_from_rest() -> None:
    motion, rest = torch.randn(12, 70), torch.zeros(70)
    boosted = lip_boost(motion, rest)
    lips = [18, 19, 20, 36, 37, 38, 42, 43, 44, 51, 52, 53, 57, 58, 59, 60, 61, 62]
    others = [column for column in range(70) if column not in lips]
    torch.testing.assert_close(boosted[:, others], motion[:, others])
    ratio = boosted[:, lips] / motion[:, lips]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    distance = motion[:, lips].square().sum(dim=1)
    expected = 1 + (torch.sigmoid(5 * distance) - 0.5) / (0.1 * distance.max() + 0.05)
    torch.testing.assert_close(ratio[:, 0], expected)
    torch.testing.assert_close(lip_boost(rest.expand(3, -1), rest), rest.expand(3, -1))


def test_some_parts_of_the_expression_stay_the_portraits() -> None:
    mixed = mixed_expression(torch.zeros(1, 21, 3), torch.ones(2, 21, 3))[1]
    assert mixed.sum(dim=1).tolist() == [0, 3, 3, 1, 1, 1, 3, 0, 1, 2, 0, *[3] * 10]
    assert mixed[[3, 4], 1].tolist() == [1, 1]
    assert mixed[[5, 8, 9, 9], [2, 2, 1, 2]].tolist() == [1, 1, 1, 1]


def portrait(scale: float = 1.5) -> Source:
    zero = torch.zeros(1)
    own = Motion(
        HeadPose(zero, zero, zero), torch.tensor([[0.1, 0.2, 0.3]]), torch.zeros(1, 21, 3), torch.tensor([scale])
    )
    return Source(torch.zeros(1, 1, 1, 1, 1), torch.rand(1, 21, 3), own)


def test_the_eyes_are_shifted_down_a_little() -> None:
    source, still = portrait(), LAYOUT.unpack(torch.zeros(2, 70))
    shift = driving_keypoints(source, still) - driving_keypoints(source, still, eye_shift=False)
    expected = torch.zeros(21, 3)
    expected[[11, 15], 1], expected[[13, 16], 1] = 0.0025, 0.00075
    torch.testing.assert_close(shift, (1.5 * expected).expand(2, -1, -1), atol=1e-6, rtol=1e-4)


def test_the_portrait_is_brought_to_the_average_size_and_back() -> None:
    mean, std = torch.zeros(70), torch.ones(70)
    mean[63] = 1.25
    statistics, source = Statistics(mean, std), portrait(scale=2.5)
    ratio = scale_ratio(source, statistics)
    assert ratio.item() == pytest.approx(2, abs=1e-4)
    first = LAYOUT.unpack(statistics.restore(previous_motion(source, statistics)))
    assert first.scale.item() == pytest.approx(1.25, abs=1e-4)
    assert first.translation.tolist() == pytest.approx([0.05, 0.1, 0.0], abs=1e-4)
    assert rescaled(first, ratio).scale.item() == pytest.approx(2.5, abs=1e-4)


def test_published_statistics_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mean.pt"
    torch.save({"mean": torch.arange(70.0)[None], "std": torch.ones(1, 70)}, path)
    statistics = read_statistics(path)
    assert statistics.mean_scale.item() == 63
    motion = torch.randn(3, 70)
    torch.testing.assert_close(statistics.restore(statistics.normalise(motion)), motion, atol=1e-5, rtol=1e-4)
    torch.save({"mean": torch.zeros(1, 3)}, path)
    with pytest.raises(WeightsMismatchError, match="no mean of 70 values"):
        read_statistics(path)
