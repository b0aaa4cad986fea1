"""The worker: makes the videos of one clip, scores them, and turns every outcome into a record."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.backbones.device import computing_on
from thbench.errors import MethodError, ThbenchError
from thbench.evaluate.engine import Scores, evaluate_clip
from thbench.evaluate.stream import sound_of
from thbench.metrics.available import select
from thbench.registry import METHODS
from thbench.run.building import build_method
from thbench.run.features import write_features
from thbench.run.generate import generate_video, request_of
from thbench.run.seeds import clip_seed
from thbench.types import Method, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from thbench.evaluate.settings import Settings
    from thbench.faces import FaceTracker, Landmarker
    from thbench.metrics.sound import Sound
    from thbench.run.executors import Beat
    from thbench.run.job import ClipJob, Task
    from thbench.run.suite import Variant


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a worker needs to know once; small and picklable."""

    folder: Path | None
    """The run folder, for generated videos; None when nothing is generated."""
    metrics: tuple[str, ...]
    """Metric names."""
    settings: Settings
    """Choices of the pass."""
    recipe: str
    """Key of the recipe, for the records."""
    attempt: int = 0
    """Which start of the run this is."""
    controls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Method name to controls."""
    keep_lossless: bool = True
    """Whether the lossless videos stay after they are scored."""
    device: str = "cpu"
    """Where methods and the networks of metrics compute."""


class ClipWorker:
    """Does one `ClipJob` after another; loaded methods and analysed sounds are kept between jobs."""

    def __init__(self, plan: WorkerPlan) -> None:
        _one_thread()
        self.plan = plan
        self.selection = select(plan.metrics)
        self._methods: dict[str, Method] = {}
        self._landmarker: Landmarker | None = None
        self._sound = lru_cache(maxsize=64)(_sound_or_none)

    def close(self) -> None:
        """Let go of the landmarker."""
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None

    def __call__(self, job: ClipJob, beat: Beat) -> tuple[Record, ...]:
        """Make and score all tasks of a job; every task gives a record, whatever happens."""
        videos: dict[str, Path] = {}
        stages: dict[str, Mapping[str, float]] = {}
        failures: dict[str, str] = {task.key: task.failure for task in job.tasks if task.failure}
        for task in job.tasks:
            if task.key not in failures:
                made = self._guarded(partial(self._video, task, job, beat))
                if isinstance(made, str):
                    failures[task.key] = made
                else:
                    videos[task.key], stages[task.key] = made
        start = time.perf_counter()
        scored = self._guarded(partial(self._evaluate, job, videos, beat))
        seconds = (time.perf_counter() - start) / max(len(videos), 1)
        if isinstance(scored, str):
            failures |= dict.fromkeys(videos, scored)
            scored = {}
        return tuple(
            self._record(task, job, failures, scored.get(task.key), stages.get(task.key, {}), videos, seconds)
            for task in job.tasks
        )

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """The single place where a clip's failure becomes text for its record; the run goes on."""
        try:
            return work()
        except ThbenchError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - see above
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} (at {Path(where.filename).name}:{where.lineno})"

    def _video(self, task: Task, job: ClipJob, beat: Beat) -> tuple[Path, Mapping[str, float]]:
        """The task's video, generated here or made by somebody else, and seconds by stage."""
        if task.generated is not None:
            return task.generated, {}
        if task.variant is None or job.reference is None or self.plan.folder is None:
            raise MethodError(f"clip {job.clip!r} has neither a generated video nor a reference to generate from")
        spec = METHODS[task.variant.method]
        request = request_of(
            spec,
            job.reference,
            fps=self.plan.settings.fps,
            seed=clip_seed(task.seed, job.clip),
            controls=self.plan.controls.get(spec.name, {}),
            other=job.others[0] if job.others else None,
        )
        name = f"{job.clip}-s{task.seed}" if task.seed else job.clip
        return generate_video(
            self._method(task.variant), request, self.plan.folder / "videos" / task.name, name, on_progress=beat
        )

    def _method(self, variant: Variant) -> Method:
        if variant.name not in self._methods:
            spec = METHODS[variant.method]
            self._methods[variant.name] = build_method(
                spec.factory,
                name=spec.name,
                preset=variant.preset,
                device=self.plan.device,
                accelerations=variant.accelerations,
            )
        return self._methods[variant.name]

    def _evaluate(self, job: ClipJob, videos: Mapping[str, Path], beat: Beat) -> dict[str, Scores]:
        if not videos:
            return {}
        with computing_on(self.plan.device):
            return evaluate_clip(
                videos,
                job.reference,
                selection=self.selection,
                settings=self.plan.settings,
                new_tracker=self._new_tracker() if self.selection.needs_faces else None,
                other_sounds=lambda: tuple(s for p in job.others if (s := self._sound(p)) is not None),
                on_instant=beat,
                together=_several_threads(),
            )

    def _new_tracker(self) -> Callable[[], FaceTracker]:
        """Trackers that share one landmarker, which keeps nothing between frames, unless they run together."""
        from thbench.faces import FaceTracker, Landmarker

        if _several_threads():
            return partial(FaceTracker, policy=self.plan.settings.missing_face)
        if self._landmarker is None:
            self._landmarker = Landmarker()
        return partial(FaceTracker, policy=self.plan.settings.missing_face, detector=self._landmarker)

    def _record(
        self,
        task: Task,
        job: ClipJob,
        failures: Mapping[str, str],
        scores: Scores | None,
        stages: Mapping[str, float],
        videos: Mapping[str, Path],
        seconds: float,
    ) -> Record:
        error = failures.get(task.key) or (scores.error if scores else None)
        common: dict[str, Any] = {
            "key": task.key,
            "variant": task.name,
            "clip": job.clip,
            "identity": job.identity,
            "seed": task.seed,
            "recipe": self.plan.recipe,
            "attempt": self.plan.attempt,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "video": self._shown(videos.get(task.key)),
        }
        if error is not None or scores is None:
            counts = dict(scores.counts) if scores else {}
            return Record(status="failed", error=error or "nothing was scored", counts=counts, **common)
        features, unkept = self._keep(task.key, scores)
        return Record(
            status="ok",
            values=dict(scores.values),
            missing={**scores.missing, **unkept},
            features=features,
            counts=dict(scores.counts),
            warnings=scores.warnings,
            seconds={**stages, "evaluate": seconds},
            **common,
        )

    def _keep(self, key: str, scores: Scores) -> tuple[dict[str, int], dict[str, str]]:
        """Store features; return their numbers of rows, and the metrics that lose their value if nothing can be kept.

        Files are written before the record, so that a record never promises features that are not there.
        """
        if not scores.features:
            return {}, {}
        if self.plan.folder is not None:
            kept = self._guarded(partial(write_features, self.plan.folder, key, scores.features))
            if not isinstance(kept, str):
                return kept, {}
        reason = "no run folder to keep features in" if self.plan.folder is None else kept
        of_sets = (spec.name for spec in self.selection.computable if spec.statistic is not None)
        return {}, {name: reason for name in of_sets if name not in scores.missing}

    def _shown(self, video: Path | None) -> str | None:
        """The video's path within the run folder where it lies there, else as it is."""
        if video is None:
            return None
        folder = self.plan.folder
        return str(video.relative_to(folder)) if folder and video.is_relative_to(folder) else str(video)


def failed_records(job: ClipJob, plan: WorkerPlan, reason: str) -> Iterator[Record]:
    """Records for a job whose worker died."""
    for task in job.tasks:
        yield Record(
            key=task.key,
            variant=task.name,
            clip=job.clip,
            identity=job.identity,
            seed=task.seed,
            recipe=plan.recipe,
            attempt=plan.attempt,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="failed",
            error=task.failure or reason,
        )


def _sound_or_none(path: Path) -> Sound | None:
    """The sound of another clip; one without a readable sound track lends none."""
    try:
        return sound_of(path)
    except ThbenchError:
        return None


def _several_threads() -> bool:
    """Whether the user lets each worker compute in more than one thread."""
    return os.environ.get("OMP_NUM_THREADS", "1").split(",")[0].strip() not in ("", "1")


def _one_thread() -> None:
    """One compute thread per worker: workers already fill the cores, and threads that fight are slower than one."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import cv2

    cv2.setNumThreads(1)
