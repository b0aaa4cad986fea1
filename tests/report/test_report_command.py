from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from report_helpers import planned, record, run_info

from thbench.cli import main
from thbench.report import Leaderboard, write_report
from thbench.run.store import RunStore

FILES = {"leaderboard.json", "leaderboard.csv", "leaderboard.md", "leaderboard.tex"}
HEAVY = ("torch", "av", "cv2", "mediapipe", "soxr", "scipy", "matplotlib", "ray")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder: two scored videos, a failed one and one that was not run."""
    folder = tmp_path / "run"
    with RunStore.create(folder, run_info(planned=[planned(key) for key in "abcd"])) as store:
        store.append(record("a", 30.0))
        store.append(record("b", math.inf))
        store.append(record("c", None, status="failed", error="no frames"))
    return folder


def test_files_are_written_and_the_table_is_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    assert {path.name for path in run.iterdir()} >= FILES
    out = capsys.readouterr().out
    assert "2/4" in out
    assert "no frames" in out
    assert str(run) in out


def test_json_is_the_leaderboard_and_nothing_else(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == json.loads((run / "leaderboard.json").read_text())
    assert Leaderboard.model_validate_json(out).row("v").cells["psnr"].scored == 2


def test_the_same_run_gives_the_same_files(run: Path) -> None:
    write_report(RunStore.open(run))
    first = {name: (run / name).read_bytes() for name in FILES}
    write_report(RunStore.open(run))
    assert {name: (run / name).read_bytes() for name in FILES} == first


def test_several_runs_give_one_report(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    with RunStore.create(other, run_info(planned=[planned("e")])) as store:
        store.append(record("e", 1.0))
    assert main(["report", str(run), str(other), "--out", str(tmp_path / "both"), "--json"]) == 0
    cell = json.loads(capsys.readouterr().out)["rows"][0]["cells"]["psnr"]
    assert (cell["scored"], cell["total"]) == (3, 5)
    assert not FILES & {path.name for path in run.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "holds no run"),
        (["nowhere", "elsewhere"], "name a folder with --out DIR"),
    ],
)
def test_mistakes_get_one_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *arguments]) == 3
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unwritable_place_is_a_mistake(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--out", str(run / "run.json")]) == 3
    assert "cannot write to the folder" in capsys.readouterr().err


def test_nothing_measured_is_neither_success_nor_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunStore.create(tmp_path / "run", run_info(planned=[planned("a")])).close()
    assert main(["report", str(tmp_path / "run")]) == 2
    assert "1 video not run" in capsys.readouterr().out


def test_a_report_needs_neither_torch_nor_a_codec(run: Path) -> None:
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f'{{name}} is blocked', name=name)
sys.meta_path.insert(0, Block())
import thbench.report, thbench.run.store, thbench.run.info, thbench.stats
from thbench.cli import main
sys.exit(main(['report', {str(run)!r}]))
"""
    environment = os.environ | {"COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "psnr" in done.stdout
