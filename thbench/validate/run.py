"""Plans the trials, runs them, and judges every metric."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from thbench._version import __version__
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.errors import UsageError, did_you_mean
from thbench.metrics.available import select
from thbench.run.executors import Finished, WorkerFailure, run_jobs
from thbench.validate.catalogue import BY_NAME, DEGRADATIONS
from thbench.validate.document import Validation
from thbench.validate.judge import MONOTONE, Evidence, respond, verdict_of
from thbench.validate.material import ACTED_SECONDS, busiest_stretch
from thbench.validate.worker import Outcome, Trial, TrialWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from thbench.metrics.available import Selection
    from thbench.run.runner import Workforce
    from thbench.types import Clip
    from thbench.validate.catalogue import Degradation, Kind

FPS = 25.0
CLIP_SECONDS = 4.0
"""Of a clip of the test split, for the progress bar alone."""
SOUND_PER_ACTED = 2
"""Further clips for the degradations of sound, for each acted clip: they need no drawing and no new faces."""
LONG_CLIPS = 4
"""Clips joined to the long video: 16 s, which is as much as drift needs."""


class Cast(NamedTuple):
    """Which clips play which part."""

    acted: tuple[Clip, ...]
    sound: tuple[Clip, ...]
    long: tuple[Clip, ...]


def cast(clips: Sequence[Clip], acted: int) -> Cast:
    """Choose clips: those with most blinks in a stretch, one of each person.

    Args:
        clips: Of SynthHeads, with truth.
        acted: How many to draw afresh.

    Raises:
        UsageError: There are not so many people.
    """
    by_blinks = sorted(clips, key=lambda clip: (-len(busiest_stretch(truth_of(clip)).blinks), clip.id))
    people: dict[str, Clip] = {}
    for clip in by_blinks:
        people.setdefault(clip.identity, clip)
    chosen = list(people.values())
    if not 1 <= acted <= len(chosen) - 1:
        raise UsageError(f"--clips is {acted}; the dataset has {len(chosen)} people, so choose 1 to {len(chosen) - 1}")
    return Cast(tuple(chosen[:acted]), tuple(chosen[acted : acted * (1 + SOUND_PER_ACTED)]), tuple(chosen[:LONG_CLIPS]))


def trials_of(parts: Cast, clips: Sequence[Clip], degradations: Iterable[Degradation]) -> tuple[Trial, ...]:
    """The trials, the longest first. The wrong sound of a clip is that of the next person in the dataset."""
    named: dict[Kind, tuple[str, ...]] = {
        kind: tuple(d.name for d in degradations if kind in d.kinds) for kind in ("acted", "long", "sound")
    }
    trial = partial(Trial, fps=FPS)
    planned = [
        *(
            trial(c.id, "acted", (c,), (_other(c, clips),), named["acted"], large=not n)
            for n, c in enumerate(parts.acted)
        ),
        trial("long", "long", parts.long, tuple(_other(c, clips) for c in parts.long), named["long"]),
        *(trial(c.id, "sound", (c,), (_other(c, clips),), named["sound"]) for c in parts.sound),
    ]
    return tuple(t for t in planned if t.degradations)


def _other(clip: Clip, clips: Sequence[Clip]) -> Clip:
    place = clips.index(clip)
    return next(c for c in (*clips[place + 1 :], *clips) if c.identity != clip.identity)


def degradations_of(names: Sequence[str]) -> tuple[Degradation, ...]:
    """Degradations by name; all when there are no names.

    Raises:
        UsageError: A name that does not exist.
    """
    for name in names:
        if name not in BY_NAME:
            raise UsageError(f"no degradation is called {name!r}{did_you_mean(name, BY_NAME)}")
    return tuple(d for d in DEGRADATIONS if not names or d.name in names)


def validate(
    selection: Selection,
    degradations: Sequence[Degradation],
    *,
    acted: int,
    workforce: Workforce,
    clips: Sequence[Clip] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Validation:
    """Try every metric.

    Args:
        selection: The metrics.
        degradations: What to try them on.
        acted: How many clips to draw afresh.
        workforce: Where trials run.
        clips: Of SynthHeads; None takes the test split of the package.
        on_progress: Called with the share of the work that is done.

    Raises:
        UsageError: The clips do not suffice.
    """
    start = time.perf_counter()
    known = clips_of() if clips is None else tuple(clips)
    parts = cast(known, acted)
    trials = trials_of(parts, known, degradations)
    outcomes = _run(trials, tuple(selection.specs), workforce, on_progress)
    evidence = {d.name: _of(d, trials, outcomes) for d in degradations}
    responses = tuple(respond(spec, d, evidence[d.name]) for spec in selection.specs.values() for d in degradations)
    verdicts = tuple(verdict_of(s, [r for r in responses if r.metric == s.name]) for s in selection.specs.values())
    kinds = {trial.kind for trial in trials}
    return Validation(
        thbench=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - start, 1),
        workers=workforce.workers,
        frames=sum(outcome.frames for outcome in outcomes),
        acted_seconds=ACTED_SECONDS,
        acted_clips=tuple(c.id for c in parts.acted if "acted" in kinds),
        sound_clips=tuple(c.id for c in parts.sound if "sound" in kinds),
        long_clips=tuple(c.id for c in parts.long if "long" in kinds),
        monotone=MONOTONE,
        degradations=tuple(degradations),
        verdicts=verdicts,
        responses=tuple(r for r in responses if r.clips or r.expected),
        failures=tuple(f"{t.name}: {line}" for t, o in zip(trials, outcomes, strict=True) for line in o.failures),
    )


def _of(degradation: Degradation, trials: Sequence[Trial], outcomes: Sequence[Outcome]) -> Evidence:
    """What the trials gave in which a degradation took part."""
    took_part = {t.name: o for t, o in zip(trials, outcomes, strict=True) if degradation.name in t.degradations}
    return Evidence(
        values={name: outcome.values for name, outcome in took_part.items()},
        missing={name: outcome.missing for name, outcome in took_part.items()},
        features={name: outcome.features for name, outcome in took_part.items()},
    )


def _run(
    trials: Sequence[Trial],
    metrics: tuple[str, ...],
    workforce: Workforce,
    on_progress: Callable[[float], None] | None,
) -> list[Outcome]:
    seconds = [ACTED_SECONDS if trial.kind == "acted" else CLIP_SECONDS * len(trial.clips) for trial in trials]
    work = [round(len(trial.variants) * length * FPS) for trial, length in zip(trials, seconds, strict=True)]
    done = [0] * len(trials)
    outcomes = [Outcome() for _ in trials]
    events = run_jobs(
        partial(TrialWorker, metrics),
        trials,
        executor=workforce.executor,
        workers=workforce.workers,
        stall_seconds=workforce.stall_seconds,
    )
    for event in events:
        if isinstance(event, Finished):
            done[event.job] = work[event.job]
            result = event.result
            outcomes[event.job] = Outcome(failures=[result.reason]) if isinstance(result, WorkerFailure) else result
        else:
            done[event.job] = min(event.done, work[event.job])
        if on_progress:
            on_progress(sum(done) / max(sum(work), 1))
    return outcomes


def select_metrics(patterns: Sequence[str]) -> Selection:
    """Metrics by name, family or glob; without any, every metric that exists, those on request included."""
    return select(patterns or ("*",))
