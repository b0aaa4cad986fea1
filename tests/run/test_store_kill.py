"""Killed at any point, again and again: every record that was stored stays stored, and the run ends like any other."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from store_victim import payload

from thbench.errors import UsageError
from thbench.run.store import RunStore

VICTIM = Path(__file__).with_name("store_victim.py")
JOBS = 60


class Outcome(NamedTuple):
    """What one start of the victim said before it ended."""

    code: int
    started: list[str]
    done: list[str]


def run_until_killed(folder: Path, after: int, pause: float) -> Outcome:
    """Start the victim and kill it `pause` seconds after its line number `after`."""
    command = [sys.executable, str(VICTIM), str(folder), str(JOBS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.split())
            if len(lines) == after:
                time.sleep(pause)
                process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    said = [words for words in lines if len(words) == 2]
    return Outcome(process.returncode, [k for w, k in said if w == "start"], [k for w, k in said if w == "done"])


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.full)])
def test_kills_lose_at_most_the_record_in_hand(tmp_path: Path, kills: int) -> None:
    rng = random.Random(kills)
    stored: set[str] = set()
    folder, starts = tmp_path / "run0", 0
    for kill in range(kills):
        outcome = run_until_killed(folder, after=rng.randint(1, 9), pause=rng.uniform(0, 0.004))
        assert outcome.code in (-signal.SIGKILL, 0)
        starts += 1
        assert not stored & set(outcome.started), "finished records were done again"
        stored |= set(outcome.done)
        check(folder, stored, outcome)
        stored |= RunStore.open(folder).finished_keys()
        if len(stored) == JOBS:
            folder, stored, starts = tmp_path / f"run{kill + 1}", set(), 0
    last = run_until_killed(folder, after=-1, pause=0)
    assert last.code == 0
    store = RunStore.open(folder)
    assert store.info.status == "success"
    assert len(store.info.attempts) == starts + 1
    check(folder, {f"job{i}" for i in range(JOBS)}, last)
    assert store.read().warnings == ()


def check(folder: Path, stored: set[str], outcome: Outcome) -> None:
    """Everything that was stored is there and whole, and beyond it at most the record in hand."""
    contents = RunStore.open(folder).read()
    found = {record.key for record in contents.records}
    assert stored <= found
    assert found - stored <= set(outcome.started[-1:])
    for record in contents.records:
        assert record.error == payload(record.key)
    assert len(contents.info.planned) == JOBS


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.full)])
def test_kills_before_the_first_record_leave_a_run_or_none(tmp_path: Path, kills: int) -> None:
    """The description of the run is whole or absent, so that the next start goes on or begins."""
    rng = random.Random(kills)
    command = [sys.executable, str(VICTIM), str(tmp_path / "run"), "0"]
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 30
            # Starting Python takes much longer than writing the file; wait for the first sign of it.
            while not list(tmp_path.glob("run/*")) and process.poll() is None and time.monotonic() < deadline:
                pass
            time.sleep(rng.uniform(0, 0.003))
            process.send_signal(signal.SIGKILL)
        try:
            RunStore.open(tmp_path / "run")
        except UsageError as error:
            assert "holds no run" in str(error)
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=60).returncode == 0
    assert RunStore.open(tmp_path / "run").info.status == "success"
