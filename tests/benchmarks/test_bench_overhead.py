"""What `thbench run` costs beside generating and scoring: at most 2 % of a run of the mini suite.

Counted in a fresh process that does all the work itself, so that nothing runs beside it: loading Python, planning,
hashing, records and the report with its site and figures are the harness. Making and storing videos, the metric pass
and the metrics of whole sets are not, nor is loading the library of the face landmarker that they need. The bar is on
processor seconds, which other programs on the machine disturb least; wall seconds stand beside them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from thbench.data.synth_heads.dataset import clips_of
from thbench.run.suite import read_suite

LIMIT = 0.02
FEW, MORE = 2, 5
"""Clips of two runs. What both spend tells what is spent once and what for each clip, and so what the whole split
costs, in a third of the time."""

COUNTING = """
import importlib, json, resource, sys, time
began = time.perf_counter()

def processor():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

spent = {"wall": 0.0, "processor": 0.0, "calls": 0}

def counted(work):
    def inner(*args, **kwargs):
        wall, busy = time.perf_counter(), processor()
        try:
            return work(*args, **kwargs)
        finally:
            spent["wall"] += time.perf_counter() - wall
            spent["processor"] += processor() - busy
            spent["calls"] += 1
    return inner

# All that generates, and all that scores.
counted(importlib.import_module)("mediapipe.tasks.python")
import thbench.run.worker as worker

worker.ClipWorker._method = counted(worker.ClipWorker._method)
worker.generate_video = counted(worker.generate_video)
worker.request_of = counted(worker.request_of)
worker.evaluate_clip = counted(worker.evaluate_clip)
# Frechet distances and kernel distances are metrics as well; they are computed where all clips are known.
import thbench.report.cells as cells

cells.set_number = counted(cells.set_number)
from thbench.cli import main

code = main(sys.argv[2:])
spent.update(total_wall=time.perf_counter() - began, total_processor=processor(), code=code)
open(sys.argv[1], "w").write(json.dumps(spent))
"""


def spent(clips: int, folder: Path) -> dict[str, float]:
    """Seconds of the harness and of the work, by processor and by the wall, of a run over some clips."""
    text = (files("thbench") / "suites" / "mini.toml").read_text(encoding="utf-8")
    folder.mkdir()
    some = re.sub(r"(?m)^max_clips.*$", "", text) + f"\nmax_clips = {clips}\n"
    (folder / "mini.toml").write_text(some, encoding="utf-8")
    arguments = ["run", str(folder / "mini.toml"), "--executor", "local", "--quiet", "--out", str(folder / "run")]
    subprocess.run(
        [sys.executable, "-c", COUNTING, str(folder / "spent.json"), *arguments],
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads((folder / "spent.json").read_text(encoding="utf-8"))
    assert found["code"] == 0
    assert found["calls"] > 0
    return {
        f"{kind} of the {whose}": value
        for kind in ("processor", "wall")
        for whose, value in (("harness", found[f"total_{kind}"] - found[kind]), ("work", found[kind]))
    }


def test_the_harness_costs_two_percent(
    tmp_path: Path, weights: str, benchmark: Any, request: pytest.FixtureRequest
) -> None:
    timed = not request.config.getoption("--benchmark-disable")
    # A single clip has no other one to lend it a voice.
    larger = MORE if timed else FEW + 1
    few = spent(FEW, tmp_path / "few")
    more = benchmark.pedantic(lambda: spent(larger, tmp_path / "more"), rounds=1)
    clips = read_suite("mini").max_clips or len(clips_of())
    whole = {name: more[name] + (more[name] - few[name]) / (larger - FEW) * (clips - larger) for name in more}
    shares = {
        kind: whole[f"{kind} of the harness"] / (whole[f"{kind} of the harness"] + whole[f"{kind} of the work"])
        for kind in ("processor", "wall")
    }
    benchmark.extra_info.update(overhead_share=shares, clips=clips, whole=whole, few=few, more=more)
    print(
        f"\nharness: {shares['processor']:.1%} of the processor time of {clips} clips "
        f"({whole['processor of the harness']:.1f} s beside {whole['processor of the work']:.0f} s), "
        f"{shares['wall']:.1%} of wall time"
    )
    if timed:
        assert shares["processor"] <= LIMIT
