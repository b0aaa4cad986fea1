"""MEMO: memory-guided motion, joint audio and video, reference network, sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from thbench_methods.memo.config import DECAY, PAPER, Config
from thbench_methods.memo.memory import LinearTemporalAttention, Sums
from thbench_methods.memo.networks import MEMO, DenoisingUNet, Given
from thbench_methods.memo.schedule import sampler
from thbench_methods.nets.sampling import sample
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from torch import Tensor

from thbench.errors import UsageError
from thbench.parity import Outcome

TINY = Config(
    unet=Sizes(channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, positions=8),
    audio=AudioProjection(window=2, layers=2, channels=3, hidden=7, tokens=4),
    face=FaceProjection(embedding=9, tokens=2),
)
TIME = torch.tensor(700.5)


@pytest.mark.full
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome]) -> None:
    outcome = parity("memo.denoising_unet")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


@pytest.fixture(autouse=True)
def _no_gradients_and_a_seed():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture
def net() -> MEMO:
    return MEMO(TINY).eval()


def given(frames: int = 3, past: int = 2, emotion: int = 4, seed: int = 0) -> Given:
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(1 + past, 4, 4, 4, generator=draw)
    audio = torch.randn(1, frames, 2, 2, 3, generator=draw)
    return Given(latents, torch.randn(1, 9, generator=draw), audio, emotion)


def noisy(frames: int = 3) -> Tensor:
    return torch.randn(2, 4, frames, 4, 4, generator=torch.Generator().manual_seed(frames))


def reference_recall(attention: LinearTemporalAttention, x: Tensor, past: list[Tensor]) -> Tensor:
    """Section 3.2 written out: each frame takes a mean of values, weighed by query times key and by age."""
    keys = [attention.to_k(x + attention.pos_encoder.pe[:, : x.shape[1]])]
    values = [attention.to_v(x + attention.pos_encoder.pe[:, : x.shape[1]])]
    ages, later = [torch.zeros(x.shape[1])], 1
    for frames in reversed(past):
        age = torch.arange(frames.shape[1] - 1, -1, -1.0)
        keys.append(attention.to_k(frames))
        values.append(attention.to_v(frames) * (DECAY**age)[:, None])
        ages.append(age + later)
        later += frames.shape[1]
    query = attention.to_q(x + attention.pos_encoder.pe[:, : x.shape[1]])
    heads = []
    for q, *rest in zip(*(part.chunk(attention.heads, -1) for part in (query, *keys, *values)), strict=True):
        k, v = rest[: len(keys)], torch.cat(rest[len(keys) :], dim=1)
        normed = torch.cat([part.softmax(1) for part in k], dim=1)
        weight = (q.softmax(-1) @ normed.transpose(1, 2)) * DECAY ** torch.cat(ages)
        heads.append(weight @ v / weight.sum(-1, keepdim=True))
    return attention.to_out[0](torch.cat(heads, -1))


@pytest.mark.parametrize("lengths", [(2,), (3, 4), (1, 2, 3)])
def test_memory_is_attention_to_all_earlier_frames(lengths: tuple[int, ...]) -> None:
    attention = LinearTemporalAttention(8, heads=2, positions=8)
    x, past = torch.randn(5, 4, 8), [torch.randn(5, length, 8) for length in lengths]
    memory: Sums | None = None
    for frames in past:
        memory = attention.remember(frames, memory)
    assert memory is not None
    expected = reference_recall(attention, x, past)
    torch.testing.assert_close(attention.recall(x, memory), expected, atol=1e-5, rtol=1e-4)


def test_memory_fades() -> None:
    attention = LinearTemporalAttention(8, heads=2, positions=8)
    memory, frames = attention.remember(torch.randn(1, 4, 8), None), torch.zeros(1, 4, 8)
    after = attention.remember(frames, memory)
    fresh = attention.remember(frames, None)
    torch.testing.assert_close(after.products - fresh.products, DECAY**4 * memory.products)
    torch.testing.assert_close(after.keys - fresh.keys, DECAY**4 * memory.keys)


@pytest.mark.parametrize(("frames", "past"), [(1, 1), (3, 2), (8, 16)])
def test_any_number_of_frames_and_past_frames(net: MEMO, frames: int, past: int) -> None:
    prediction, deep = net.diffusion_net.full(noisy(frames), TIME, net.condition(given(frames, past), None))
    assert prediction.shape == (2, 4, frames, 4, 4)
    assert (deep.video.shape, deep.audio.shape) == ((2, 8, frames, 4, 4), (2 * frames, 4, 5))
    assert prediction.isfinite().all()


def test_the_last_layer_alone_gives_the_same_from_the_same_step(net: MEMO) -> None:
    condition = net.condition(given(), None)
    prediction, deep = net.diffusion_net.full(noisy(), TIME, condition)
    torch.testing.assert_close(net.diffusion_net.shallow(noisy(), TIME, condition, deep), prediction)
    stale = deep._replace(audio=condition.audio.flatten(0, 1))
    assert (net.diffusion_net.shallow(noisy(), TIME, condition, stale) - prediction).abs().max() > 1e-4


def test_a_pass_leaves_nothing_behind(net: MEMO) -> None:
    condition = net.condition(given(), None)
    once, _ = net.diffusion_net.full(noisy(), TIME, condition)
    net.diffusion_net.full(noisy(), TIME, net.condition(given(seed=1), condition.memory))
    assert net.diffusion_net.full(noisy(), TIME, condition)[0].equal(once)


def test_the_clip_before_is_remembered(net: MEMO) -> None:
    fresh = net.condition(given(), None)
    later = net.condition(given(), net.condition(given(seed=1), None).memory)
    before, after = (net.diffusion_net.full(noisy(), TIME, x)[0] for x in (fresh, later))
    assert ((after - before).abs().amax(dim=(1, 3, 4)) > 1e-6).all()


def test_emotion_changes_the_conditional_half_only(net: MEMO) -> None:
    sad, glad = (
        net.diffusion_net.full(noisy(), TIME, net.condition(given(emotion=emotion), None))[0] for emotion in (1, 2)
    )
    torch.testing.assert_close(sad[0], glad[0])
    assert (sad[1] - glad[1]).abs().max() > 1e-4


@pytest.mark.parametrize("part", ["face", "audio"])
def test_every_condition_matters_to_every_frame(net: MEMO, part: str) -> None:
    condition = net.condition(given(), None)
    other = replace(condition, **{part: torch.randn_like(getattr(condition, part))})
    before, after = (net.diffusion_net.full(noisy(), TIME, x)[0] for x in (condition, other))
    assert ((after - before).abs().amax(dim=(1, 3, 4)) > 1e-6).all()


def test_the_reference_image_reaches_the_conditional_half_only(net: MEMO) -> None:
    condition = net.condition(given(), None)
    led, alone = (net.diffusion_net.full(noisy(), TIME, x)[0] for x in (condition, replace(condition, reference={})))
    torch.testing.assert_close(led[0], alone[0], atol=1e-5, rtol=1e-4)
    assert (led[1] - alone[1]).abs().max() > 1e-4


def test_the_reference_network_gives_what_every_motion_module_remembers(net: MEMO) -> None:
    condition = net.condition(given(), None)
    remembered = {
        name.replace(".temporal_transformer", "")
        for name, _ in net.diffusion_net.named_modules()
        if name.endswith(".temporal_transformer")
    }
    assert condition.memory.keys() == remembered
    assert not [key for key in net.reference_net.state_dict() if "outputs" in key]
    final = [key for key in net.reference_net.state_dict() if key.startswith("up_blocks.2.attentions.1.")]
    assert {key.split("attentions.1.")[1].rsplit(".", 1)[0] for key in final} == {
        *("norm", "proj_in", "transformer_blocks.0.norm1")
    }


def test_published_sizes_are_the_defaults() -> None:
    with torch.device("meta"):
        net = DenoisingUNet(PAPER.unet)
    assert sum(p.numel() for p in net.parameters()) == 1_676_825_220
    assert len(net.state_dict()) == 2114


def test_twenty_steps_fall_from_1000_to_1() -> None:
    times = sampler(20).times
    assert (times[0], times[-1]) == (1000, pytest.approx(1))
    assert times[1] == pytest.approx(1000 - 999 / 19)


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_steps_end_at_the_clean_latent(steps: int) -> None:
    clean, noise = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(sample(sampler(steps), lambda latent, time: noise - clean, noise), clean)


def test_no_step_is_refused() -> None:
    with pytest.raises(UsageError, match="0 denoising steps"):
        sampler(0)
