"""The measurement of some variants: fresh processes one after another, then one record.

While a process measures, this one waits on a pipe and does nothing.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from thbench.cost.child import CostWorker, Job, Outcome, Target, Task
from thbench.cost.host import load_average
from thbench.cost.leaks import REPEATS, leak_check
from thbench.cost.record import Conditions, CostRecord, CostWarning, MemoryTrial, Protocol, Workload
from thbench.cost.summary import compare, summarise, warnings_of
from thbench.errors import MethodError
from thbench.run.environment import cpu_model, environment
from thbench.run.executors import Finished, WorkerFailure, run_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.types import Request

VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "PYTORCH_CUDA_ALLOC_CONF",
)
"""Environment variables that can move a time."""

Launch = Callable[[Job], Outcome]
"""Runs a job in a fresh process; tests run it in their own."""
Watching = Callable[[str, int, int], None]
"""Told what is measured: a few words, and which job of how many."""


@dataclass(frozen=True, slots=True)
class Passes:
    """What is measured beside time."""

    memory: int = 1
    """Fresh processes per variant that look at memory."""
    allocations: bool = True
    """On a CPU, whether torch's allocations are counted too (under its profiler, in a process of its own)."""
    leak_repeats: int = 0
    """Generations of the leak check; 0 for none."""


def measure(
    targets: Sequence[Target],
    request: Request,
    *,
    clip: str,
    protocol: Protocol,
    passes: Passes = Passes(),
    launch: Launch | None = None,
    watching: Watching = lambda what, number, of: None,
) -> CostRecord:
    """Measure variants against the first one.

    Args:
        targets: Variants; the first is what the others are compared with.
        request: What all of them generate.
        clip: Its name, for the record.
        protocol: How often.
        passes: What beside time.
        launch: Runs a job.
        watching: Told how far it is.

    Raises:
        MethodError: A variant failed; nothing can be said about its cost then.
    """
    jobs = plan(targets, request, protocol, passes)
    run = launch or fresh_process
    before = load_average()
    outcomes: list[tuple[Job, Outcome]] = []
    for number, job in enumerate(jobs):
        if job.task == "allocations" and not _uses_torch(outcomes, job.targets[0].variant):
            continue
        watching(f"{job.task} {'+'.join(t.variant for t in job.targets)}", number, len(jobs))
        outcome = run(job)
        if outcome.error is not None:
            raise MethodError(f"{' and '.join(t.variant for t in job.targets)} cannot be timed: {outcome.error}")
        outcomes.append((job, outcome))
    watching("", len(jobs), len(jobs))
    return _record(targets, request, clip, protocol, outcomes, before)


def plan(targets: Sequence[Target], request: Request, protocol: Protocol, passes: Passes) -> tuple[Job, ...]:
    """The processes of a measurement; cold starts and interleaved ones in random order, memory after them."""
    timed: list[tuple[Task, tuple[Target, ...], int]] = [
        ("cold", (target,), number) for target in targets for number in range(protocol.cold_starts)
    ]
    timed += [("interleaved", tuple(targets), number) for number in range(protocol.processes)]
    random.Random(protocol.seed).shuffle(timed)
    later: list[tuple[Task, tuple[Target, ...], int]] = [
        ("memory", (target,), number) for number in range(passes.memory) for target in targets
    ]
    if passes.leak_repeats:
        later += [("leak", (target,), 0) for target in targets]
    if passes.allocations and passes.memory:
        later += [("allocations", (target,), 0) for target in targets if target.device == "cpu"]
    return tuple(
        Job(task, number, chosen, request, protocol, passes.leak_repeats or REPEATS)
        for task, chosen, number in (*timed, *later)
    )


def fresh_process(job: Job) -> Outcome:
    """Run a job in a process of its own."""
    for event in run_jobs(partial(CostWorker), [job], executor="process", workers=1, stall_seconds=float("inf")):
        if isinstance(event, Finished):
            return Outcome(error=event.result.reason) if isinstance(event.result, WorkerFailure) else event.result
    raise RuntimeError("a process ended without a result or a reason")


def _record(
    targets: Sequence[Target],
    request: Request,
    clip: str,
    protocol: Protocol,
    outcomes: Sequence[tuple[Job, Outcome]],
    load_before: float | None,
) -> CostRecord:
    variants = tuple(target.variant for target in targets)
    trials = tuple(trial for _, outcome in outcomes for trial in outcome.trials)
    others = [o.other_work for _, o in outcomes if o.other_work is not None]
    other_work = sum(others) / len(others) if others else None
    facts = {name: value for _, o in outcomes for name, value in o.facts.items() if name in Conditions.model_fields}
    leaks = tuple(leak_check(j.targets[0].variant, o.resident, o.held) for j, o in outcomes if j.task == "leak")
    resolution = time.get_clock_info("perf_counter").resolution
    return CostRecord(
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        environment=environment(),
        conditions=Conditions(
            **{
                "device": targets[0].device,
                "device_name": cpu_model(),
                **facts,
                "load_before": load_before,
                "load_after": load_average(),
                "other_work": other_work,
                "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
            }
        ),
        protocol=protocol,
        workload=workload_of(request, clip),
        variants=variants,
        trials=trials,
        memory=_with_allocations(outcomes),
        leaks=leaks,
        summaries={variant: summarise(trials, variant) for variant in variants},
        comparisons=tuple(c for variant in variants[1:] for c in compare(trials, variants[0], variant)),
        warnings=(
            *warnings_of(trials, variants, protocol, other_work=other_work, resolution=resolution),
            *_memory_warnings(outcomes),
        ),
    )


def workload_of(request: Request, clip: str) -> Workload:
    """What a request asks for, with a digest of its portrait and sound."""
    digest = hashlib.sha256(request.portrait.tobytes())
    digest.update(request.audio.samples.tobytes())
    height, width = request.portrait.shape[:2]
    return Workload(
        clip=clip,
        frames=request.frames,
        fps=request.fps,
        height=height,
        width=width,
        seed=request.seed,
        sha256=digest.hexdigest(),
    )


def shortened(request: Request, frames: int) -> Request:
    """The same request for fewer frames, with as much of the sound."""
    kept = min(frames, request.frames)
    samples = round(kept / request.fps * request.audio.rate)
    return replace(request, frames=kept, audio=replace(request.audio, samples=request.audio.samples[:samples]))


def _uses_torch(outcomes: Sequence[tuple[Job, Outcome]], variant: str) -> bool:
    """Whether torch was there after the memory pass of a variant; nothing is allocated by it otherwise."""
    return any(
        o.facts.get("torch") for job, o in outcomes if job.task == "memory" and job.targets[0].variant == variant
    )


def _with_allocations(outcomes: Sequence[tuple[Job, Outcome]]) -> tuple[MemoryTrial, ...]:
    """Memory trials; on a CPU, with the allocations that a process of its own has counted."""
    counted = {job.targets[0].variant: o.allocations for job, o in outcomes if o.allocations is not None}
    trials = []
    for trial in (trial for _, outcome in outcomes for trial in outcome.memory):
        stages = counted.get(trial.variant)
        if stages:
            peaks = {
                name: found.model_copy(update={"allocated": stages.get(name)}) for name, found in trial.stages.items()
            }
            peak = trial.peak.model_copy(update={"allocated": max(stages.values())})
            trial = trial.model_copy(update={"stages": peaks, "peak": peak})
        trials.append(trial)
    return tuple(trials)


def _memory_warnings(outcomes: Sequence[tuple[Job, Outcome]]) -> tuple[CostWarning, ...]:
    sampled = dict.fromkeys(job.targets[0].variant for job, outcome in outcomes if not outcome.host_exact)
    checks = [leak_check(j.targets[0].variant, o.resident, o.held) for j, o in outcomes if j.task == "leak"]
    return (
        *(
            CostWarning(
                kind="not-exact",
                variant=variant,
                measure="host",
                text=f"the host memory of {variant} was sampled, so its peak is a lower bound: the method runs "
                "processes of its own, or the system keeps no high-water mark",
            )
            for variant in sampled
        ),
        *(
            CostWarning(
                kind="memory-grows",
                variant=check.variant,
                measure="host",
                text=f"memory of {check.variant} grows by {check.growth / 2**20:.2f} MiB from one generation to the "
                "next; look for a cache that outlives its clip",
                value=check.growth,
                limit=check.limit,
            )
            for check in checks
            if check.leaks
        ),
    )
