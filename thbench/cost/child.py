"""What one fresh process measures: a cold start, interleaved trials, peaks of memory, allocations, a leak check."""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from thbench.cost.device import open_device
from thbench.cost.host import busy_core_seconds, own_core_seconds, tree_rss
from thbench.cost.memory import allocations_by_stage, largest, peaks_by_stage, repeated
from thbench.cost.record import Bytes, MemoryTrial, Protocol, Trial, TrialKind
from thbench.cost.watch import Clocks, watch
from thbench.errors import ThbenchError
from thbench.run.building import build_method

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.cost.device import Device
    from thbench.cost.watch import Taken
    from thbench.run.executors import Beat
    from thbench.types import Method, Request

LEAST_WALL = 0.2
"""Seconds from which the system's count of busy cores, in ticks of 10 ms, says anything."""
Task = Literal["cold", "interleaved", "memory", "allocations", "leak"]


@dataclass(frozen=True, slots=True)
class Target:
    """A variant and how to build it."""

    variant: str
    """Its name in the record."""
    factory: str
    """`module:callable`, as in the method's spec."""
    preset: str = "default"
    """One of its presets."""
    device: str = "cpu"
    """Where it computes."""
    accelerations: tuple[str, ...] = ()
    """Names in the registry; given to the factory where there are any."""

    def build(self) -> Method:
        """Import and build the method."""
        return build_method(
            self.factory,
            name=self.variant,
            preset=self.preset,
            device=self.device,
            accelerations=self.accelerations,
        )


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is to measure; small and picklable but for the request's arrays."""

    task: Task
    """Which measurement."""
    process: int
    """Its number in the record."""
    targets: tuple[Target, ...]
    """What is measured; one for all tasks but `interleaved`."""
    request: Request
    """What is generated."""
    protocol: Protocol
    """How."""
    repeats: int = 20
    """Generations of a leak check."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a process found."""

    trials: tuple[Trial, ...] = ()
    memory: tuple[MemoryTrial, ...] = ()
    allocations: Mapping[str, int] | None = None
    """Stage to bytes of torch's CPU allocator."""
    resident: tuple[int, ...] = ()
    """Bytes after each repetition of a leak check."""
    held: tuple[int, ...] = ()
    """The same on the device."""
    other_work: float | None = None
    """Cores that were busy with something else meanwhile."""
    host_exact: bool = True
    """Whether peaks of the host are exact."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Conditions` that only the process itself knows."""
    error: str | None = None
    """Why there is nothing."""


class CostWorker:
    """Does the one job of its process."""

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()

    def __call__(self, job: Job, beat: Beat) -> Outcome:
        """Measure; an error meant for the user comes back as its text."""
        try:
            return self._measure(job)
        except ThbenchError as error:
            return Outcome(error=str(error))

    def _measure(self, job: Job) -> Outcome:
        match job.task:
            case "cold":
                return cold_start(job, self._clocks)
            case "interleaved":
                return interleaved(job, self._clocks)
            case "memory":
                return memory(job)
            case "allocations":
                return Outcome(allocations=_allocations(job))
            case "leak":
                device = open_device(job.targets[0].device)
                resident, held = repeated(job.targets[0].build(), job.request, device, job.repeats)
                return Outcome(resident=resident, held=held)


def cold_start(job: Job, clocks: Clocks) -> Outcome:
    """Load and generate once; the device is part of the loading."""
    target = job.targets[0]
    start = clocks.wall()
    device = open_device(target.device)
    method = target.build()
    device.synchronise()
    loaded = clocks.wall() - start
    taken = watch(method, job.request, device, clocks, since=start)
    trial = _trial(job, target, "cold", taken)
    return Outcome(trials=(trial.model_copy(update={"seconds": {"load": loaded, **trial.seconds}}),))


def interleaved(job: Job, clocks: Clocks) -> Outcome:
    """Load all variants, warm up, then let each generate once per round, in random order."""
    dice = random.Random(f"{job.protocol.seed}/{job.process}")
    devices = {target.variant: open_device(target.device) for target in job.targets}
    methods = {target.variant: target.build() for target in job.targets}

    def once(target: Target, kind: TrialKind, round_: int, position: int) -> Trial:
        # One variant must not pay for what another one left behind.
        gc.collect()
        taken = watch(methods[target.variant], job.request, devices[target.variant], clocks)
        return _trial(job, target, kind, taken, round_, position)

    trials = [once(target, "warm-up", i, 0) for i in range(job.protocol.warm_ups) for target in job.targets]
    measured = dict.fromkeys(methods, 0.0)
    busy, own, start = busy_core_seconds(), own_core_seconds(), time.perf_counter()
    for round_ in range(job.protocol.max_rounds):
        if round_ >= job.protocol.min_rounds and min(measured.values()) >= job.protocol.min_seconds:
            break
        for position, target in enumerate(dice.sample(job.targets, len(job.targets))):
            trials.append(once(target, "measured", round_, position))
            measured[target.variant] += trials[-1].seconds["end-to-end"]
    wall = time.perf_counter() - start
    now, worked = busy_core_seconds(), own_core_seconds() - own
    known = busy is not None and now is not None and wall >= LEAST_WALL
    others = max((now or 0.0) - (busy or 0.0) - worked, 0.0) / wall if known else None
    return Outcome(trials=tuple(trials), other_work=others, facts=_facts(devices[job.targets[0].variant]))


def memory(job: Job) -> Outcome:
    """Peaks of loading and generating once."""
    target = job.targets[0]
    resident = tree_rss()
    device = open_device(target.device)
    # What other processes hold on the device, and what the bare use of it costs.
    before = Bytes(host=resident, device=device.in_use())
    stages, exact = peaks_by_stage(target.build, job.request, device)
    trial = MemoryTrial(
        variant=target.variant, process=job.process, before=before, stages=stages, peak=largest(list(stages.values()))
    )
    return Outcome(memory=(trial,), host_exact=exact, facts={"torch": "torch" in sys.modules})


def _allocations(job: Job) -> dict[str, int] | None:
    import torch  # noqa: F401 - must be there before the profiler starts

    return allocations_by_stage(job.targets[0].build, job.request)


def _trial(job: Job, target: Target, kind: TrialKind, taken: Taken, round_: int = 0, position: int = 0) -> Trial:
    return Trial(
        variant=target.variant,
        kind=kind,
        process=job.process,
        round=round_,
        position=position,
        seconds=taken.seconds,
        device_seconds=taken.device_seconds,
        samples=taken.samples,
    )


def _facts(device: Device) -> dict[str, Any]:
    """What only the measuring process knows."""
    facts: dict[str, Any] = {"device": device.name, "device_name": device.title, **device.versions}
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["threads"] = torch.get_num_threads()
    if hasattr(os, "sched_getaffinity"):
        facts["affinity"] = tuple(sorted(os.sched_getaffinity(0)))
    return facts
