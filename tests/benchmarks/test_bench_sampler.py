"""The sampler loop around a denoiser, and attention in the foreground only, against the plain ways of doing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from thbench_methods.nets.unet3d.attention import Attention
from thbench_methods.nets.unet3d.focus import Foreground, Restricted

from thbench.accel import LightningCP, sample
from thbench.cost.device import HostDevice
from thbench.cost.flops import tally
from thbench.cost.watch import watch
from thbench.types import Audio, Generation, Request

pytestmark = pytest.mark.benchmark(group="sampler", timer=time.process_time)

STEPS = 200
LONGEST = 300e-6
"""Processor seconds of the loop per step, beside the network: a hundredth of the smallest network's step."""
LEAST_SHARE = 0.7
"""Of the speed-up that the operations promise, for attention in the foreground: gathering and scattering cost."""
HOOK = 50e-6
"""Processor seconds that the watch may take per step and per frame."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


class Nothing:
    """A denoiser that takes no time."""

    def full(self, z: Any, t: Any, condition: Any) -> Any:
        return z, z

    def shallow(self, z: Any, t: Any, condition: Any, deep: Any) -> Any:
        return z


class Schedule:
    times = tuple(float(STEPS - i) for i in range(STEPS))

    def step(self, index: int, latent: Any, prediction: Any) -> Any:
        return latent


def seconds(work: Callable[[], Any], rounds: int = 5) -> float:
    """Least processor seconds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("plan", [None, LightningCP(tuple(range(0, STEPS, 4)))], ids=["every step", "cached steps"])
def test_the_loop_costs_little(plan: Any, benchmark: Any, request: pytest.FixtureRequest) -> None:
    noise = torch.zeros(1, 4)
    given = () if plan is None else (plan,)
    told: list[Any] = []

    def run() -> Any:
        return sample(Nothing(), Schedule(), noise, None, *given, on_step=told.append)

    benchmark.pedantic(run, rounds=5)
    per_step = seconds(run) / STEPS
    benchmark.extra_info["microseconds_per_step"] = 1e6 * per_step
    print(f"\nsampler loop: {1e6 * per_step:.1f} microseconds per step")
    if not request.config.getoption("--benchmark-disable"):
        assert per_step < LONGEST


def test_attention_in_the_foreground(benchmark: Any, request: pytest.FixtureRequest) -> None:
    """Tokens of a 64 x 64 latent, 45 % of them foreground, as in the last up layer of a full-size network."""
    timed = not request.config.getoption("--benchmark-disable")
    side = 64 if timed else 16
    torch.manual_seed(0)
    attention = Attention(320).eval()
    tokens = torch.randn(1, side * side, 320)
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask.flatten()[: int(0.45 * side * side)] = True
    foreground = Foreground.of(mask)
    kept = {"up.attn1": attention(tokens).index_select(1, foreground.outside)}
    restricted = Restricted(foreground, kept).at("up")

    def run(rows: Any, choose: Any) -> Any:
        return attention(rows)

    works = {"everywhere": lambda: attention(tokens), "foreground": lambda: restricted("attn1", tokens, run)}
    taken = {name: seconds(work, rounds=3 if timed else 1) for name, work in works.items()}
    flops = {name: tally(work)[0].flops for name, work in works.items()}
    promised = flops["everywhere"] / flops["foreground"]
    share = taken["everywhere"] / taken["foreground"] / promised
    benchmark.extra_info.update(promised=promised, share_of_promise=share, seconds=taken)
    benchmark.pedantic(works["foreground"], rounds=3 if timed else 1)
    print(f"\nforeground attention: {promised:.2f} times fewer operations, {share:.0%} of that in time")
    if timed:
        assert share >= LEAST_SHARE


def test_the_watch_costs_little(benchmark: Any, request: pytest.FixtureRequest) -> None:
    """What timing adds to a generation: a mark per step and a stamp per frame."""
    import numpy as np

    frame = np.zeros((4, 4, 3), np.uint8)

    class Steps:
        def generate(self, request: Request, on_step: Any = None) -> Generation:
            for index in range(1000):
                on_step("denoise", index, 1000)
            return Generation([frame] * request.frames)

    asked = Request(frame, Audio(np.zeros(16000, np.float32), 16000), 25.0, 1000)

    def run() -> Any:
        return watch(Steps(), asked, HostDevice())

    benchmark.pedantic(run, rounds=5)
    each = seconds(run) / 2000
    benchmark.extra_info["microseconds_per_mark"] = 1e6 * each
    print(f"\nwatch: {1e6 * each:.2f} microseconds per step or frame")
    if not request.config.getoption("--benchmark-disable"):
        assert each < HOOK
