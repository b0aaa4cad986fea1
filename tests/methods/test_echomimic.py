"""EchoMimic: denoising network with and without guidance, moving windows, the accelerated preset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from thbench_methods.echomimic.config import ACCELERATED, PAPER, Config, Sampling
from thbench_methods.echomimic.networks import Condition, DenoisingUNet, EchoMimic
from thbench_methods.echomimic.windows import blended, windows
from thbench_methods.nets.unet3d.config import Sizes
from thbench_methods.nets.unet3d.reference import ReferenceUNet
from thbench_methods.nets.unet3d.schedule import Diffusion, sampler
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from thbench.errors import UsageError
from thbench.parity import Outcome

SMALL = Sizes(channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=5, positions=8)
TINY = Config(unet=SMALL, reference=replace(SMALL, tokens=6), locator=(4, 5, 6, 7))
TIME = torch.tensor(499)


@pytest.mark.parametrize("part", ["face_locator", "denoising_unet"])
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome], part: str) -> None:
    outcome = parity(f"echomimic.{part}")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def net() -> EchoMimic:
    torch.manual_seed(0)
    return EchoMimic(TINY).eval()


def condition(net: EchoMimic, frames: int = 3, *, guided: bool = True) -> Condition:
    draw = torch.Generator().manual_seed(1)
    latents, audio = torch.randn(1, 4, 4, 4, generator=draw), torch.randn(1, frames, 7, 5, generator=draw)
    return net.condition(latents, audio, torch.rand(1, 1, 32, 32, generator=draw), guided=guided)


def noisy(frames: int = 3, batch: int = 2) -> Tensor:
    return torch.randn(1, 4, frames, 4, 4, generator=torch.Generator().manual_seed(2)).repeat(batch, 1, 1, 1, 1)


def test_without_guidance_the_conditional_half_is_run_alone(net: EchoMimic) -> None:
    pair, _ = net.denoising_unet.full(noisy(), TIME, condition(net))
    alone, deep = net.denoising_unet.full(noisy(batch=1), TIME, condition(net, guided=False))
    torch.testing.assert_close(alone[0], pair[1], atol=1e-5, rtol=1e-4)
    assert deep.shape == (1, 8, 3, 4, 4)
    assert (pair[0] - pair[1]).abs().max() > 1e-4


def test_the_last_layer_alone_gives_the_same_from_the_same_step(net: EchoMimic) -> None:
    given = condition(net)
    prediction, deep = net.denoising_unet.full(noisy(), TIME, given)
    torch.testing.assert_close(net.denoising_unet.shallow(noisy(), TIME, given, deep), prediction)


@pytest.mark.parametrize("part", ["audio", "locator"])
def test_every_condition_matters_to_every_frame(net: EchoMimic, part: str) -> None:
    given = condition(net)
    other = replace(given, **{part: getattr(given, part) + 1})
    before, after = (net.denoising_unet.full(noisy(), TIME, x)[0] for x in (given, other))
    assert ((after - before).abs().amax(dim=(1, 3, 4)) > 1e-6).all()


def test_motion_modules_of_the_lowest_level_run(net: EchoMimic) -> None:
    given = condition(net)
    before, _ = net.denoising_unet.full(noisy(), TIME, given)
    net.denoising_unet.down_blocks[2].motion_modules[0].temporal_transformer.proj_out.bias.add_(1)
    assert (net.denoising_unet.full(noisy(), TIME, given)[0] - before).abs().max() > 1e-4


def test_the_reference_network_reads_no_tokens(net: EchoMimic) -> None:
    given = condition(net)
    for name, weight in net.reference_unet.named_parameters():
        if "attentions" in name and (".attn2." in name or ".norm2." in name):
            weight.add_(1)
    changed = condition(net)
    assert all(changed.reference[place].equal(tokens) for place, tokens in given.reference.items())


def test_windows_of_a_video() -> None:
    sampling = Sampling(window=4, overlap=1, shift=2)
    assert windows(7, 0, sampling) == ((0, 1, 2, 3), (3, 4, 5, 6), (6, 0, 1, 2))
    assert windows(7, 3, sampling) == ((6, 0, 1, 2), (2, 3, 4, 5), (5, 6, 0, 1))
    assert windows(4, 1, sampling) == ((2, 3, 0, 1),)
    assert windows(1, 5, sampling) == ((0,),)


@pytest.mark.parametrize("frames", [1, 5, 12, 13, 40, 101])
@pytest.mark.parametrize("step", [0, 1, 29])
def test_windows_hold_every_frame_and_none_twice(frames: int, step: int) -> None:
    parts = windows(frames, step, PAPER.sampling)
    assert set().union(*parts) == set(range(frames))
    assert all(max(Counter(part).values()) == 1 for part in parts)
    assert {len(part) for part in parts} == {min(frames, 12)}


@pytest.mark.parametrize(("frames", "overlap"), [(0, 3), (5, 12), (5, -1)])
def test_impossible_windows_are_refused(frames: int, overlap: int) -> None:
    with pytest.raises(UsageError, match=f"{frames} frames in windows of 12 that overlap by {overlap}"):
        windows(frames, 0, Sampling(overlap=overlap))


def test_windows_are_averaged_where_they_overlap(net: EchoMimic) -> None:
    z, given = noisy(frames=5), condition(net, frames=5)
    parts = ((0, 1, 2), (2, 3, 4), (4, 0, 1))
    seen: list[Tensor] = []

    def predict(part: Tensor, own: Condition) -> Tensor:
        torch.testing.assert_close(own.audio, given.audio[:, list(parts[len(seen)])])
        seen.append(part)
        return part + 6 * len(seen)

    means = torch.tensor([12.0, 12.0, 9.0, 12.0, 15.0])
    torch.testing.assert_close(blended(z, given, parts, predict), z + means[:, None, None])


def test_one_window_is_the_network_itself(net: EchoMimic) -> None:
    z, given = noisy(), condition(net)
    whole, _ = net.denoising_unet.full(z, TIME, given)
    part = blended(z, given, [(0, 1, 2)], lambda part, own: net.denoising_unet.full(part, TIME, own)[0])
    torch.testing.assert_close(part, whole)


def test_the_accelerated_presets_extra_step_changes_nothing() -> None:
    """The public code turns the velocity into a clean latent and that into a velocity towards the clean end."""
    steps = sampler(ACCELERATED.sampling.steps, Diffusion())
    latent, velocity = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    for index, signal in enumerate(steps.signal):
        clean, _ = steps.split(index, latent, velocity)
        towards_clean = (clean - math.sqrt(signal) * latent) / -math.sqrt(1 - signal)
        torch.testing.assert_close(towards_clean, velocity)


def test_published_sizes_are_the_defaults() -> None:
    with torch.device("meta"):
        net = DenoisingUNet(PAPER.unet)
    assert sum(p.numel() for p in net.parameters()) == 1_303_145_604
    assert len(net.state_dict()) == 1274


@pytest.mark.parametrize(
    ("batch", "steps", "total", "last_layer"), [(2, 30, 965.19e12, 2.8129e12), (1, 6, 90.27e12, 1.2575e12)]
)
def test_operations_are_the_published_ones(batch: int, steps: int, total: float, last_layer: float) -> None:
    """LightningCP, Table 1: 965.19 TFLOP in 30 guided steps of 12 frames at 512 px, 90.27 in 6 accelerated ones."""
    with torch.device("meta"):
        net = DenoisingUNet(PAPER.unet).to("meta")
        features = ReferenceUNet(PAPER.reference)(torch.empty(batch, 4, 64, 64), None)
        audio, locator = torch.empty(batch, 12, 50, 384), torch.empty(batch, 320, 1, 64, 64)
        given, z = Condition(audio, locator, features, guided=batch == 2), torch.empty(batch, 4, 12, 64, 64)
        with FlopCounterMode(display=False) as full:
            _, deep = net.full(z, torch.empty(()), given)
        assert full.get_total_flops() * steps == pytest.approx(total, rel=1e-4)
        with FlopCounterMode(display=False) as shallow:
            net.shallow(z, torch.empty(()), given, deep)
        assert shallow.get_total_flops() == pytest.approx(last_layer, rel=1e-4)
