"""From cost records to the costs of a leaderboard: what may be compared stands in one table.

Records of one setting (device, clip, size) are taken together, as the gate takes them: their processes are pooled, and
summaries and speed-ups are those of `thbench.cost.summary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.cost.record import CostRecord, Trial, read_cost
from thbench.cost.summary import compare, summarise
from thbench.errors import UsageError
from thbench.report.leaderboard import Cost, CostTable, Measure, SpeedUp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from thbench.cost.record import Summary

COSTS_FOLDER = "costs"
"""Folder of a run folder that holds cost records, `*.json`."""
MEASURES: Mapping[str, tuple[str, str]] = {
    "time/real-time-factor": ("real-time factor, below 1 is faster than real time", "1"),
    "time/end-to-end": ("a whole clip", "s"),
    "time/frame": ("one more frame", "s"),
    "time/first-frame": ("until the first frame", "s"),
    "time/processor": ("processor time of a whole clip", "s"),
    "time/cold/load": ("loading, in a fresh process", "s"),
    "time/cold/first-frame": ("until the first frame, loading included", "s"),
    "time/cold/end-to-end": ("a whole clip, loading included", "s"),
    "memory/allocated": ("peak of the device's allocator", "B"),
    "memory/reserved": ("peak reserved on the device", "B"),
    "memory/device": ("peak in use on the whole device", "B"),
    "memory/host": ("peak resident memory", "B"),
    "flops": ("operations of a clip", "operations"),
}
"""Id to title and unit, in the order of the tables; stages and steps follow."""


def read_cost_records(folder: Path) -> tuple[list[CostRecord], list[str]]:
    """The cost records of a run folder, the oldest first, and a sentence for each file that is none."""
    records, refused = [], []
    for path in sorted((folder / COSTS_FOLDER).glob("*.json")):
        try:
            records.append(read_cost(path))
        except UsageError as error:
            refused.append(str(error))
    return sorted(records, key=lambda record: record.created), refused


def cost_tables(records: Iterable[CostRecord], *, level: float) -> tuple[CostTable, ...]:
    """Put records together by setting.

    Args:
        records: Of a run.
        level: Nominal coverage of the intervals.
    """
    groups: dict[tuple[tuple[str, str], ...], list[CostRecord]] = {}
    for record in records:
        groups.setdefault(tuple(_setting(record).items()), []).append(record)
    return tuple(_table(dict(setting), several, level) for setting, several in groups.items())


def _setting(record: CostRecord) -> dict[str, str]:
    """What must be equal for times to be compared, in words; the gate asks for the same."""
    work, on, with_ = record.workload, record.environment, record.conditions
    threads = "" if with_.threads is None else f", {with_.threads} threads"
    return {
        "device": f"{with_.device_name} ({with_.device}{threads})",
        "processor": f"{on.cpu}, {on.cores} cores",
        "clip": work.clip + (f" ({work.sha256[:8]})" if work.sha256 else ""),
        "work": f"{work.frames} frames of {work.width} x {work.height} at {work.fps:g} fps",
    }


def _table(setting: Mapping[str, str], records: Sequence[CostRecord], level: float) -> CostTable:
    trials: list[Trial] = []
    pairs: dict[tuple[str, str], None] = {}
    for number, record in enumerate(records):
        # Processes of different records are different processes.
        trials += [t.model_copy(update={"process": number * 10**6 + t.process}) for t in record.trials]
        pairs |= dict.fromkeys((record.variants[0], variant) for variant in record.variants[1:])
    rows = {variant: _row(variant, trials, records, level) for record in records for variant in record.variants}
    rows = {variant: row for variant, row in sorted(rows.items()) if row}
    found = dict.fromkeys(id_ for row in rows.values() for id_ in row)
    ordered = [id_ for id_ in MEASURES if id_ in found] + sorted(id_ for id_ in found if id_ not in MEASURES)
    said = dict.fromkeys(f"{warning.kind}: {warning.text}" for record in records for warning in record.warnings)
    return CostTable(
        setting=setting,
        measures=tuple(_measure(id_) for id_ in ordered),
        rows={variant: {id_: row[id_] for id_ in ordered if id_ in row} for variant, row in rows.items()},
        speed_ups=tuple(_speed_ups(trials, pairs, level)),
        warnings=tuple(said),
    )


def _measure(id_: str) -> Measure:
    if id_ in MEASURES:
        title, unit = MEASURES[id_]
        return Measure(id=id_, title=title, unit=unit)
    kind, _, name = id_.removeprefix("time/").partition("/")
    if kind == "cold":
        kind, _, name = name.partition("/")
        return Measure(id=id_, title=f"{kind} {name}, first time in a fresh process".replace("  ", " "), unit="s")
    return Measure(id=id_, title=f"{kind} {name}".strip(), unit="s")


def _row(variant: str, trials: Sequence[Trial], records: Sequence[CostRecord], level: float) -> dict[str, Cost]:
    found = {f"time/{name}": _time(summary) for name, summary in summarise(trials, variant, level).items()}
    peaks = [peak.model_dump() for record in records for peak in record.peaks(variant)]
    for kind in ("allocated", "reserved", "device", "host"):
        known = [float(peak[kind]) for peak in peaks if peak[kind] is not None]
        if known:
            found[f"memory/{kind}"] = Cost(value=max(known), n=len(known), note="the highest of all peaks")
    counts = [record.work[variant] for record in records if variant in record.work]
    if counts:
        newest = counts[-1]
        left = f"not counted: {', '.join(newest.uncounted)}" if newest.uncounted else None
        found["flops"] = Cost(value=float(newest.flops), n=1, note=left)
    return found


def _time(summary: Summary) -> Cost:
    return Cost(value=summary.mean, low=summary.low, high=summary.high, n=summary.n, note=summary.reason)


def _speed_ups(trials: Sequence[Trial], pairs: Iterable[tuple[str, str]], level: float) -> Iterable[SpeedUp]:
    for baseline, variant in pairs:
        for found in compare(trials, baseline, variant, level):
            yield SpeedUp(
                variant=variant,
                baseline=baseline,
                measure=f"time/{found.measure}",
                ratio=found.ratio,
                low=found.low,
                high=found.high,
                pairs=found.pairs,
                note=found.reason,
            )
