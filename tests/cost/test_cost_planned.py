"""Counts of whole workloads: the sampler loop under plans, the published networks, and the machine's limit."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import nn

from thbench.accel import EveryStep, LightningCP, sample
from thbench.accel.moves import Change
from thbench.cost.counted import MachineRates
from thbench.cost.flops import tally
from thbench.cost.offer import Denoising, Offer, Part
from thbench.cost.planned import count, dtype_of, offer_of
from thbench.cost.rates import bound, measured_rates
from thbench.errors import MethodError, UsageError

STEPS = 10


class Toy(nn.Module):
    """Two linear layers; a cached step runs the second alone."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Linear(8, 32), nn.Linear(32, 8)

    def full(self, z: Any, t: Any, condition: Any) -> Any:
        deep = self.trunk(z + condition.mean())
        return self.head(deep), deep

    def shallow(self, z: Any, t: Any, condition: Any, deep: Any) -> Any:
        return self.head(deep) + z


def offer(device: str = "meta") -> Offer:
    with torch.device(device):
        net, first = Toy(), nn.Linear(3, 3)
        noise, condition, x = torch.zeros(2, 8), torch.zeros(6), torch.zeros(1, 3)
    return Offer(
        workload="a toy",
        frames=4,
        denoising=Denoising("toy", net, net, noise, condition, STEPS, loops=3),
        parts=(Part("first", first, lambda: first(x), calls=2, inputs=(x,)),),
    )


FULL, SHALLOW = 2 * 2 * 8 * 32 * 2, 2 * 2 * 8 * 32
FIRST = 2 * 2 * 3 * 3


def test_every_step_is_steps_times_the_network() -> None:
    work, _ = count(offer(), "toy")
    assert work.flops == 3 * STEPS * FULL + FIRST
    assert [part.name for part in work.parts] == ["first", "toy"]
    assert work.parts[1].calls == 3 * STEPS


@pytest.mark.parametrize("block", [1, 2, None])
def test_cached_steps_count_as_what_they_run(block: int | None) -> None:
    work, _ = count(offer(), "toy", LightningCP((0, 4, 5), block=block))
    assert work.flops == 3 * (3 * FULL + 7 * SHALLOW) + FIRST
    names = {part.name: part.calls for part in work.parts}
    assert names == {"first": 2, "toy": 9, "toy, shallow": 21}


@pytest.mark.parametrize("plan", [EveryStep(), LightningCP((0, 1, 6)), LightningCP((0, 3), block=None)])
def test_the_count_is_that_of_the_real_loop(plan: Any) -> None:
    """The same plan through the sampler loop itself, with real numbers."""

    class Schedule:
        times = tuple(float(STEPS - i) for i in range(STEPS))

        def step(self, index: int, latent: Any, prediction: Any) -> Any:
            return latent - 0.1 * prediction

        def estimate(self, index: int, later: int, latent: Any, prediction: Any) -> Any:
            return latent - 0.1 * (later - index) * prediction

    class Repeating(Toy):
        def repeated(self, condition: Any, deep: Any, times: int) -> Any:
            return condition, deep.repeat_interleave(times, 0)

    net, given = Repeating(), offer("cpu").denoising
    assert given is not None
    found, _ = tally(lambda: sample(net, Schedule(), given.noise, given.condition, plan))
    work, _ = count(offer(), "toy", plan)
    assert work.flops - FIRST == 3 * found.flops


def test_changes_of_single_steps_are_parts_of_their_own() -> None:
    class Narrow(Toy):
        def full(self, z: Any, t: Any, condition: Any) -> Any:
            width = 32 if len(condition) == 6 else 16
            deep = z @ self.trunk.weight[:width].T
            return deep @ self.head.weight[:, :width].T, deep

    class Drop(Change):
        def condition(self, denoiser: Any, condition: Any, move: Any) -> Any:
            return condition[:3] if move.first >= 6 else condition

    with torch.device("meta"):
        net, noise, condition = Narrow(), torch.zeros(2, 8), torch.zeros(6)
    given = Offer("a toy", 1, Denoising("toy", net, net, noise, condition, STEPS))
    work, _ = count(given, "toy", EveryStep(changes=(Drop(),)))
    assert {part.name: part.calls for part in work.parts} == {"toy": 6, "toy (2)": 4}
    assert work.flops == 6 * FULL + 4 * FULL / 2


def test_a_plan_that_looks_at_values_cannot_be_counted() -> None:
    with pytest.raises(MethodError, match="decides from values"):
        count(offer(), "toy", EveryStep(watches=True))


def test_a_method_without_an_offer_is_told_so() -> None:
    with pytest.raises(UsageError, match="offers no networks"):
        offer_of("static-portrait", "default")


def test_a_number_format_that_is_none_is_refused() -> None:
    with pytest.raises(MethodError, match="float8"):
        dtype_of("float8")


def test_the_bound_is_the_slower_of_arithmetic_and_memory() -> None:
    _, parts = count(offer(), "toy")
    rates = MachineRates(dtype="float32", flops_per_second=1e3, bytes_per_second=1e12)
    total = sum(c.part.calls * c.part.flops for c in parts)
    assert bound(parts, rates)[0] == pytest.approx(total / 1e3)
    slow = MachineRates(dtype="float32", flops_per_second=1e15, bytes_per_second=10.0)
    fused, single = bound(parts, slow)
    assert fused == pytest.approx(sum(c.part.calls * c.part.least_bytes for c in parts) / 10)
    assert single == pytest.approx(sum(c.part.calls * c.part.moved_bytes for c in parts) / 10)
    assert fused < single


def test_rates_are_work_over_the_best_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock in whose time every call lasts a second."""
    monkeypatch.setattr("thbench.cost.rates.SIZES", {"cpu": (16, 32)})
    monkeypatch.setattr("thbench.cost.rates.COPY_BYTES", {"cpu": 2**12})

    class Device:
        name, has_events, calls = "cpu", False, 0

        def synchronise(self) -> None:
            self.calls += 1

    ticks = iter(range(10**6))
    rates = measured_rates(Device(), torch.float32, clock=lambda: float(next(ticks)), seconds=3.0)  # type: ignore[arg-type]
    assert rates.flops_per_second == 2 * 32**3
    assert rates.bytes_per_second == 2 * 2**12
    assert rates.balance == pytest.approx(8.0)
    assert rates.threads == torch.get_num_threads()


PUBLISHED = [
    ("hallo", "paper", None, 2158.08, 1e-4),
    ("hallo", "paper", (0, 1, 2, 3, 6, 10, 15, 20, 26, 32, 38), 745.72, 1e-4),
    ("echomimic", "paper", None, 965.19, 1e-4),
    ("echomimic", "paper", (0, 1, 2, 5, 9, 14, 20, 26), 319.26, 1e-4),
    ("echomimic", "accelerated", None, 90.27, 1e-4),
    ("echomimic", "accelerated", (0, 1, 3, 5), 62.69, 1e-4),
]
"""LightningCP, Tables 1 and 2: TFLOP of the denoising loop of a clip, whole and with cached steps."""


@pytest.mark.parametrize(
    ("method", "preset", "keys", "tera", "tolerance"),
    [
        case if case[0] == "hallo" and case[2] is None else pytest.param(*case, marks=pytest.mark.full)
        for case in PUBLISHED
    ],
)
def test_published_operations(
    method: str, preset: str, keys: tuple[int, ...] | None, tera: float, tolerance: float
) -> None:
    provider = importlib.import_module(f"thbench_methods.{method}.flops").offer
    work, _ = count(provider(preset), method, LightningCP(keys) if keys else EveryStep())
    loop = sum(part.calls * part.flops for part in work.parts if part.name.startswith("denoising_unet"))
    assert loop / 1e12 == pytest.approx(tera, rel=tolerance)
    assert loop < work.flops < 1.02 * loop


@pytest.mark.full
def test_memo_is_counted_between_the_published_bounds() -> None:
    """42.3 TFLOP a step without attention kernels, 59.6 with all of them; the paper prints 45.99."""
    provider = importlib.import_module("thbench_methods.memo.flops").offer
    work, _ = count(provider("paper"), "memo")
    step = next(part for part in work.parts if part.name == "diffusion_net")
    assert 42.3e12 < step.flops < 59.6e12


@pytest.mark.parametrize("method", ["hallo", "echomimic", "memo"])
def test_a_preset_that_is_none_is_refused(method: str) -> None:
    provider = importlib.import_module(f"thbench_methods.{method}.flops").offer
    with pytest.raises(UsageError, match="no preset 'papr'"):
        provider("papr")
