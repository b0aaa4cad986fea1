"""Times plans of one sampler loop against each other: the same clip, network and noise, in random order in each round.

This is the loop alone, for machines on which whole methods are out of reach (full-size networks with random weights)
and for finding where a plan loses its operations; methods as users run them are timed by `thbench time`.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from thbench.accel.plans import EveryStep
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from thbench.accel.calibrate import Sampling
    from thbench.accel.moves import Plan
    from thbench.cost.device import Device


EVERY_STEP = EveryStep()


@dataclass(frozen=True, slots=True)
class Entry:
    """A plan that is timed."""

    name: str
    """For people."""
    run: Sampling
    """The clip; entries of one comparison differ in their schedule at most."""
    plan: Plan = EVERY_STEP
    """What runs at each step."""


class Timed(Document):
    """What was measured of one plan."""

    plan: str
    """In words."""
    steps: int
    """Denoising steps."""
    seconds: tuple[float, ...]
    """Of each round; by the device's own events where it has them."""
    flops: int | None
    """Operations of the loop; None where they were not counted."""
    peak_bytes: int | None
    """Peak of torch's allocator on the device; None on the CPU."""
    speedup: float
    """Geometric mean over rounds of the first entry's seconds over this one's."""
    low: float
    """Lower end of its 95 % interval (Student's t of the rounds' logarithms); NaN for one round."""
    high: float
    """Upper end."""
    flop_ratio: float | None
    """The first entry's operations over this one's."""

    @property
    def share(self) -> float | None:
        """Speed-up over what the operations promise; 1 where nothing is lost."""
        return None if self.flop_ratio is None else self.speedup / self.flop_ratio


class BenchReport(Document):
    """One comparison."""

    title: str
    """What was compared, e.g. `hallo, full size, eager`."""
    device: str
    """Processor or GPU model."""
    dtype: str
    """Number format."""
    torch: str
    """Version."""
    entries: Mapping[str, Timed]
    """Name to what was measured; the first is what the others are compared with."""


def bench(
    entries: Sequence[Entry],
    device: Device,
    *,
    rounds: int = 5,
    warm_ups: int = 1,
    seed: int = 0,
    flops: Mapping[str, int] | None = None,
    watching: Callable[[str, int], None] = lambda name, number: None,
) -> dict[str, Timed]:
    """Time some plans.

    Args:
        entries: The first is what the others are compared with.
        device: Where the denoiser computes.
        rounds: How often each is timed, at least 1.
        warm_ups: Runs of each before, which are thrown away.
        seed: Of the order within rounds.
        flops: Name to operations, where they are known; `counted` counts them.
        watching: Told of each run, for progress.
    """
    times: dict[str, list[float]] = {entry.name: [] for entry in entries}
    peaks: dict[str, int | None] = {}
    order = random.Random(seed)
    for number in range(-warm_ups, rounds):
        for entry in order.sample(list(entries), len(entries)):
            watching(entry.name, number)
            device.reset_peaks()
            seconds = _seconds(entry, device)
            peaks[entry.name] = device.peaks().allocated
            if number >= 0:
                times[entry.name].append(seconds)
    known = flops or {}
    first = entries[0].name
    return {
        entry.name: _timed(
            entry, times[entry.name], times[first], (known.get(entry.name), known.get(first)), peaks[entry.name]
        )
        for entry in entries
    }


def counted(entries: Sequence[Entry]) -> dict[str, int]:
    """Return the operations of each entry's loop, counted while it runs; on meta tensors that takes no arithmetic."""
    from thbench.cost.flops import tally

    return {entry.name: tally(partial(_sample, entry))[0].flops for entry in entries}


def _sample(entry: Entry) -> None:
    from thbench.accel.loop import sample

    run = entry.run
    sample(run.denoiser, run.schedule, run.noise, run.condition, entry.plan)


def _seconds(entry: Entry, device: Device) -> float:
    device.synchronise()
    start = device.mark()
    _sample(entry)
    end = device.mark()
    device.synchronise()
    return device.between(start, end)


def _timed(
    entry: Entry, seconds: list[float], base: list[float], flops: tuple[int | None, int | None], peak: int | None
) -> Timed:
    from thbench.accel.receipts import described

    speedup, low, high = ratio_interval(base, seconds)
    own, other = flops
    return Timed(
        plan=described(entry.plan),
        steps=len(entry.run.schedule.times),
        seconds=tuple(seconds),
        flops=own,
        peak_bytes=peak,
        speedup=speedup,
        low=low,
        high=high,
        flop_ratio=None if own is None or other is None else other / own,
    )


def ratio_interval(base: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean of base / other over pairs and its 95 % interval.

    Example:
        >>> ratio_interval([2.0, 2.0], [1.0, 1.0])
        (2.0, 2.0, 2.0)
    """
    from thbench.stats.student import student_quantile

    logs = [math.log(a / b) for a, b in zip(base, other, strict=True)]
    mean = statistics.fmean(logs)
    if len(logs) == 1:
        return math.exp(mean), math.nan, math.nan
    reach = student_quantile(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - reach), math.exp(mean + reach)


def figure(reports: Sequence[BenchReport]) -> Figure:
    """Draw the speed-ups of some comparisons with their intervals, and what the operations promise.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    from thbench.errors import MissingExtraError

    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "report", "drawing the speed-ups") from error
    longest = max(len(report.entries) for report in reports)
    drawing = Figure(figsize=(4.2 * len(reports), 1.2 + 0.34 * longest), layout="constrained")
    axes = drawing.subplots(1, len(reports), squeeze=False)[0]
    for axis, report in zip(axes, reports, strict=True):
        names = list(report.entries)[::-1]
        found = [report.entries[name] for name in names]
        speed = [entry.speedup for entry in found]
        reach = [
            [max(0.0, s - e.low) if e.low == e.low else 0.0 for s, e in zip(speed, found, strict=True)],
            [max(0.0, e.high - s) if e.high == e.high else 0.0 for s, e in zip(speed, found, strict=True)],
        ]
        axis.barh(names, speed, xerr=reach, color="#2a6f97", height=0.6, label="measured")
        promised = [entry.flop_ratio if entry.flop_ratio is not None else math.nan for entry in found]
        axis.plot(promised, names, linestyle="none", marker="|", markersize=14, color="#c1121f", label="operations")
        axis.axvline(1, color="black", linewidth=0.6)
        axis.set_title(report.title)
        axis.set_xlabel(f"speed-up on\n{report.device}", fontsize="small")
    drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    return drawing


class BenchReports(Document):
    """All comparisons of one device."""

    schema_version: int = 1
    """Version of this layout."""
    reports: tuple[BenchReport, ...]
    """In the order measured."""


def write(reports: Sequence[BenchReport], path: Path) -> None:
    """Write comparisons as JSON, and their figure beside them as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(BenchReports(reports=tuple(reports)).model_dump_json(indent=1) + "\n", encoding="utf-8")
    figure(reports).savefig(path.with_suffix(".png"), dpi=150)
