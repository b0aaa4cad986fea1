"""From trials to summaries, comparisons and warnings: pure functions of what was measured.

Trials of one process are alike (one memory layout, one moment of the machine), so intervals are over processes: the
clusters of `thbench.stats` are processes here. Comparisons are of logarithms and paired by process and round.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.cost.record import Comparison, CostWarning, Protocol, Summary, Trial
from thbench.stats import mean_estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thbench.stats import Estimate

LEVEL = 0.95
OUTLIER_SCORE = 3.5
"""Modified z-score from which a sample is an outlier (Iglewicz & Hoaglin 1993)."""
OUTLIER_SHARE = 0.05
"""And its least distance from the median, so that a very steady machine has none of no consequence."""
LEAST_PROCESSES = 3
"""Fewer processes say little about how much processes differ."""
LEAST_TRIALS = 6
"""Fewer trials per variant cannot show an outlier."""
NOTABLE_DRIFT = 0.05
"""Change from the first half of the rounds to the second that is worth a word."""
NOTABLE_ORDER = 0.02
"""Effect of the place in the round that is worth a word."""
OTHER_CORES = 0.1
"""Cores busy with something else from which a machine is called busy."""
LEAST_TICKS = 1000
"""Ticks of the clock that a sample should last."""


class _Sample(NamedTuple):
    process: int
    round: int
    position: int
    value: float


def samples_of(trials: Iterable[Trial], variant: str, measure: str, kind: str = "measured") -> list[_Sample]:
    """The values of one measure of one variant, in the order measured."""
    return [
        _Sample(t.process, t.round, t.position, t.seconds[measure])
        for t in trials
        if t.variant == variant and t.kind == kind and measure in t.seconds
    ]


def measures_of(trials: Iterable[Trial], variant: str, kind: str = "measured") -> list[str]:
    """Names of the measures of a variant, in the order in which they appear."""
    return list(dict.fromkeys(m for t in trials if t.variant == variant and t.kind == kind for m in t.seconds))


def summarise(trials: Sequence[Trial], variant: str, level: float = LEVEL) -> dict[str, Summary]:
    """Measure to summary of a variant's measured trials, and of its cold ones under `cold/MEASURE`."""
    found = {}
    for kind, prefix in (("measured", ""), ("cold", "cold/")):
        for measure in measures_of(trials, variant, kind):
            fine = [v for t in trials if t.variant == variant and t.kind == kind for v in t.samples.get(measure, ())]
            found[prefix + measure] = _summary(samples_of(trials, variant, measure, kind), fine, level)
    return found


def compare(trials: Sequence[Trial], baseline: str, variant: str, level: float = LEVEL) -> tuple[Comparison, ...]:
    """How much faster a variant is than the first one, for each measure that both have.

    Pairs of which a value is not above 0 have no ratio and are left out.
    """
    found = []
    both = [m for m in measures_of(trials, baseline) if m in measures_of(trials, variant)]
    for measure in both:
        base = {(s.process, s.round): s.value for s in samples_of(trials, baseline, measure)}
        pairs = [
            (s.process, math.log(base[s.process, s.round] / s.value))
            for s in samples_of(trials, variant, measure)
            if s.value > 0 and base.get((s.process, s.round), 0.0) > 0
        ]
        if pairs:
            found.append(_comparison(variant, baseline, measure, pairs, level))
    return tuple(found)


def outliers(values: Sequence[float]) -> int:
    """How many values lie far outside the rest, by modified z-score of their logarithms.

    Example:
        >>> outliers([1.0, 1.01, 0.99, 1.0, 1.02, 3.0])
        1
    """
    logs = np.log([value for value in values if value > 0])
    if len(logs) < LEAST_TRIALS:
        return 0
    away = np.abs(logs - np.median(logs))
    spread = 1.4826 * float(np.median(away))
    return int(np.sum((away > OUTLIER_SCORE * spread) & (away > math.log1p(OUTLIER_SHARE))))


def warnings_of(
    trials: Sequence[Trial],
    variants: Sequence[str],
    protocol: Protocol,
    *,
    other_work: float | None = None,
    resolution: float = 0.0,
) -> tuple[CostWarning, ...]:
    """What a reader of the times should know.

    Args:
        trials: All of them.
        variants: Names.
        protocol: What was asked for.
        other_work: Cores busy with something else.
        resolution: Of the clock, in seconds.
    """
    found: list[CostWarning] = []
    if other_work is not None and other_work > OTHER_CORES:
        found.append(
            CostWarning(
                kind="busy-machine",
                text=f"{other_work:.2f} cores worked on something else meanwhile (limit {OTHER_CORES}); measure again "
                "on a quiet machine",
                value=other_work,
                limit=OTHER_CORES,
            )
        )
    for variant in variants:
        whole = samples_of(trials, variant, "end-to-end")
        found += _too_little(whole, variant, protocol)
        found += _trends(whole, variant, resolution)
        found += _loose_stages(trials, variant)
        for measure in measures_of(trials, variant):
            number = outliers([s.value for s in samples_of(trials, variant, measure)])
            if number and "/" not in measure and measure != "real-time-factor":
                found.append(
                    CostWarning(
                        kind="outliers",
                        variant=variant,
                        measure=measure,
                        text=f"{number} of {len(whole)} trials of {variant} lie far outside the rest in {measure}; "
                        "they are kept",
                        value=number,
                        limit=0,
                    )
                )
    return tuple(found)


def _too_little(whole: Sequence[_Sample], variant: str, protocol: Protocol) -> Iterable[CostWarning]:
    times: dict[int, float] = {}
    for sample in whole:
        times[sample.process] = times.get(sample.process, 0.0) + sample.value
    if len(times) < LEAST_PROCESSES or len(whole) < LEAST_TRIALS:
        yield CostWarning(
            kind="too-few-samples",
            variant=variant,
            text=f"{variant} has {len(whole)} trials in {len(times)} processes; intervals want at least {LEAST_TRIALS} "
            f"in {LEAST_PROCESSES} (raise --processes or --rounds)",
            value=len(whole),
            limit=LEAST_TRIALS,
        )
    shortest = min(times.values(), default=0.0)
    if shortest < protocol.min_seconds:
        yield CostWarning(
            kind="too-short",
            variant=variant,
            text=f"{variant} ran for only {shortest:.3g} s in one process (the protocol wants {protocol.min_seconds:g} "
            f"s, but stops after {protocol.max_rounds} rounds); time more frames",
            value=shortest,
            limit=protocol.min_seconds,
        )


def _loose_stages(trials: Sequence[Trial], variant: str) -> Iterable[CostWarning]:
    if not any(name.startswith("stage/") for name in measures_of(trials, variant)):
        return
    if any(t.device_seconds for t in trials if t.variant == variant):
        yield CostWarning(
            kind="not-exact",
            variant=variant,
            measure="stage",
            text=f"{variant} takes the times of its stages on the host, which runs ahead of the device: work may count "
            "for a later stage; steps and whole generations are exact",
        )


def _trends(whole: Sequence[_Sample], variant: str, resolution: float) -> Iterable[CostWarning]:
    if not whole:
        return
    typical = median(s.value for s in whole)
    if typical < LEAST_TICKS * resolution:
        yield CostWarning(
            kind="coarse-clock",
            variant=variant,
            text=f"a trial of {variant} lasts {typical:.3g} s, less than {LEAST_TICKS} ticks of the clock; time more "
            "frames",
            value=typical,
            limit=LEAST_TICKS * resolution,
        )
    middle = {p: median(s.round for s in whole if s.process == p) for p in {s.process for s in whole}}
    late = _contrast(whole, {(s.process, s.round): s.round > middle[s.process] for s in whole}, NOTABLE_DRIFT)
    if late is not None:
        yield CostWarning(
            kind="drift",
            variant=variant,
            text=f"later rounds of {variant} take {math.expm1(late):+.1%} in time against earlier ones; warm up longer "
            "or let the machine rest",
            value=math.expm1(late),
            limit=NOTABLE_DRIFT,
        )
    second = _contrast(whole, {(s.process, s.round): s.position > 0 for s in whole}, NOTABLE_ORDER)
    if second is not None:
        yield CostWarning(
            kind="order-effect",
            variant=variant,
            text=f"{variant} takes {math.expm1(second):+.1%} in time when it does not run first in a round; the random "
            "order evens that out on average",
            value=math.expm1(second),
            limit=NOTABLE_ORDER,
        )


def _contrast(whole: Sequence[_Sample], marked: Mapping[tuple[int, int], bool], notable: float) -> float | None:
    """Mean log ratio of marked samples to the others within processes, if it is notable and its interval excludes 0."""
    differences = []
    for process in sorted({s.process for s in whole}):
        groups: dict[bool, list[float]] = {True: [], False: []}
        for s in whole:
            if s.process == process and s.value > 0:
                groups[marked[s.process, s.round]].append(math.log(s.value))
        if groups[True] and groups[False]:
            differences.append(float(np.mean(groups[True]) - np.mean(groups[False])))
    if len(differences) < LEAST_PROCESSES:
        return None
    estimate = mean_estimate(differences, [str(i) for i in range(len(differences))])
    interval = estimate.interval
    if interval is None or interval.low <= 0 <= interval.high or abs(estimate.value) <= math.log1p(notable):
        return None
    return estimate.value


def _summary(samples: Sequence[_Sample], fine: Sequence[float], level: float) -> Summary:
    values = [s.value for s in samples]
    estimate = mean_estimate(values, [str(s.process) for s in samples], level=level)
    low, high, reason = _ends(estimate)
    # No time is below zero, however wide an interval of few processes is.
    low = None if low is None else max(low, 0.0)
    return Summary(
        n=len(values),
        processes=estimate.clusters,
        mean=estimate.value,
        low=low,
        high=high,
        reason=reason,
        median=median(values),
        least=min(values),
        largest=max(values),
        p90=float(np.percentile(fine or values, 90)),
        outliers=outliers(values),
    )


def _comparison(
    variant: str, baseline: str, measure: str, pairs: Sequence[tuple[int, float]], level: float
) -> Comparison:
    estimate = mean_estimate([log for _, log in pairs], [str(process) for process, _ in pairs], level=level)
    low, high, reason = _ends(estimate)
    return Comparison(
        variant=variant,
        baseline=baseline,
        measure=measure,
        pairs=len(pairs),
        ratio=math.exp(estimate.value),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        reason=reason,
    )


def _ends(estimate: Estimate) -> tuple[float | None, float | None, str | None]:
    """Ends of an interval over processes, or why there is none."""
    if estimate.interval is None:
        return None, None, "only one process" if estimate.clusters == 1 else estimate.reason
    return estimate.interval.low, estimate.interval.high, None
