"""Runs and records for tests of the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from thbench.run.environment import Environment
from thbench.run.info import MetricInfo, Recipe, RunInfo
from thbench.types import Record

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MACHINE = Environment(thbench="1.0", python="3.11", platform="Linux", cpu="a CPU", cores=2, memory=2**30)


def metric(protocol: str = "psnr/rgb", **changes: Any) -> MetricInfo:
    content = {
        "title": "Peak signal-to-noise ratio",
        "version": 1,
        "direction": "higher",
        "unit": "dB",
        "protocol": protocol,
        "source": "a paper",
    }
    return MetricInfo.model_validate(content | changes)


def recipe(metrics: Mapping[str, MetricInfo] | None = None, **changes: Any) -> Recipe:
    content = {"fps": 25, "faces": "f", "decoder": "d", "resampler": "r", "missing_face": "skip"}
    return Recipe.model_validate({"metrics": metrics or {"psnr": metric()}, **content, **changes})


def run_info(*recipes: Recipe, **changes: Any) -> RunInfo:
    chosen = recipes or (recipe(),)
    content: dict[str, Any] = {
        "suite": {"name": "test"},
        "environment": MACHINE,
        "recipes": {one.key: one for one in chosen},
    }
    return RunInfo.model_validate(content | changes)


def record(key: str = "k", **changes: Any) -> Record:
    content = {"variant": "v", "clip": key, "identity": "i", "status": "ok", "recipe": recipe().key}
    return Record.model_validate({"key": key, **content, "values": {"psnr": 30.0}} | changes)
