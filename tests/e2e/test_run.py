"""`thbench run` from suite to report, on drawn clips."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_numbers import differences

from thbench.media import read_audio, read_frames
from thbench.run.store import RunStore

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, drawn: Path, weights: str) -> Path:
    from thbench.cli import main

    out = tmp_path_factory.mktemp("run")
    assert main(["run", "baselines", "--data", str(drawn), "--out", str(out), "--quiet"]) == 0
    return out


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    board = json.loads((folder / "leaderboard.json").read_text())
    return {row["variant"]: row["cells"] for row in board["rows"]}


def test_the_baselines_bound_the_table(run_folder: Path) -> None:
    table = rows(run_folder)
    assert next(iter(table)) == "ground-truth"
    assert set(table) == {"ground-truth", "static-portrait", "shuffled-audio", "mouth-warp"}
    for name in ("ground-truth", "shuffled-audio"):
        assert table[name]["ssim"]["value"] == 1
        assert table[name]["psnr"]["value"] in (math.inf, "Infinity")
    for name in ("static-portrait", "mouth-warp"):
        assert 0.3 < table[name]["ssim"]["value"] < 0.999
    correlation = {name: cells["lip-audio-corr"]["value"] for name, cells in table.items()}
    assert correlation["ground-truth"] > correlation["shuffled-audio"]
    assert correlation["mouth-warp"] > correlation["shuffled-audio"]
    assert correlation["static-portrait"] is None
    assert table["static-portrait"]["pose-div/deg"]["value"] < 0.1 * table["ground-truth"]["pose-div/deg"]["value"]
    assert table["static-portrait"]["blink-rate"]["value"] == 0


def test_every_format_of_the_report_is_there_and_agrees(run_folder: Path) -> None:
    table = rows(run_folder)
    with (run_folder / "leaderboard.csv").open(newline="") as file:
        found = {(line["variant"], line["metric"]): line for line in csv.DictReader(file)}
    for variant, cells in table.items():
        for metric, cell in cells.items():
            line = found[variant, metric]
            assert (int(line["scored"]), int(line["total"])) == (cell["scored"], cell["total"])
            if isinstance(cell["value"], float):
                assert float(line["value"]) == pytest.approx(cell["value"], rel=1e-9)
    assert "3/3" in (run_folder / "leaderboard.md").read_text()
    assert r"\toprule" in (run_folder / "leaderboard.tex").read_text()


def test_generated_videos_are_kept_lossless_and_for_people(run_folder: Path, drawn: Path) -> None:
    folder = run_folder / "videos" / "static-portrait"
    assert sorted(p.name for p in folder.iterdir()) == [
        name for clip in ("drawn_1", "drawn_2", "drawn_3") for name in (f"{clip}.mkv", f"{clip}.mp4")
    ]
    first = next(read_frames(drawn / "drawn_1.mp4")).rgb
    kept = [frame.rgb for frame in read_frames(folder / "drawn_1.mkv")]
    assert len(kept) == 75
    assert all((frame == first).all() for frame in kept)
    assert abs(read_audio(folder / "drawn_1.mp4").duration - 3.0) < 0.05


def test_run_json_says_where_the_numbers_come_from(run_folder: Path) -> None:
    info = json.loads((run_folder / "run.json").read_text())
    assert info["status"] == "success"
    assert info["weights"]["face-landmarker"].startswith("64184e22")
    (recipe,) = info["recipes"].values()
    assert recipe["metrics"]["ssim"]["protocol"]
    assert len(info["planned"]) == 12
    assert all(record.seconds["evaluate"] > 0 for record in RunStore.open(run_folder).records())


def test_going_on_with_a_finished_run_does_nothing_again(run_folder: Path, drawn: Path) -> None:
    from thbench.cli import main

    before = {path: path.stat().st_mtime_ns for path in run_folder.glob("clips-*.jsonl")}
    again = ["run", "baselines", "--data", str(drawn), "--out", str(run_folder), "--quiet"]
    assert main(again) == 3
    assert main([*again, "--resume"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run_folder.glob("clips-*.jsonl")} == before


def test_workers_and_executors_do_not_change_a_number(run_folder: Path, drawn: Path, tmp_path: Path) -> None:
    from thbench.cli import main

    arguments = ["run", "baselines", "--data", str(drawn), "--out", str(tmp_path), "--executor", "local", "--quiet"]
    assert main(arguments) == 0
    assert differences(tmp_path, run_folder) == {}


def test_report_writes_the_same_again(run_folder: Path, thbench: Callable[..., Any]) -> None:
    before = (run_folder / "leaderboard.md").read_text()
    assert thbench("report", run_folder).code == 0
    assert (run_folder / "leaderboard.md").read_text() == before


def test_a_suite_without_data_says_what_to_give(thbench: Callable[..., Any], tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text("name = 'mine'\ntitle = 'mine'\nvariants = ['ground-truth']\n")
    outcome = thbench("run", suite)
    assert outcome.code == 3
    assert "--data DIR" in outcome.err


def test_the_main_job_runs_and_leaves_a_report(weights: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_bench.py"), "--drawn", "--work", str(tmp_path)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "drawn test clips" in done.stdout
    assert (tmp_path / "latest" / "leaderboard.md").is_file()


@pytest.mark.real
def test_the_main_job_runs_on_real_clips(shared: Path, weights: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "run_bench.py", "--data", shared / "real" / "reference", "--work", tmp_path],
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "bench")
    for row in ("ground-truth", "static-portrait", "shuffled-audio", "mouth-warp"):
        assert (table[row]["ssim"]["scored"], table[row]["ssim"]["total"]) == (4, 4)
    assert table["shuffled-audio"]["lip-audio-corr"]["value"] < table["ground-truth"]["lip-audio-corr"]["value"]
    assert table["mouth-warp"]["m-lmd/eat"]["value"] > 0
