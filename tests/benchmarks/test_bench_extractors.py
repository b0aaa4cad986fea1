"""Networks of the metrics, made ready to run, against the same networks as they are; how near they come to the machine.

Weights are random: time does not depend on them. Both sides run turn by turn on one thread; processor seconds count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from thbench.backbones.arcface import IResNet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.modes import prepare
from thbench.backbones.syncnet import SyncNet
from thbench.cost.device import HostDevice
from thbench.cost.flops import tally
from thbench.cost.rates import measured_rates

pytestmark = pytest.mark.benchmark(group="extractors", timer=time.process_time)

ROUNDS = 3
SLOWEST = 1.05
"""A prepared network may take so much longer than the plain one, for noise."""

Call = Callable[[Any, Any], Any]
NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...], Call]] = {
    "inception, 2 frames": (InceptionFID, (2, 3, 299, 299), lambda net, x: net(x)),
    "i3d, 16 frames": (I3D, (1, 3, 16, 224, 224), lambda net, x: net(x)),
    "syncnet lips, 10 frames": (SyncNet, (3, 10, 224, 224), lambda net, x: net.lips_of_clip(x)),
    "syncnet audio, 32 windows": (SyncNet, (32, 1, 13, 20), lambda net, x: net.audio(x)),
    "arcface, 4 faces": (IResNet, (4, 3, 112, 112), lambda net, x: net(x)),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def rate() -> float:
    """Operations per processor second of the best matrix product on this machine, one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = measured_rates(HostDevice(), torch.float32, clock=time.process_time, seconds=0.2).flops_per_second
    torch.set_num_threads(threads)
    return found


def best(rounds: int, works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Least processor seconds of each, taken in turns after one warm-up."""
    seconds = dict.fromkeys(works, float("inf"))
    for round_ in range(rounds + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            if round_ or rounds == 1:
                seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


@pytest.mark.parametrize("name", NETWORKS)
def test_prepared_network(name: str, benchmark: Any, rate: float, request: pytest.FixtureRequest) -> None:
    make, shape, call = NETWORKS[name]
    torch.manual_seed(0)
    plain, x = make().eval(), torch.rand(shape)
    exact, fast = prepare(plain, "exact"), prepare(plain, "fast")
    timed = not request.config.getoption("--benchmark-disable")
    works = {"plain": lambda: call(plain, x), "exact": lambda: call(exact, x), "fast": lambda: call(fast, x)}
    seconds = best(ROUNDS if timed else 1, works)
    flops = tally(works["plain"])[0].flops
    reached = {which: flops / s / rate for which, s in seconds.items()}
    benchmark.extra_info.update(gflop=flops / 1e9, seconds=seconds, share_of_matmul_rate=reached)
    benchmark.pedantic(works["exact"], rounds=ROUNDS if timed else 1)
    print(
        f"\n{name}: {flops / 1e9:.1f} GFLOP;",
        *(f"{which} {1e3 * s:.0f} ms, {reached[which]:.0%} of the matmul rate;" for which, s in seconds.items()),
    )
    if timed:
        assert seconds["exact"] <= SLOWEST * seconds["plain"]
