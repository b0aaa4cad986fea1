"""MoDA: multi-stream transformer, guidance, rectified-flow sampler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from thbench_methods.moda.networks import Condition, MotionDiffusion
from thbench_methods.moda.schedule import sampler, training_sigmas
from thbench_methods.nets.sampling import sample

from thbench.parity import Outcome

SMALL = {
    "width": 16,
    "heads": 2,
    "blocks4": 1,
    "blocks2": 1,
    "blocks": 2,
    "motion": 6,
    "audio_layers": 2,
    "audio": 5,
    "identity": 9,
    "emotions": 3,
}


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
    return MotionDiffusion(**SMALL).eval()


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
