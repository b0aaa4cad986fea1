"""Makes and scores all variants of one clip."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thbench.errors import ThbenchError
from thbench.evaluate.engine import evaluate_clip
from thbench.evaluate.settings import Settings
from thbench.media import write_video
from thbench.metrics.available import select
from thbench.metrics.sound import analyse
from thbench.validate.catalogue import BY_NAME, UNCHANGED, apply
from thbench.validate.material import acted_material, recorded_material
from thbench.validate.remember import RememberingDetector, RememberingViews

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from thbench.evaluate.engine import Scores
    from thbench.faces import FaceTracker, Landmarker
    from thbench.run.executors import Beat
    from thbench.types import Clip
    from thbench.validate.catalogue import Kind, Variant
    from thbench.validate.material import Frames, Material


LARGE_METRICS = frozenset({"ms-ssim"})
"""Metrics that refuse frames as small as those of SynthHeads; they see the first acted clip enlarged."""
LARGE_SIDE, LARGE_FRAMES = 192, 25
"""Shorter side in pixels (five scales of an 11 pixel window need 176), and how many frames: their mean is the value."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One clip (or several, joined) and what is to be done to it; small and picklable."""

    name: str
    kind: Kind
    clips: tuple[Clip, ...]
    """One, or those to be joined."""
    others: tuple[Clip, ...]
    """Whose sound is the wrong one; as many."""
    degradations: tuple[str, ...]
    """Names in the catalogue."""
    fps: float
    seed: int = 0
    large: bool = False
    """Whether it also stands for the metrics that need larger frames."""

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What will be scored, each once."""
        return (UNCHANGED, *(v for group in groups(self.degradations) for v in group))


@dataclass(slots=True)
class Outcome:
    """What a trial gave."""

    values: dict[Variant, Mapping[str, float]] = field(default_factory=dict)
    """Variant to metric to value."""
    missing: dict[Variant, Mapping[str, str]] = field(default_factory=dict)
    """Variant to metric to reason."""
    failures: list[str] = field(default_factory=list)
    """Variants that could not be made or scored, one sentence each."""
    features: dict[Variant, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)
    """Variant to extractor to features, for metrics of sets of videos."""
    frames: int = 0
    """Frames scored."""

    def take(self, variant: Variant, scores: Scores) -> None:
        """Add the scores of one variant; other metrics of the same variant stay."""
        self.values[variant] = {**self.values.get(variant, {}), **scores.values}
        self.missing[variant] = {**self.missing.get(variant, {}), **scores.missing}
        self.features[variant] = {**self.features.get(variant, {}), **scores.features}
        self.frames += scores.counts.get("frames", 0)
        if scores.error:
            self.failures.append(f"{variant.change} {variant.amount:g}: {scores.error}")


def groups(degradations: Iterable[str]) -> Iterator[tuple[Variant, ...]]:
    """Variants to score in one pass, degradation by degradation; one that came before is left out."""
    seen = {UNCHANGED}
    for name in degradations:
        fresh = tuple(v for v in BY_NAME[name].variants() if v not in seen)
        seen.update(fresh)
        if fresh:
            yield fresh


class TrialWorker:
    """Does one `Trial` after another; the face landmarker is loaded once."""

    def __init__(self, metrics: tuple[str, ...]) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        import cv2

        # Workers already fill the cores.
        cv2.setNumThreads(1)
        self._selection = select(name for name in metrics if name not in LARGE_METRICS)
        self._large = select(name for name in metrics if name in LARGE_METRICS)
        self._landmarker: Landmarker | None = None

    def close(self) -> None:
        """Let go of the landmarker."""
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None

    def __call__(self, trial: Trial, beat: Beat) -> Outcome:
        """Make and score all variants; one that fails leaves a sentence and the others go on."""
        outcome = Outcome()
        try:
            material = _material(trial)
        except ThbenchError as error:
            outcome.failures.append(str(error))
            return outcome
        trackers, views = self._trackers(), RememberingViews()
        with tempfile.TemporaryDirectory(prefix="thbench-validate-") as name:
            base = Path(name) / "unchanged.mkv"
            write_video(base, material.frames, trial.fps, audio=material.audio)
            if trial.large:
                write_video(_large(base), enlarged(material.frames), trial.fps)
            done = 0
            for group in ((UNCHANGED,), *groups(trial.degradations)):
                beats = partial(_beat, beat, done, len(group))
                self._score(group, material, base, trackers, views, outcome, trial.large, beats)
                done += len(group) * len(material.frames)
        return outcome

    def _score(
        self,
        group: tuple[Variant, ...],
        material: Material,
        base: Path,
        trackers: partial[FaceTracker] | None,
        views: RememberingViews,
        outcome: Outcome,
        large: bool,
        beat: Beat,
    ) -> None:
        videos: dict[Variant, Path] = {}
        for number, variant in enumerate(group):
            path = base if variant == UNCHANGED else base.with_name(f"{number}.mkv")
            try:
                if variant != UNCHANGED:
                    video = apply(variant, material)
                    write_video(path, video.frames, material.fps, audio=video.audio)
                    if large:
                        write_video(_large(path), enlarged(video.frames), material.fps)
                videos[variant] = path
            except ThbenchError as error:
                outcome.failures.append(f"{variant.change} {variant.amount:g}: {error}")
            beat(0)
        scored = evaluate_clip(
            {_key(v): path for v, path in videos.items()},
            base,
            selection=self._selection,
            settings=Settings(fps=material.fps),
            new_tracker=trackers,
            other_sounds=lambda: (analyse([material.other.samples], material.other.rate),),
            seed=material.seed,
            on_instant=beat,
            new_view=views,
        )
        for variant in videos:
            outcome.take(variant, scored[_key(variant)])
        if large and self._large.specs:
            scored = evaluate_clip(
                {_key(v): _large(path) for v, path in videos.items()},
                _large(base),
                selection=self._large,
                settings=Settings(fps=material.fps),
                new_tracker=None,
            )
            for variant in videos:
                outcome.take(variant, scored[_key(variant)])
        for path in videos.values():
            if path != base:
                path.unlink()
                _large(path).unlink(missing_ok=True)

    def _trackers(self) -> partial[FaceTracker] | None:
        """Trackers of one trial, which share what was found in equal frames."""
        if not self._selection.needs_faces:
            return None
        from thbench.faces import FaceTracker, Landmarker

        if self._landmarker is None:
            self._landmarker = Landmarker()
        return partial(FaceTracker, detector=RememberingDetector(self._landmarker))


def _beat(beat: Beat, before: int, videos: int, instants: int) -> None:
    """Report frames from instants of several videos at once."""
    beat(before + videos * instants)


def enlarged(frames: Frames) -> list[NDArray[np.uint8]]:
    """The first second, enlarged so that no side is too short for any metric; bicubic."""
    import cv2

    scale = LARGE_SIDE / min(frames[0].shape[:2])
    size = (round(frames[0].shape[1] * scale), round(frames[0].shape[0] * scale))
    return [np.asarray(cv2.resize(f, size, interpolation=cv2.INTER_CUBIC), np.uint8) for f in frames[:LARGE_FRAMES]]


def _large(path: Path) -> Path:
    return path.with_stem(f"{path.stem}-large")


def _key(variant: Variant) -> str:
    return f"{variant.change}@{variant.amount!r}"


def _material(trial: Trial) -> Material:
    if trial.kind == "acted":
        return acted_material(trial.clips[0], trial.others[0], trial.seed)
    return recorded_material(trial.clips, trial.others, trial.fps, trial.seed)
