"""The bench of full-size networks runs on any device, shown on tiny ones; operations are the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from thbench_methods.lightningcp import bench_gpu, tables
from thbench_methods.lightningcp.published import TABLE_1, TABLE_2, TABLE_3

from thbench.accel import ForegroundAttention, LightningCP

MEASURED = Path(__file__).parents[2] / "reports/accel/hallo-mini-cpu.json"
"""On a processor, in turn."""
BARS = {"base": 0.001, "LCP": 0.005, "DeepCache": 0.005}
"""Largest residual of what follows from the networks alone."""


@pytest.mark.parametrize("model", ["hallo", "echomimic"])
def test_the_bench_runs_anywhere(tmp_path: Path, model: str) -> None:
    arguments = [
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--size",
        "tiny",
        "--warm-ups",
        "0",
        "--rounds",
        "1",
        "--modes",
        "eager",
    ]
    assert bench_gpu.main([*arguments, "--models", model, "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.json")
    (report,) = json.loads(path.read_text())["reports"]
    assert report["title"] == f"{model}, eager"
    entries = report["entries"]
    assert next(iter(entries)) == "base"
    assert len(entries) == 14
    for name, entry in entries.items():
        assert len(entry["seconds"]) == 1 and min(entry["seconds"]) > 0
        assert entry["flop_ratio"] == 1 if name == "base" else entry["flop_ratio"] > 1
    assert entries["LCP"]["flop_ratio"] < entries["LCP+DFA"]["flop_ratio"] < entries["LCP+DFA+rm"]["flop_ratio"]
    assert entries["LCP"]["flops"] == entries["LCP, blocks as a batch"]["flops"]
    assert path.with_suffix(".png").stat().st_size > 5000


def test_the_published_tables_are_whole_and_agree() -> None:
    assert (len(TABLE_1), len(TABLE_2), len(TABLE_3)) == (16, 12, 4)
    base = {row.model: row for row in TABLE_1 if row.variant == "base"}
    for row in (*TABLE_1, *TABLE_2):
        assert row.mead is not None and row.tflop is not None and row.seconds is not None
        if row.variant != "base":
            assert row.speedup == pytest.approx(base[row.model].seconds / row.seconds, abs=0.011)
            assert row.tflop < base[row.model].tflop
    last = {row.model: row for row in TABLE_1 if row.variant == "LightningCP"}
    for row in TABLE_2:
        if row.variant == "LCP+DFA+rm":
            assert (row.hdtf, row.mead, row.seconds) == (
                last[row.model].hdtf,
                last[row.model].mead,
                last[row.model].seconds,
            )
            assert abs(row.tflop - last[row.model].tflop) <= 0.041  # the two tables differ by 0.04 for Hallo


def test_the_foreground_share_is_found_from_its_count() -> None:
    counter = tables._Counter(bench_gpu.models("tiny")["echomimic"].offer("float32"))
    side, keys = counter.side, (0,)
    for cells in (0, 5, side * side):
        share = cells / side**2
        tflop = counter.tflop(LightningCP(keys, changes=(ForegroundAttention(tables._mask(share, side)),)))
        assert counter.share_of(keys, tflop) == pytest.approx(share, abs=1e-6)
    assert counter.share_of(keys, 0.0) == 0


@pytest.mark.full
@pytest.mark.parametrize("model", ["Hallo", "EchoMimic", "EchoMimic Acc"])
def test_operations_are_the_published_ones(model: str) -> None:
    rows = {(row.published.table, row.published.variant): row for row in tables.recomputed((model,))}
    assert len(rows) == 7
    for (_, variant), row in rows.items():
        if variant in BARS:
            assert abs(row.residual) <= BARS[variant], (variant, row.residual)
            assert row.assumption == "" and row.foreground is None
        if "DFA" in variant or variant == "LightningCP":
            assert row.assumption and row.foreground is not None
        assert row.residual == pytest.approx(row.tflop / row.published.tflop - 1)
    if model != "EchoMimic Acc":
        assert abs(rows[2, "LCP+DFA"].residual) < 1e-4
        assert 0.35 < rows[2, "LCP+DFA"].foreground < 0.5
        # A prediction: nothing in it is fitted to this row.
        assert abs(rows[2, "LCP+DFA+rm"].residual) < 0.005


@pytest.mark.parametrize("model", ["Hallo", "EchoMimic", "EchoMimic Acc", "MEMO"])
def test_key_steps_fit_the_schedule(model: str) -> None:
    steps = {"Hallo": 40, "EchoMimic": 30, "EchoMimic Acc": 6, "MEMO": 20}[model]
    counts = {"Hallo": 11, "EchoMimic": 8, "EchoMimic Acc": 4, "MEMO": 8}[model]
    keys = tables.MODELS[model].key_steps
    assert len(keys) == counts and keys[0] == 0 and keys[-1] < steps


def test_the_small_hallo_is_as_fast_as_its_operations_promise() -> None:
    (report,) = json.loads(MEASURED.read_text())["reports"]
    entries, model = report["entries"], bench_gpu.models("mini")["hallo"]
    denoising = model.offer("float32").denoising
    assert denoising is not None
    assert (len(model.key_steps), denoising.steps) == (11, 40)
    chosen = bench_gpu.plans(denoising.steps, model.key_steps, denoising.noise.shape[-1])
    # What was measured is the network as it is.
    for name in ("base", "LCP"):
        assert bench_gpu.operations(denoising, chosen[name], torch.float32) == entries[name]["flops"]
    measured = entries["LCP"]
    assert measured["speedup"] >= 2.5
    assert measured["low"] >= 0.85 * measured["flop_ratio"]
