"""Killed at any point, and killed again while resuming: finished clips are kept, and the end is the same."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from e2e_numbers import differences

from thbench.data.drawn_clips import write_drawn_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for seed in range(3):
        part = folder / str(seed)
        for path in write_drawn_clips(part, seconds=1.0, size=96, seed=seed):
            path.rename(folder / f"{path.stem}_{seed}.mp4")
        part.rmdir()
    return folder


def command(clips: Path, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "thbench", "eval", "--generated", str(clips), "--reference", str(clips),
        "--out", str(out), "--metrics", "psnr,ssim,flicker,lip-audio-corr", "--workers", "2", "--resume", "--quiet",
    ]  # fmt: skip


def kill_family(process: psutil.Popen) -> None:
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()


def finished(out: Path) -> set[str]:
    keys = set()
    for path in out.glob("clips-*.jsonl"):
        for line in path.read_text().splitlines():
            try:
                keys.add(json.loads(line)["key"])
            except ValueError:
                continue
    return keys


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.full)])
def test_kill_at_random_points_resume_and_compare(clips: Path, tmp_path: Path, kills: int, weights: str) -> None:
    whole = tmp_path / "whole"
    start = time.monotonic()
    subprocess.run(command(clips, whole), check=True, timeout=300)
    duration = time.monotonic() - start
    out = tmp_path / "killed"
    rng = random.Random(kills)
    kept: set[str] = set()
    for _ in range(kills):
        process = psutil.Popen(command(clips, out))
        deadline = time.monotonic() + rng.uniform(0.3, 0.9) * duration
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        kill_family(process)
        now = finished(out)
        assert kept <= now
        kept = now
    subprocess.run(command(clips, out), check=True, timeout=300)
    assert differences(out, whole) == {}
    info = json.loads((out / "run.json").read_text())
    assert info["status"] == "success"
    assert len(info["attempts"]) >= 2
    records = [json.loads(line) for path in out.glob("clips-*.jsonl") for line in path.read_text().splitlines()]
    written = [record["key"] for record in records]
    assert len(written) == len(set(written)), "a finished clip was done again"


def test_ctrl_c_says_cancelled_and_leaves_no_process(clips: Path, tmp_path: Path, weights: str) -> None:
    out = tmp_path / "run"
    process = psutil.Popen(command(clips, out), stderr=subprocess.PIPE, text=True)
    while not finished(out) and process.poll() is None:
        time.sleep(0.05)
    children = process.children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode != 0:
        assert process.returncode == 130
        assert "add --resume" in err
        assert json.loads((out / "run.json").read_text())["status"] == "cancelled"
    assert not psutil.wait_procs(children, timeout=10)[1]
