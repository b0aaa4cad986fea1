"""Cost records in the JSON of pytest-benchmark, which dashboards of continuous integration read."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.cost.record import CostRecord
    from thbench.gate.costs import Costs

FORMAT_VERSION = "5.1.0"
"""Version of pytest-benchmark whose layout this is."""


def to_pytest_benchmark(costs: Costs) -> dict[str, Any]:
    """All timings as one pytest-benchmark document: a benchmark for each variant and measured time.

    Args:
        costs: At least one record.
    """
    newest = costs.records[-1]
    benchmarks = [
        _benchmark(variant, cost, [v for process in costs.samples(variant, cost).processes for v in process], newest)
        for variant, names in sorted(costs.names.items())
        for cost in sorted(names)
        if cost.startswith("time/")
    ]
    return {
        "machine_info": _machine(newest),
        "commit_info": _commit(newest),
        "benchmarks": benchmarks,
        "datetime": newest.created,
        "version": FORMAT_VERSION,
    }


def _machine(record: CostRecord) -> dict[str, Any]:
    environment = record.environment
    return {
        "node": "",
        "processor": environment.cpu,
        "machine": environment.platform,
        "python_version": environment.python,
        "system": environment.platform,
        "cpu": {"brand_raw": environment.cpu, "count": environment.cores},
        "device": record.conditions.device_name,
    }


def _commit(record: CostRecord) -> dict[str, Any]:
    source = record.environment.source
    return {
        "id": source.commit if source else "unversioned",
        "time": record.created,
        "author_time": record.created,
        "dirty": source.dirty if source else False,
        "project": "thbench",
        "branch": "(unknown)",
    }


def _benchmark(variant: str, cost: str, data: Sequence[float], record: CostRecord) -> dict[str, Any]:
    name = f"{variant}[{cost.removeprefix('time/')}]"
    return {
        "group": cost,
        "name": name,
        "fullname": f"thbench::{name}",
        "params": {"variant": variant},
        "param": variant,
        "extra_info": {"workload": record.workload.model_dump(), "unit": "s"},
        "options": {
            "disable_gc": False,
            "timer": record.protocol.clock,
            "min_rounds": record.protocol.min_rounds,
            "max_time": record.protocol.min_seconds,
            "min_time": 0.0,
            "warmup": record.protocol.warm_ups > 0,
        },
        "stats": {**_stats(data), "data": list(data), "iterations": 1},
    }


def _stats(data: Sequence[float]) -> dict[str, Any]:
    """The statistics that pytest-benchmark writes, with its definitions of quartiles and outliers."""
    ordered = sorted(data)
    mean, middle = statistics.fmean(ordered), statistics.median(ordered)
    spread = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    q1, q3 = _quartiles(ordered)
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    far = sum(not mean - spread <= value <= mean + spread for value in ordered)
    beyond = sum(not low <= value <= high for value in ordered)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(ordered),
        "median": middle,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": beyond,
        "stddev_outliers": far,
        "outliers": f"{far};{beyond}",
        "ld15iqr": next((value for value in ordered if value >= low), ordered[0]),
        "hd15iqr": next((value for value in reversed(ordered) if value <= high), ordered[-1]),
        "ops": 1 / mean if mean else 0.0,
        "total": sum(ordered),
    }


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Medians of the two halves, the middle value in both."""
    half = (len(ordered) + 1) // 2
    return statistics.median(ordered[:half]), statistics.median(ordered[-half:])
