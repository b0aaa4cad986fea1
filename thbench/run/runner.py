"""Runs jobs into a run folder: records are stored the moment they exist."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from thbench.run.executors import Progressed, WorkerFailure, run_jobs
from thbench.run.worker import ClipWorker, WorkerPlan, failed_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.run.job import ClipJob
    from thbench.run.store import RunStore
    from thbench.types import Record

ExecutorName = Literal["local", "process", "ray"]
"""Where jobs run."""


class Watcher(Protocol):
    """Sees a run go on."""

    def progressed(self, job: int, instants: int) -> None:
        """A job has done so many instants."""
        ...

    def finished(self, job: int, records: Sequence[Record]) -> None:
        """A job is done."""
        ...


@dataclass(frozen=True, slots=True)
class Workforce:
    """Who does the work."""

    executor: ExecutorName = "process"
    """Where jobs run."""
    workers: int = 1
    """How many at a time."""
    stall_seconds: float = 600.0
    """A worker that is silent for so long is taken for hung."""


def execute(jobs: Sequence[ClipJob], plan: WorkerPlan, store: RunStore, workforce: Workforce, watcher: Watcher) -> None:
    """Run all jobs; each record is on disk before the next event is looked at.

    A kill at any point loses at most the clips in hand.
    """
    events = run_jobs(
        partial(ClipWorker, plan),
        jobs,
        executor=workforce.executor,
        workers=workforce.workers,
        stall_seconds=workforce.stall_seconds,
    )
    for event in events:
        if isinstance(event, Progressed):
            watcher.progressed(event.job, event.done)
            continue
        if isinstance(event.result, WorkerFailure):
            records = tuple(failed_records(jobs[event.job], plan, event.result.reason))
        else:
            records = event.result
        for record in records:
            store.append(record)
        watcher.finished(event.job, records)


def default_workers() -> int:
    """One worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
