"""Receipts of methods: their loops are caught as they run, and what the receipt says is what the loops do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from accel_nets import METHOD_STEPS as STEPS
from accel_nets import Method

from thbench.accel import EveryStep, LightningCP, sample
from thbench.accel.captured import Heard, heard, method_receipt, network_of
from thbench.errors import UsageError
from thbench.types import Audio, Generation, Request

REQUEST = Request(np.zeros((8, 8, 3), np.uint8), Audio(np.zeros(16000, np.float32), 16000), 25.0, 6, 3)


@pytest.fixture(scope="module")
def base() -> Heard:
    return heard(Method, "mini", (), REQUEST, "cpu")


def test_listening_changes_nothing_and_hears_every_loop(base: Heard) -> None:
    plain = np.stack(list(Method().generate(REQUEST).frames))  # type: ignore[arg-type]
    assert np.array_equal(base.frames, plain)
    assert len(base.loops) == 2
    assert all(loop.plan == EveryStep() for loop in base.loops)
    assert [len(loop.run.schedule.times) for loop in base.loops] == [STEPS, STEPS]


def test_the_receipt_is_of_the_loop_that_ran(base: Heard) -> None:
    fast = heard(Method, "mini", ("lightningcp", "dfa", "refdrop"), REQUEST, "cpu")
    found = method_receipt(base, fast)
    plan = fast.loops[0].plan
    assert isinstance(plan, LightningCP)
    assert found.hits == {"full": len(plan.key_steps), "shallow": STEPS - len(plan.key_steps)}
    assert found.steps == (STEPS, STEPS)
    assert found.flop_ratio > 1
    run = base.loops[0].run
    with torch.inference_mode():
        one = sample(run.denoiser, run.schedule, run.noise, run.condition)
        other = sample(run.denoiser, run.schedule, run.noise, run.condition, plan)
    assert found.latent_change == pytest.approx(float((other - one).norm() / one.norm()), rel=1e-4)
    assert found.output is not None
    error = np.square(base.frames.astype(float) - fast.frames).mean(axis=(1, 2, 3))
    assert found.output.psnr == pytest.approx(float((10 * np.log10(255**2 / error)).mean()), rel=1e-3)


def test_unaccelerated_against_itself_differs_in_nothing(base: Heard) -> None:
    found = method_receipt(base, heard(Method, "mini", (), REQUEST, "cpu"))
    assert found.latent_change == 0
    assert found.flop_ratio == 1
    assert found.output is not None
    assert found.output.psnr == float("inf")


def test_fewer_steps_start_from_the_same(base: Heard) -> None:
    found = method_receipt(base, heard(Method, "mini", ("fewer-steps",), REQUEST, "cpu"))
    assert found.steps[0] == STEPS > found.steps[1]
    assert found.hits == {"full": found.steps[1]}


def test_other_noise_is_refused(base: Heard) -> None:
    with pytest.raises(UsageError, match="same noise"):
        method_receipt(base, heard(Method, "mini", ("lightningcp",), replace(REQUEST, seed=1), "cpu"))


def test_other_weights_are_refused(base: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = heard(Method, "mini", ("lightningcp",), REQUEST, "cpu")
    with torch.no_grad():
        next(network_of(fast.loops[0].run.denoiser).parameters()).add_(1)
    with pytest.raises(UsageError, match="other weights"):
        method_receipt(base, fast)


class Still:
    """A method without a loop."""

    def __init__(self, **_: object) -> None: ...

    def generate(self, request: Request, on_step: object = None) -> Generation:
        return Generation([request.portrait] * request.frames)


def test_a_method_without_a_loop_has_no_receipt(base: Heard) -> None:
    with pytest.raises(UsageError, match="sampler loops"):
        method_receipt(base, heard(Still, "mini", (), REQUEST, "cpu"))
    with pytest.raises(UsageError, match="holds no network"):
        network_of(Still())
