"""Where jobs run: in this process, in processes of their own, or on a Ray cluster.

A worker is made once where it runs, then called once per job. What it raises belongs to the worker's author; what kills
it (a crash in a codec, an out-of-memory kill, a hang) becomes a `WorkerFailure` of the job in hand, and a fresh worker
goes on with the next. The parent blocks on pipes and burns no core while children work.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from thbench.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

Beat = Callable[[int], None]
"""Called by a worker while it works, with how much of its job is done; proves that it is alive."""
Worker = Callable[[JobT, Beat], ResultT]
"""Does one job."""
MakeWorker = Callable[[], Worker[JobT, ResultT]]
"""Makes a worker where it will run; must be picklable. A worker that has a `close` is closed at the end."""

BEAT_SECONDS = 0.25
"""Shortest time between two beats that a child sends."""


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """Why a job has no result."""

    reason: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """A job goes on."""

    job: int
    """Index of the job."""
    done: int
    """As the worker reported."""


@dataclass(frozen=True, slots=True)
class Finished(Generic[ResultT]):
    """A job ended."""

    job: int
    """Index of the job."""
    result: ResultT | WorkerFailure


def run_jobs(
    make_worker: MakeWorker[JobT, ResultT],
    jobs: Sequence[JobT],
    *,
    executor: Literal["local", "process", "ray"] = "process",
    workers: int = 1,
    stall_seconds: float = 600.0,
) -> Iterator[Progressed | Finished[ResultT]]:
    """Run all jobs and yield what happens as it happens; jobs finish in any order.

    Args:
        make_worker: Makes a worker; called once per process.
        jobs: What to do.
        executor: `local` works in this process, one job after another; `process` isolates workers in processes of their
            own; `ray` sends them to a Ray cluster.
        workers: Number of workers (1 for `local`).
        stall_seconds: A worker that is silent for so long is taken for hung and killed (`process` only).

    Raises:
        UsageError: `workers` is below 1.
        MissingExtraError: Ray is asked for and not installed.
    """
    if workers < 1:
        raise UsageError(f"--workers is {workers}; it must be 1 or more")
    match executor:
        case "local":
            return _run_local(make_worker, jobs)
        case "process":
            return _run_processes(make_worker, jobs, min(workers, max(len(jobs), 1)), stall_seconds)
        case "ray":
            return _run_ray(make_worker, jobs, workers)


def _run_local(
    make_worker: MakeWorker[JobT, ResultT], jobs: Sequence[JobT]
) -> Iterator[Progressed | Finished[ResultT]]:
    if not jobs:
        return
    worker = make_worker()
    try:
        for index, job in enumerate(jobs):
            yield Finished(index, worker(job, lambda done: None))
    finally:
        _close(worker)


class _Child(Generic[JobT, ResultT]):
    """One worker process and what it is doing."""

    def __init__(self, make_worker: MakeWorker[JobT, ResultT]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(make_worker, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.job: int | None = None
        self.last_sign = time.monotonic()

    def give(self, index: int, job: JobT) -> None:
        self.job = index
        self.last_sign = time.monotonic()
        self.pipe.send((index, job))

    def silent_for(self) -> float:
        return time.monotonic() - self.last_sign if self.job is not None else 0.0

    def end(self) -> None:
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def _run_processes(
    make_worker: MakeWorker[JobT, ResultT], jobs: Sequence[JobT], workers: int, stall_seconds: float
) -> Iterator[Progressed | Finished[ResultT]]:
    waiting = deque(enumerate(jobs))
    children: list[_Child[JobT, ResultT]] = []
    try:
        while waiting or any(child.job is not None for child in children):
            while waiting and len(children) < workers:
                children.append(_Child(make_worker))
            for child in children:
                if child.job is None and waiting:
                    child.give(*waiting.popleft())
            busy = {child.pipe: child for child in children if child.job is not None}
            for pipe in wait(list(busy), timeout=min(stall_seconds, 1.0)):
                child = busy[pipe]  # type: ignore[index]  # wait() returns what it was given
                event, alive = _receive(child)
                yield event
                if not alive:
                    children.remove(child)
            for child in [c for c in children if c.silent_for() > stall_seconds]:
                children.remove(child)
                child.kill()
                yield Finished(_job_of(child), WorkerFailure(f"no sign of life for {stall_seconds:g} s; stopped"))
    finally:
        for child in children:
            if child.job is None:
                child.end()
            else:
                child.kill()


def _receive(child: _Child[JobT, ResultT]) -> tuple[Progressed | Finished[ResultT], bool]:
    """Read one message of a child; a closed pipe is its death."""
    index = _job_of(child)
    try:
        kind, payload = child.pipe.recv()
    except (EOFError, ConnectionResetError):
        child.process.join()
        return Finished(index, WorkerFailure(_death(child.process.exitcode))), False
    child.last_sign = time.monotonic()
    if kind == "beat":
        return Progressed(index, payload), True
    child.job = None
    return Finished(index, payload), True


def _job_of(child: _Child[JobT, ResultT]) -> int:
    if child.job is None:
        raise RuntimeError("an idle worker was taken for a busy one")
    return child.job


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"
    return f"the worker process ended with exit code {exit_code}"


def _serve(make_worker: MakeWorker[JobT, ResultT], pipe: Connection) -> None:
    """Body of a worker process: jobs in, results out, until the pipe closes."""
    # Ctrl-C is the parent's business; a child that dies on it would be taken for a crash.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    worker = make_worker()
    last_beat = 0.0

    def beat(done: int) -> None:
        nonlocal last_beat
        now = time.monotonic()
        if now - last_beat >= BEAT_SECONDS:
            last_beat = now
            pipe.send(("beat", done))

    try:
        while True:
            _, job = pipe.recv()
            pipe.send(("result", worker(job, beat)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _close(worker)


def _close(worker: object) -> None:
    close = getattr(worker, "close", None)
    if close is not None:
        close()


def _run_ray(
    make_worker: MakeWorker[JobT, ResultT], jobs: Sequence[JobT], workers: int
) -> Iterator[Progressed | Finished[ResultT]]:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "cluster", "--executor ray") from error
    started = not ray.is_initialized()
    if started:
        # Workers of a local cluster see the modules that this process sees.
        modules = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=workers, runtime_env=modules)

    class Actor:
        def __init__(self) -> None:
            self.worker = make_worker()

        def work(self, job: JobT) -> ResultT:
            return self.worker(job, lambda done: None)

    remote: Any = ray.remote(num_cpus=1)(Actor)
    waiting = deque(enumerate(jobs))
    actors = [remote.remote() for _ in range(min(workers, len(jobs)))]
    busy: dict[Any, tuple[Any, int]] = {}
    try:
        for actor, (index, job) in zip(actors, list(itertools.islice(waiting, len(actors))), strict=True):
            waiting.popleft()
            busy[actor.work.remote(job)] = (actor, index)
        while busy:
            ready, _ = ray.wait(list(busy), num_returns=1)
            actor, index = busy.pop(ready[0])
            try:
                yield Finished(index, ray.get(ready[0]))
            except ray.exceptions.RayActorError as error:
                cause = str(error).strip().splitlines()[-1]
                yield Finished(index, WorkerFailure(f"the worker on the cluster died: {cause}"))
                actor = remote.remote()
            if waiting:
                index, job = waiting.popleft()
                busy[actor.work.remote(job)] = (actor, index)
    finally:
        if started:
            ray.shutdown()
