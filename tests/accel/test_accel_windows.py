"""EchoMimic's moving windows under plans."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from accel_nets import FRAMES, SIDE, Case, case, foreground
from thbench_methods.echomimic.config import Sampling
from thbench_methods.echomimic.windows import Windowed, blended, windows

from thbench.accel import (
    EveryStep,
    ForegroundAttention,
    LightningCP,
    OneByOne,
    ReferenceRemoval,
    cached_guidance,
    deep_cache,
    faster_diffusion,
    sample,
)

STEPS, LENGTH = 6, 7
KEYS = (0, 1, 3)
WINDOWS = Sampling(window=FRAMES, overlap=1, shift=2)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def video() -> tuple[Case, Windowed, Any]:
    given = case("echomimic")
    schedule = given.schedule(STEPS)
    draw = torch.Generator().manual_seed(7)
    noise = torch.randn(1, 4, LENGTH, SIDE, SIDE, generator=draw)
    audio = torch.randn(1, LENGTH, 7, 6, generator=draw)
    condition = dataclasses.replace(given.condition, audio=torch.cat((torch.zeros_like(audio), audio)))
    whole = dataclasses.replace(given, condition=condition, noise=noise)
    return whole, Windowed(given.denoiser, schedule.times, WINDOWS), schedule


def run(plan: Any) -> torch.Tensor:
    given, denoiser, schedule = video()
    return sample(denoiser, schedule, given.noise, given.condition, plan)


def test_every_step_moves_the_windows() -> None:
    given, _, schedule = video()
    latent = given.noise
    for index, time in enumerate(schedule.times):
        t = torch.tensor([time])
        parts = windows(LENGTH, index, WINDOWS)
        prediction = blended(latent, given.condition, parts, lambda z, own, t=t: given.denoiser.full(z, t, own)[0])
        latent = schedule.step(index, latent, prediction)
    assert run(EveryStep()).equal(latent)
    assert run(LightningCP(tuple(range(STEPS)))).equal(latent)


def test_windows_stand_still_between_key_steps() -> None:
    given, _, schedule = video()
    latent, kept = given.noise, []
    for index, time in enumerate(schedule.times):
        t = torch.tensor([time])
        if index in KEYS:
            parts, kept = windows(LENGTH, index, WINDOWS), []
        position = iter(range(len(parts)))

        def predict(
            z: Any, own: Any, t: Any = t, index: int = index, position: Any = position, kept: Any = kept
        ) -> torch.Tensor:
            number = next(position)
            if index in KEYS:
                prediction, deep = given.denoiser.full(z, t, own)
                kept.append(deep)
                return prediction
            return given.denoiser.shallow(z, t, own, kept[number])

        latent = schedule.step(index, latent, blended(latent, given.condition, parts, predict))
    assert run(LightningCP(KEYS)).equal(latent)


def test_a_batch_of_steps_is_its_steps_one_by_one() -> None:
    plan = LightningCP(KEYS, None, changes=(ForegroundAttention(foreground()), ReferenceRemoval()))
    torch.testing.assert_close(run(plan), run(dataclasses.replace(plan, together=OneByOne())), atol=1e-5, rtol=1e-5)


def test_rivals_run_in_windows() -> None:
    base = run(EveryStep())
    for plan in (deep_cache(KEYS), faster_diffusion(KEYS), cached_guidance(2), cached_guidance(2, LightningCP(KEYS))):
        found = run(plan)
        assert found.isfinite().all()
        assert not found.equal(base)
    assert run(cached_guidance(1)).equal(base)
