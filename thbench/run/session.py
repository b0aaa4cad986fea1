"""One start of a run: `run.json` says how it began and how it ended, whatever happens in between."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from thbench.registry import METHODS
from thbench.run.environment import environment
from thbench.run.info import Kind, Planned, Recipe, RunInfo, Status
from thbench.run.provenance import weights_of
from thbench.run.store import RunStore
from thbench.types import GROUND_TRUTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from thbench.metrics.available import Selection
    from thbench.run.job import ClipJob, Task


@dataclass(frozen=True, slots=True)
class Session:
    """A run that is under way."""

    store: RunStore
    """Its folder."""
    attempt: int
    """Which start this is, from 0."""


@contextmanager
def open_run(
    folder: Path,
    jobs: tuple[ClipJob, ...],
    *,
    recipe: Recipe,
    suite: Mapping[str, Any],
    selection: Selection,
    workers: int,
    resume: bool,
) -> Iterator[Session]:
    """Begin a run or go on with it; on the way out, write how it ended.

    The status becomes `success` when the body ends, `cancelled` on Ctrl-C, `failed` on an error; a kill leaves
    `started`.

    Raises:
        UsageError: The folder cannot be used (see `RunStore.create`).
    """
    here = environment()
    info = RunInfo(
        suite=dict(suite),
        environment=here,
        recipes={recipe.key: recipe},
        weights=weights_of(selection),
        kinds={task.name: _kind(task) for job in jobs for task in job.tasks},
        planned=tuple(
            Planned(
                key=task.key, variant=task.name, clip=job.clip, identity=job.identity, seed=task.seed, recipe=recipe.key
            )
            for job in jobs
            for task in job.tasks
        ),
    )
    with RunStore.create(folder, info, resume=resume) as store:
        store.update(store.info.begun(workers=workers, started=datetime.now(UTC), on=here))
        start = time.monotonic()
        status: Status = "failed"
        try:
            yield Session(store, attempt=len(store.info.attempts) - 1)
            status = "success"
        except KeyboardInterrupt:
            status = "cancelled"
            raise
        finally:
            seconds = time.monotonic() - start
            store.update(store.info.ended(status, ended=datetime.now(UTC), seconds=seconds))


def _kind(task: Task) -> Kind:
    if task.name == GROUND_TRUTH:
        return "ground-truth"
    return "baseline" if task.variant and METHODS[task.variant.method].kind == "baseline" else "method"
