"""What DAWN is trained on."""

from __future__ import annotations

import math

import pytest
import torch
from thbench_methods.dawn import objective, pbnet_objective
from thbench_methods.dawn.config import UNetSizes
from thbench_methods.dawn.diffusion import A2VFDM
from thbench_methods.dawn.objective import CURRICULUM
from thbench_methods.dawn.schedule import dynamic_threshold
from thbench_methods.dawn.unet import Condition
from thbench_methods.nets.posterior import Posterior
from torch import Tensor, nn

SMALL = UNetSizes(width=16, multipliers=(1, 2), still=12, audio=5, heads=2, head_width=8, groups=4)
CLIPS, FRAMES, SIZE = 2, 4, 8


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def condition() -> Condition:
    shapes = (8, SIZE, SIZE), (4, SIZE, SIZE), (FRAMES, 5), (FRAMES, 6), (FRAMES, 2)
    return Condition(*(torch.randn(CLIPS, *shape, generator=seeded(n)) for n, shape in enumerate(shapes)))


@pytest.fixture
def motion() -> Tensor:
    return torch.rand(CLIPS, 3, FRAMES, SIZE, SIZE, generator=seeded(9)) * 1.6 - 0.8


@pytest.fixture
def mouth() -> Tensor:
    mask = torch.zeros(CLIPS, FRAMES, SIZE, SIZE)
    mask[:, :, 5:7, 2:6] = 1
    return mask


class Oracle(nn.Module):
    """Knows the noise, and errs by a constant."""

    def __init__(self, noise: Tensor, error: float) -> None:
        super().__init__()
        self.answer = noise + error

    def forward(self, motion: Tensor, time: Tensor, condition: Condition) -> Tensor:
        return self.answer


def network(denoiser: nn.Module | None = None) -> A2VFDM:
    torch.manual_seed(0)
    net = A2VFDM(SMALL)
    if denoiser is not None:
        net.denoise_fn = denoiser  # type: ignore[assignment]
    return net


def test_a_perfect_denoiser_has_no_loss(motion: Tensor, condition: Condition, mouth: Tensor) -> None:
    draws = objective.draw(motion, 900, seeded())
    loss = objective.diffusion_loss(network(Oracle(draws.noise, 0.0)), motion, condition, mouth, draws)
    assert loss.noise == loss.mouth == 0 and loss.motion < 1e-6 and loss.total < 1e-6


def test_parts_of_the_loss_are_as_stated(motion: Tensor, condition: Condition, mouth: Tensor) -> None:
    draws = objective.draw(motion, 100, seeded())
    net = network(Oracle(draws.noise, 0.1))
    weights = objective.Weights(motion=0.5, mouth=1.0)
    loss = objective.diffusion_loss(net, motion, condition, mouth, draws, weights)
    # The mouth's error is summed over the three channels.
    assert loss.noise == pytest.approx(0.01) and loss.mouth == pytest.approx(0.03)
    shift = net.schedule.sqrt_recipm1_alphas_cumprod[draws.time].view(-1, 1, 1, 1, 1) * 0.1
    wrong = dynamic_threshold(motion - shift, 0.9) - motion
    assert loss.motion == pytest.approx(
        float(wrong[:, :2].square().mean() + wrong[:, 2:].square().mean() / 4), rel=1e-3
    )
    assert loss.total == pytest.approx(float(loss.noise + 0.5 * loss.motion + loss.mouth))


def test_a_network_that_predicts_motion_is_told_its_error(motion: Tensor, condition: Condition) -> None:
    draws, even = objective.draw(motion, 900, seeded()), torch.ones(motion[:, 0].shape)
    net = network(Oracle(motion, 0.1))
    loss = objective.clean_loss(net, motion, condition, even, draws)
    assert loss.motion == pytest.approx(0.01) and loss.changes == pytest.approx(0, abs=1e-9)
    assert objective.clean_loss(net, motion, condition, 3 * even, draws).motion == pytest.approx(0.03)
    assert objective.clean_loss(network(Oracle(motion, 0.0)), motion, condition, even, draws).total == 0
    flickers = motion.clone()
    flickers[:, :, ::2] += 0.1
    loss = objective.clean_loss(network(Oracle(flickers, 0.0)), motion, condition, even, draws)
    assert loss.changes == pytest.approx(0.01, rel=1e-3)
    assert loss.total == pytest.approx(float(loss.motion + objective.CHANGES * loss.changes))
    one = (
        motion[:, :, :1],
        condition.between(0, 1),
        even[:, :1],
        draws._replace(noise=draws.noise[:, :, :1], dropped=draws.dropped[:, :1]),
    )
    assert objective.clean_loss(network(Oracle(motion[:, :, :1], 0.1)), *one).changes == 0


def test_occlusion_counts_from_zero_to_one(motion: Tensor) -> None:
    moved = motion.clone()
    moved[:, 2] += 2  # from nothing visible to everything
    assert objective.motion_loss(moved, motion) == pytest.approx(1)


def test_the_network_learns(motion: Tensor, condition: Condition, mouth: Tensor) -> None:
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    draws = objective.draw(motion, 1000, seeded())
    losses = []
    for _ in range(12):
        loss = objective.diffusion_loss(net, motion, condition, mouth, draws)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        losses.append(loss.total.item())
    assert losses[-1] < 0.7 * losses[0]


def test_draws_follow_the_seed_and_their_probability(motion: Tensor) -> None:
    again, first = objective.draw(motion, 1000, seeded(5)), objective.draw(motion, 1000, seeded(5))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    many = objective.draw(torch.empty(50, 3, 100, 1, 1), 1000, seeded())
    assert many.dropped.float().mean() == pytest.approx(0.1, abs=0.02)
    assert many.dropped.any(dim=1).all(), "frames are dropped one by one"
    assert many.time.min() >= 0 and many.time.max() < 1000


def test_dropped_frames_are_told_nothing(condition: Condition) -> None:
    dropped = torch.zeros(CLIPS, FRAMES, dtype=torch.bool)
    dropped[1, 2] = True
    told = objective.without(condition, dropped)
    for name in ("audio", "pose", "blink"):
        ours, given = getattr(told, name), getattr(condition, name)
        assert ours[1, 2].abs().max() == 0 and torch.equal(ours[0], given[0]) and torch.equal(ours[1, 3], given[1, 3])
    assert told.source_feature is condition.source_feature
    everywhere = objective.without(condition, torch.ones_like(dropped))
    assert all(torch.equal(a, b) for a, b in zip(everywhere, condition.null(), strict=True))
    silent = objective.without(condition, torch.ones_like(dropped), ("audio",))
    assert all(torch.equal(a, b) for a, b in zip(silent, condition.null(("audio",)), strict=True))
    assert silent.audio.abs().max() == 0 and torch.equal(silent.pose, condition.pose)


def test_the_mouth_is_the_box_around_its_landmarks() -> None:
    landmarks = torch.tensor([[[[40.0, 90.0], [80.0, 90.0], [60.0, 100.0], [60.0, 84.0]]]])
    mask = objective.mouth_mask(landmarks, (128, 128), 32)
    assert mask.shape == (1, 1, 32, 32)
    rows, columns = mask[0, 0].nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (21, 25, 10, 20)
    assert mask.sum() == 5 * 11


@pytest.mark.parametrize("stage", CURRICULUM)
def test_spans_lie_in_the_video(stage: objective.Stage) -> None:
    generator = seeded()
    spans = [objective.draw_span(stage, 50, generator) for _ in range(200)]
    assert {span.frames for span in spans} == set(range(stage.frames[0], stage.frames[1] + 1))
    assert all(0 <= span.start <= 50 - span.frames and 0 <= span.reference < 50 for span in spans)
    outside = [not span.start <= span.reference < span.start + span.frames for span in spans]
    first = [span.reference == span.start for span in spans]
    assert all(first) if stage.reference == "first" else any(outside) and not all(first)
    assert objective.draw_span(stage, stage.frames[0], generator).start == 0


def test_the_second_stage_is_longer_and_freer() -> None:
    lips, whole = CURRICULUM
    assert (lips.reference, whole.reference) == ("first", "any") and lips.frames[1] < whole.frames[0]


def test_divergence_is_that_of_two_normal_distributions() -> None:
    mean, variance = torch.tensor([[[0.3, -1.2]]]), torch.tensor([[[0.5, 2.0]]])
    ours = Posterior(mean, variance.log()).divergence()
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, variance.sqrt()), torch.distributions.Normal(0.0, 1.0)
    ).mean()
    torch.testing.assert_close(ours, theirs)
    assert Posterior(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)).divergence() == 0


def test_divergence_waits_then_rises_in_a_line() -> None:
    weights = pbnet_objective.PBNetWeights()
    rise = [pbnet_objective.divergence_weight(p, weights) for p in (0.0, 0.25, 0.625, 1.0, 1.5)]
    assert rise == pytest.approx([0.0, 0.0, 0.005, 0.01, 0.01])


def test_parts_of_pbnets_loss() -> None:
    true, made = torch.zeros(2, 40, 6), torch.full((2, 40, 6), 0.5)
    posterior = Posterior(torch.ones(2, 40, 3), torch.zeros(2, 40, 3))
    loss = pbnet_objective.generator_loss(true, made, posterior, torch.zeros(2, 1, 5), progress=1.0)
    assert loss.reconstruction == 0.25 and loss.divergence == 0.5
    assert loss.adversarial == pytest.approx(math.log(2))
    assert loss.total == pytest.approx(0.25 + 0.01 * 0.5 + 0.6 * math.log(2))


def test_the_discriminator_learns_to_tell_smooth_from_rough() -> None:
    torch.manual_seed(0)
    judge = pbnet_objective.PatchDiscriminator(2, widths=(8, 16))
    optimiser = torch.optim.Adam(judge.parameters(), 1e-2)
    for _ in range(120):
        rough = torch.randn(8, 64, 2)
        smooth = torch.randn(8, 64, 2).cumsum(dim=1) / 8
        loss = pbnet_objective.discriminator_loss(judge(smooth), judge(rough))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < math.log(2) / 2, "half of what guessing costs"
