"""The costs of a run folder, and whether those of two runs may be compared at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.cost.record import CostRecord, read_cost
from thbench.gate.timing import Loss, Samples, exact_loss, time_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thbench.gate.noise import Noise

FOLDER = "costs"
"""Folder of a run folder that holds its cost records, `*.json`."""
COUNTED = frozenset({"memory/allocated", "flops"})
"""Costs that are counted: the same code always has the same."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost records of one side, the oldest first."""

    records: tuple[CostRecord, ...] = ()
    """As read."""

    @property
    def names(self) -> dict[str, frozenset[str]]:
        """Variant to the costs that were measured."""
        found: dict[str, set[str]] = {}
        for record in self.records:
            for trial in record.trials:
                prefix = {"measured": "time/", "cold": "time/cold/"}.get(trial.kind)
                if prefix:
                    found.setdefault(trial.variant, set()).update(prefix + measure for measure in trial.seconds)
            for memory in record.memory:
                peaks = memory.peak.model_dump()
                found.setdefault(memory.variant, set()).update(f"memory/{k}" for k, v in peaks.items() if v is not None)
            for variant in record.work:
                found.setdefault(variant, set()).add("flops")
        return {variant: frozenset(names) for variant, names in found.items()}

    def samples(self, variant: str, cost: str) -> Samples:
        """The timings of one cost, process by process."""
        measure = cost.removeprefix("time/")
        kind = "cold" if measure.startswith("cold/") else "measured"
        measure = measure.removeprefix("cold/")
        processes: list[tuple[float, ...]] = []
        created: list[str] = []
        for record in self.records:
            by_process: dict[int, list[float]] = {}
            for trial in record.trials:
                if trial.variant == variant and trial.kind == kind and measure in trial.seconds:
                    by_process.setdefault(trial.process, []).append(trial.seconds[measure])
            processes += [tuple(values) for values in by_process.values()]
            created += [record.created] * len(by_process)
        return Samples(tuple(processes), tuple(created))

    def counted(self, variant: str, cost: str) -> list[float]:
        """The values of one cost that is counted, or of a peak of memory."""
        if cost == "flops":
            return [float(r.work[variant].flops) for r in self.records if variant in r.work]
        kind = cost.removeprefix("memory/")
        peaks = [getattr(peak, kind, None) for record in self.records for peak in record.peaks(variant)]
        return [float(peak) for peak in peaks if peak is not None]

    def describes(self, variant: str) -> list[dict[str, object]]:
        """On what, and at which work, a variant was measured; each different one once."""
        found = []
        for record in self.records:
            if variant in record.variants and (one := _setting(record)) not in found:
                found.append(one)
        return found


def read_costs(folder: Path) -> Costs:
    """Read the cost records of a run folder, or one cost record.

    Raises:
        UsageError: A file is no cost record.
    """
    if folder.is_file():
        return Costs((read_cost(folder),))
    records = [read_cost(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    return Costs(tuple(sorted(records, key=lambda record: record.created)))


def cost_loss(baseline: Costs, candidate: Costs, variant: str, cost: str, noise: Noise | None) -> Loss:
    """The loss in one cost of one variant; none where the two were not measured alike."""
    if cost != "flops" and (difference := _difference(baseline.describes(variant), candidate.describes(variant))):
        return Loss(None, difference)
    if cost in COUNTED:
        return exact_loss(baseline.counted(variant, cost), candidate.counted(variant, cost))
    if cost.startswith("memory/"):
        sides = (_alone(side.counted(variant, cost)) for side in (baseline, candidate))
        return time_loss(*sides)
    ours, theirs = baseline.samples(variant, cost), candidate.samples(variant, cost)
    fewer = min(len(ours.processes), len(theirs.processes))
    spread = noise.of(variant, cost, fewer) if noise is not None else 0.0
    return time_loss(ours, theirs, noise=spread)


def _alone(values: Sequence[float]) -> Samples:
    """Values of processes of their own."""
    return Samples(tuple((value,) for value in values))


def _setting(record: CostRecord) -> dict[str, object]:
    """What must be equal for times to be compared."""
    work, on, with_ = record.workload, record.environment, record.conditions
    return {
        "processor": f"{on.cpu}, {on.cores} cores",
        "device": with_.device_name,
        "compute threads": with_.threads,
        "clip": work.sha256 or work.clip,
        "frames": f"{work.frames} of {work.width} x {work.height} at {work.fps:g}/s",
    }


def _difference(baseline: list[dict[str, object]], candidate: list[dict[str, object]]) -> str:
    """Why two sides cannot be compared; empty if they can."""
    if len(baseline) != 1 or len(candidate) != 1:
        several = "the baseline" if len(baseline) > 1 else "the candidate"
        return f"{several} was measured in several settings; keep one kind of cost record per run folder"
    for name, value in baseline[0].items():
        other = candidate[0][name]
        if value != other:
            return f"not comparable: {name}: {value} for the baseline, {other} for the candidate; measure both alike"
    return ""
