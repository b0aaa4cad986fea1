"""Runs, records and leaderboards for tests of reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thbench.report import Leaderboard
from thbench.report.leaderboard import Cell, Column, Row
from thbench.run.environment import Environment
from thbench.run.info import MetricInfo, Planned, Recipe, RunInfo
from thbench.types import Record

MACHINE = Environment(thbench="1.0", python="3.11", platform="Linux", cpu="a CPU", cores=2, memory=2**30)


def metric(name: str = "psnr", **changes: Any) -> MetricInfo:
    content = {
        "title": name.upper(),
        "version": 1,
        "direction": "higher",
        "unit": "dB",
        "protocol": f"{name}/p",
        "source": "s",
    }
    return MetricInfo.model_validate(content | changes)


def recipe(*names: str, metrics: Mapping[str, MetricInfo] | None = None, **changes: Any) -> Recipe:
    content = {"fps": 25, "faces": "f", "decoder": "d", "resampler": "r", "missing_face": "skip"}
    described = metrics or {name: metric(name) for name in names or ("psnr",)}
    return Recipe.model_validate({"metrics": described, **content, **changes})


RECIPE = recipe()


def run_info(*recipes: Recipe, **changes: Any) -> RunInfo:
    content = {"suite": {"name": "test"}, "environment": MACHINE, "recipes": {r.key: r for r in recipes or (RECIPE,)}}
    return RunInfo.model_validate(content | changes)


def record(key: str, value: float | None = 1.0, **changes: Any) -> Record:
    content = {"variant": "v", "clip": key, "identity": key, "status": "ok", "recipe": RECIPE.key}
    values = {} if value is None else {"psnr": value}
    return Record.model_validate({"key": key, **content, "values": values} | changes)


def planned(key: str, **changes: Any) -> Planned:
    content = {"variant": "v", "clip": key, "identity": key, "recipe": RECIPE.key}
    return Planned.model_validate({"key": key, **content} | changes)


def column(id_: str = "psnr", **changes: Any) -> Column:
    content = {
        "metric": id_,
        "title": id_,
        "direction": "higher",
        "unit": "1",
        "version": 1,
        "protocol": "p",
        "source": "s",
        "context": {"fps": "25"},
    }
    return Column.model_validate({"id": id_, **content} | changes)


def cell(value: float | None, **changes: Any) -> Cell:
    scored = 0 if value is None else 4
    content: dict[str, Any] = {"scored": scored, "total": 4, "identities": scored}
    if value is None:
        content["missing"] = {"failed": 4}
    return Cell.model_validate({"value": value, **content} | changes)


def row(variant: str, kind: str = "method", **cells: Any) -> Row:
    made = {name: one if isinstance(one, Cell) else cell(one) for name, one in cells.items()}
    return Row.model_validate({"variant": variant, "kind": kind, "cells": made})


def board(columns: list[Column], *rows: Row, **changes: Any) -> Leaderboard:
    content = {"name": "test", "status": "success", "level": 0.95, "environments": (MACHINE,)}
    return Leaderboard.model_validate({"columns": columns, "rows": rows, **content} | changes)
