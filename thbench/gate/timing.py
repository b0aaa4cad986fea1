"""The loss in a cost: ratios of timings, with intervals that hold on a noisy machine.

Samples of one process follow each other and are not independent, so each process is cut into a few runs of neighbours
and each run's median stands for it. Two sides are compared by the ranks of these medians (`thbench.stats.shift`), in
pairs where the measurements alternated. Runs of one process are still more alike than processes are, so the interval is
never narrower than that of Student's t over whole processes, where there are several. What the machine does to equal
code (`thbench.gate.noise`) widens it as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from thbench.gate.document import Measured
from thbench.stats.shift import LEVEL, Shift, enough, paired_shift, shift
from thbench.stats.student import student_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = 12
"""Runs of neighbours that a side is cut into, at most; more processes than that stay whole. Enough for ranks, and each
long enough for a median where there are many samples."""
LEAST_PROCESSES = 2
"""Fewest processes on each side, if they were not measured in turn."""
LEAST_PAIRS = 6
"""Fewest pairs from which a 95 % interval can exclude no difference."""

Process = tuple[float, ...]
"""Samples of one process, in the order measured, in seconds or bytes."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One cost of one variant on one side."""

    processes: tuple[Process, ...]
    """In the order measured."""
    created: tuple[str, ...] = ()
    """For each process, when its record was made; processes of one record share it."""

    @property
    def count(self) -> int:
        """Samples in all."""
        return sum(map(len, self.processes))

    @property
    def middle(self) -> float:
        """Median of all samples."""
        return median(value for process in self.processes for value in process)


class Loss(NamedTuple):
    """What a comparison gives: a loss, or why there is none."""

    measured: Measured | None
    reason: str = ""


def blocks_of(processes: Sequence[Process], most: int = BLOCKS) -> list[float]:
    """Medians of runs of neighbours, of logarithms.

    Args:
        processes: Samples above 0.
        most: Blocks in all; every process gives at least one.

    Example:
        >>> blocks_of([(1.0, 1.0, 1.0), (1.0, 1.0)], most=4)
        [0.0, 0.0, 0.0, 0.0]
    """
    filled = [process for process in processes if process]
    found = []
    for process in filled:
        parts = min(len(process), max(1, most // len(filled)))
        cuts = [len(process) * i // parts for i in range(parts + 1)]
        found += [median(map(math.log, process[a:b])) for a, b in pairwise(cuts)]
    return found


def time_loss(baseline: Samples, candidate: Samples, *, noise: float = 0.0, level: float = LEVEL) -> Loss:
    """How much more the candidate takes, as a share of the baseline.

    Args:
        baseline: Its samples.
        candidate: Its samples.
        noise: Logarithm of the ratio that equal code reaches on this machine; the interval is no narrower.
        level: Nominal coverage.
    """
    if not baseline.count or not candidate.count:
        return Loss(None, f"{'the baseline' if not baseline.count else 'the candidate'} has no samples")
    if min(min(p) for s in (baseline, candidate) for p in s.processes if p) <= 0:
        return Loss(None, "a sample is not above 0, so there is no ratio")
    found, how = _shift(baseline, candidate, level)
    if found is None:
        return Loss(None, how)
    how += " and this machine's noise" if noise else ""
    return Loss(_as_share(_widened(found, noise), baseline, candidate, how))


def _shift(baseline: Samples, candidate: Samples, level: float) -> tuple[Shift | None, str]:
    if alternating(baseline, candidate):
        pairs = zip(baseline.processes, candidate.processes, strict=True)
        found = paired_shift([blocks_of([b], 1)[0] - blocks_of([a], 1)[0] for a, b in pairs], level=level)
        return found, "ranks of pairs of alternating processes"
    a, b = blocks_of(baseline.processes), blocks_of(candidate.processes)
    counts = [sum(map(bool, side.processes)) for side in (baseline, candidate)]
    if min(counts) < LEAST_PROCESSES:
        return None, (
            f"{counts[0]} processes against {counts[1]} are too few: equal code differs from process to process, and "
            f"one does not say by how much; measure at least {LEAST_PROCESSES} on each side (thbench time --processes)"
        )
    if not enough(len(a), len(b), level):
        return None, (
            f"{baseline.count} samples against {candidate.count} are too few for any difference to show; measure at "
            "least 4 on each side"
        )
    found, reach = shift(a, b, level=level), between_processes(baseline.processes, candidate.processes, level)
    return found and _widened(found, reach), "ranks of runs of neighbours" + (", t over processes" if reach else "")


def between_processes(a: Sequence[Process], b: Sequence[Process], level: float) -> float:
    """Half the width of the interval of Student's t over the medians of processes, of logarithms.

    0 where every process is one run anyway.

    Args:
        a: At least two.
        b: At least two.
        level: Nominal coverage.
    """
    sides = [blocks_of(side, 1) for side in (a, b)]
    counts = [len(side) for side in sides]
    if min(counts) >= BLOCKS:
        return 0.0
    freedom = sum(counts) - 2
    squares = sum((value - fmean(side)) ** 2 for side in sides for value in side)
    return student_quantile((1 + level) / 2, freedom) * math.sqrt(squares / freedom * sum(1 / n for n in counts))


def alternating(baseline: Samples, candidate: Samples) -> bool:
    """Whether the two sides were measured in turn, one process at a time, so that neighbours make pairs."""
    ours, theirs = baseline.created, candidate.created
    if not len(ours) == len(theirs) == len(baseline.processes) == len(candidate.processes) or len(ours) < LEAST_PAIRS:
        return False
    ends = [max(pair) for pair in zip(ours, theirs, strict=True)]
    starts = [min(pair) for pair in zip(ours, theirs, strict=True)]
    return all(end < start for end, start in zip(ends, starts[1:], strict=False))


def _widened(found: Shift, noise: float) -> Shift:
    return Shift(found.value, min(found.low, found.value - noise), max(found.high, found.value + noise))


def _as_share(found: Shift, baseline: Samples, candidate: Samples, how: str) -> Measured:
    return Measured(
        loss=math.expm1(found.value),
        low=math.expm1(found.low),
        high=math.expm1(found.high),
        baseline=baseline.middle,
        candidate=candidate.middle,
        pairs=min(baseline.count, candidate.count),
        how=how,
    )


def exact_loss(baseline: Sequence[float], candidate: Sequence[float]) -> Loss:
    """The loss in a number that is counted and not sampled (operations, bytes that an allocator handed out).

    The interval is the range of all pairs; one value on each side is enough.
    """
    if not baseline or not candidate:
        return Loss(None, f"{'the baseline' if not baseline else 'the candidate'} has no value")
    if min(baseline) <= 0:
        grew = max(candidate) > 0
        return (
            Loss(None, "the baseline needs nothing, so there is no ratio") if grew else Loss(_nothing(len(candidate)))
        )
    return Loss(
        Measured(
            loss=median(candidate) / median(baseline) - 1,
            low=min(candidate) / max(baseline) - 1,
            high=max(candidate) / min(baseline) - 1,
            baseline=median(baseline),
            candidate=median(candidate),
            pairs=min(len(baseline), len(candidate)),
            how="counted, not sampled",
        )
    )


def _nothing(count: int) -> Measured:
    return Measured(loss=0.0, low=0.0, high=0.0, baseline=0.0, candidate=0.0, pairs=count, how="counted, not sampled")
