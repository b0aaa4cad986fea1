"""Runs for tests of the gate: timings and clip values without generating anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thbench.cost.record import Conditions, CostRecord, MemoryTrial, Protocol, Trial, Workload
from thbench.gate.costs import Costs
from thbench.gate.examine import Side
from thbench.gate.quality import quality_of
from thbench.gate.rules import Rules
from thbench.run.environment import Environment
from thbench.run.info import MetricInfo, Recipe, RunInfo
from thbench.run.store import Contents, RunStore
from thbench.types import GROUND_TRUTH, Record

MACHINE = Environment(thbench="1.0", python="3.11", platform="Linux", cpu="a CPU", cores=2, memory=2**30)
TIMINGS = Path(__file__).parents[1] / "fixtures" / "timings"
CLIPS = 24


def rules(*several: Mapping[str, Any]) -> Rules:
    return Rules.model_validate({"rule": several})


def cost_record(times: Mapping[str, Sequence[Sequence[float]]], created: str = "t", **changes: Any) -> CostRecord:
    """Variant to process to end-to-end seconds."""
    trials = [
        Trial(variant=variant, kind="measured", process=p, round=r, seconds={"end-to-end": value})
        for variant, processes in times.items()
        for p, values in enumerate(processes)
        for r, value in enumerate(values)
    ]
    content = {
        "created": created,
        "environment": MACHINE,
        "conditions": Conditions(device="cpu", device_name="a CPU"),
        "protocol": Protocol(processes=1, cold_starts=0, warm_ups=0, min_rounds=1, min_seconds=0, max_rounds=99),
        "workload": Workload(clip="c", frames=5, fps=25, height=64, width=64, sha256="0"),
        "variants": tuple(times) or ("m",),
        "trials": tuple(trials),
        "summaries": {},
    }
    return CostRecord.model_validate({**content, **changes})


def timed(*processes: Sequence[float], **changes: Any) -> Side:
    """One side with timings of variant `m`, process by process."""
    return Side("side", costs=Costs((cost_record({"m": processes}, **changes),)))


def noisy(rng: np.random.Generator, n: int, factor: float = 1.0, spread: float = 0.02) -> list[float]:
    """Samples of one process."""
    return (factor * np.exp(spread * rng.normal(size=n))).tolist()


def several(rng: np.random.Generator, n: int, factor: float = 1.0) -> list[list[float]]:
    """Samples of several processes of four."""
    values = noisy(rng, n, factor)
    return [values[i : i + 4] for i in range(0, n, 4)]


def memory(variant: str, allocated: int) -> MemoryTrial:
    peak = {"allocated": allocated, "host": 10 * allocated}
    return MemoryTrial.model_validate(
        {"variant": variant, "process": 0, "before": {}, "stages": {"load": peak}, "peak": peak}
    )


def metric(name: str, **changes: Any) -> MetricInfo:
    content = {"title": name, "version": 1, "direction": "higher", "unit": "dB", "protocol": f"{name}/p", "source": "s"}
    return MetricInfo.model_validate(content | changes)


def run_of(values: Mapping[str, Sequence[float | None]], *, failed: Sequence[str] = (), **changes: Any) -> Contents:
    """A run with one metric `psnr`: variant to a value for each clip, two clips of each person; None has none."""
    recipe = Recipe(
        metrics={"psnr": metric("psnr", **changes)}, fps=25, faces="f", decoder="d", resampler="r", missing_face="skip"
    )
    info = RunInfo(suite={"name": "s"}, environment=MACHINE, recipes={recipe.key: recipe}, status="success")
    records = []
    for variant, several in values.items():
        for i, value in enumerate(several):
            key = f"{variant}-c{i}"
            broken = key in failed
            records.append(
                Record(
                    key=key,
                    variant=variant,
                    clip=f"c{i}",
                    identity=f"p{i // 2}",
                    status="failed" if broken else "ok",
                    error="broken" if broken else None,
                    recipe=recipe.key,
                    values={} if value is None or broken else {"psnr": float(value)},
                    missing={"psnr": "no face"} if value is None and not broken else {},
                )
            )
    return Contents(info, tuple(records))


def scored(values: Mapping[str, Sequence[float | None]], **options: Any) -> Side:
    return Side("side", quality_of(run_of(values, **options)))


def with_truth(values: Sequence[float | None]) -> dict[str, Sequence[float | None]]:
    return {GROUND_TRUTH: [50.0] * len(values), "m": values}


def write_run(folder: Path, contents: Contents, *costs: CostRecord) -> Path:
    """The same as a run folder."""
    with RunStore.create(folder, contents.info) as store:
        for record in contents.records:
            store.append(record)
    for number, record in enumerate(costs):
        (folder / "costs").mkdir(exist_ok=True)
        (folder / "costs" / f"{number}.json").write_text(record.model_dump_json())
    return folder
