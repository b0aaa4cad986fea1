"""Key steps on small instances of the networks that denoise motion: transformers and DAWN's U-Net over flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from thbench_methods.dawn.config import Diffusion as DawnDiffusion
from thbench_methods.dawn.config import UNetSizes
from thbench_methods.dawn.schedule import cosine_schedule, stochastic_ddim
from thbench_methods.dawn.unet import Condition as DawnCondition
from thbench_methods.dawn.unet import UNet
from thbench_methods.dreamtalk.config import Config as DreamTalkConfig
from thbench_methods.dreamtalk.config import Diffusion as DreamTalkDiffusion
from thbench_methods.dreamtalk.config import Sizes as DreamTalkSizes
from thbench_methods.dreamtalk.networks import Condition as DreamTalkCondition
from thbench_methods.dreamtalk.networks import DiffusionNet
from thbench_methods.dreamtalk.schedule import sampler as dreamtalk_sampler
from thbench_methods.kdtalker.config import Diffusion as KDTalkerDiffusion
from thbench_methods.kdtalker.config import Sizes as KDTalkerSizes
from thbench_methods.kdtalker.networks import Condition as KDTalkerCondition
from thbench_methods.kdtalker.networks import SpatiotemporalTransformer
from thbench_methods.kdtalker.schedule import sampler as kdtalker_sampler
from thbench_methods.moda.config import Sizes as MoDASizes
from thbench_methods.moda.guidance import Guided, Guiding
from thbench_methods.moda.networks import MotionDiffusion
from thbench_methods.moda.schedule import sampler as moda_sampler
from thbench_methods.posetalk.config import PoseDiffusion, PoseSizes
from thbench_methods.posetalk.pose_denoiser import PoseCondition, PoseDenoiser
from thbench_methods.posetalk.pose_denoiser import sampler as posetalk_sampler
from torch import Tensor

from thbench.accel import Denoiser, EveryStep, Kind, LightningCP, OneByOne, Schedule, sample
from thbench.accel.calibrate import Sampling, calibrate
from thbench.accel.named import Setting, why_not
from thbench.accel.specs import ACCELERATIONS

STEPS = 6
KEYS = (0, 1, 3)
NAMES = ("kdtalker", "moda", "dreamtalk", "posetalk", "dawn")


@dataclass(frozen=True)
class Case:
    denoiser: Denoiser
    schedule: Schedule
    noise: Tensor
    condition: Any


def case(name: str) -> Case:
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    return {"kdtalker": _kdtalker, "moda": _moda, "dreamtalk": _dreamtalk, "posetalk": _posetalk, "dawn": _dawn}[name](
        normal
    )


def _kdtalker(normal: Any) -> Case:
    sizes = KDTalkerSizes(
        width=24,
        layers=3,
        heads=2,
        motion=16,
        audio=8,
        time_embedding=8,
        rotary_dimensions=6,
        bias_buckets=8,
        bias_max_distance=16,
    )
    condition = KDTalkerCondition(normal(2, 16), normal(2, 9), normal(2, 5, 8))
    schedule = kdtalker_sampler(KDTalkerDiffusion(steps=STEPS))
    return Case(SpatiotemporalTransformer(sizes).eval(), schedule, normal(2, 5, 16), condition)


def _moda(normal: Any) -> Case:
    sizes = MoDASizes(
        width=16, heads=2, blocks4=1, blocks2=1, blocks=2, motion=6, audio_layers=2, audio=5, identity=9, emotions=3
    )
    net = MotionDiffusion(sizes).eval()
    led = net.talking_head_dit.condition(normal(2, 1, 6), normal(2, 5, 2, 5), normal(2, 9), torch.tensor([1, 2]))
    condition = Guiding(led, net.unconditional(led))
    return Case(Guided(net.talking_head_dit, 2.0), moda_sampler(STEPS), normal(2, 5, 6), condition)


def _dreamtalk(normal: Any) -> Case:
    sizes = DreamTalkSizes(
        width=16, heads=2, layers=2, feed_forward=32, window=5, audio=12, motion=8, style_length=20, lower_face=(0, 2)
    )
    net = DiffusionNet(DreamTalkConfig(sizes)).eval()
    style = net.style(normal(2, 20, 8), torch.tensor([20, 7]))
    condition = DreamTalkCondition(net.content(normal(2, 4, 5, 12)), style)
    return Case(net.net, dreamtalk_sampler(DreamTalkDiffusion(steps=STEPS)), normal(2, 4, 8), condition)


def _posetalk(normal: Any) -> Case:
    sizes = PoseSizes(width=16, latents=2, layers=3, heads=2, feed_forward=32, dropout=0.0, window=20, audio=6, text=7)
    yes = torch.ones(2, dtype=torch.bool)
    condition = PoseCondition(normal(2, 13, 6), torch.tensor([13, 8]), normal(2, 7), yes, yes)
    schedule = posetalk_sampler(PoseDiffusion(steps=STEPS))
    return Case(PoseDenoiser(sizes).eval(), schedule, normal(2, 2, 16), condition)


def _dawn(normal: Any) -> Case:
    sizes = UNetSizes(width=16, multipliers=(1, 2, 2), still=12, audio=5, heads=2, head_width=8, groups=4, window=2)
    shapes = (8, 8, 8), (4, 8, 8), (3, 5), (3, 6), (3, 2)
    condition = DawnCondition(*(normal(1, *shape) for shape in shapes))
    fresh = [normal(1, 3, 3, 8, 8) for _ in range(STEPS)]
    schedule = stochastic_ddim(cosine_schedule(), DawnDiffusion(steps=STEPS), lambda index: fresh[index])
    return Case(UNet(sizes).eval(), schedule, normal(1, 3, 3, 8, 8), condition)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def run(given: Case, plan: Any, on_step: Any = None) -> Tensor:
    return sample(given.denoiser, given.schedule, given.noise, given.condition, plan, on_step)


@pytest.mark.parametrize("name", NAMES)
def test_keys_at_all_steps_are_the_base_bit_for_bit(name: str) -> None:
    given = case(name)
    assert run(given, LightningCP(tuple(range(STEPS)))).equal(run(given, EveryStep()))


@pytest.mark.parametrize("name", NAMES)
def test_key_steps_are_the_plain_twin(name: str) -> None:
    given, latent, deep = case(name), case(name).noise, None
    kinds: list[Kind] = []
    for index, time in enumerate(given.schedule.times):
        t = torch.full((len(latent),), time)
        if index in KEYS:
            prediction, deep = given.denoiser.full(latent, t, given.condition)
        else:
            prediction = given.denoiser.shallow(latent, t, given.condition, deep)
        latent = given.schedule.step(index, latent, prediction)
    assert run(given, LightningCP(KEYS), lambda step: kinds.append(step.kind)).equal(latent)
    assert [index for index, kind in enumerate(kinds) if kind is Kind.FULL] == list(KEYS)
    assert not latent.equal(run(given, EveryStep()))


@pytest.mark.parametrize("name", NAMES)
def test_blocks_go_step_by_step(name: str) -> None:
    given = case(name)
    estimate_from = None if name == "dawn" else 0
    found = run(given, LightningCP(KEYS, None, estimate_from, together=OneByOne()))
    assert found.isfinite().all()
    neighbours = (0, 2, 4)
    assert run(given, LightningCP(neighbours, None, together=OneByOne())).equal(run(given, LightningCP(neighbours)))


@pytest.mark.parametrize("name", NAMES)
def test_they_can_be_calibrated(name: str) -> None:
    given = case(name)
    found = calibrate(
        [("clip", Sampling(given.denoiser, given.schedule, given.noise, given.condition))], method=name, count=3
    )
    assert len(found.key_steps) == 3
    assert found.cost <= found.uniform_cost


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_applied_says_why(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import thbench.registry

    monkeypatch.setattr(thbench.registry, "ACCELERATIONS", {spec.name: spec for spec in ACCELERATIONS})
    given, reasons = case(name), {}
    for spec in ACCELERATIONS:
        reasons[spec.name] = why_not([spec.name], given.denoiser, given.schedule, Setting(STEPS))
    for possible in ("lightningcp", "uniform-cache", "adaptive", "deepcache-plugin", "fewer-steps"):
        assert reasons[possible] is None, possible
    assert "reads no features of a reference image" in reasons["refdrop"]
    assert "does not say where" in reasons["dfa"]
    if name == "dawn":  # The one U-Net among these; its steps cannot be decoded together.
        assert reasons["deepcache"] is None
        assert "one batch" in reasons["faster-diffusion"]
    else:
        assert all("no U-Net with skips" in reasons[name] for name in ("deepcache", "faster-diffusion"))
    assert "one batch" in reasons["lightningcp-parallel"]
