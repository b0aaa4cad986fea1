"""`thbench gate` and `thbench compare` from the command line: exit codes, files, confirmation."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gate_helpers import CLIPS, cost_record, memory, noisy, run_of, with_truth, write_run

from thbench.cli import main
from thbench.gate.compare import CompareReport
from thbench.gate.document import GateReport
from thbench.gate.noise import read_noise

VALUES = (30 + np.random.default_rng(0).normal(scale=3, size=CLIPS)).tolist()
RULES = """
[[rule]]
metric = "psnr"
smallest = 0.2
[[rule]]
metric = "time/end-to-end"
smallest = 0.05
optional = true
"""
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a run folder: a change of quality, and a factor of time or None for no costs."""

    def call(name: str, change: float = 0.0, factor: float | None = 1.0) -> Path:
        rng = np.random.default_rng(len(name))
        contents = run_of(with_truth([v + change for v in VALUES]))
        times = [noisy(rng, 1, factor) for _ in range(40)] if factor is not None else []
        costs = [cost_record({"m": times}, memory=(memory("m", 1000),))] if times else []
        return write_run(tmp_path / name, contents, *costs)

    return call


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


def gate(*words: object) -> int:
    return main(["gate", *map(str, words)])


def test_exit_codes(make: Make, rules_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, slow = make("base"), make("slow", factor=1.2)
    ours = ["--baseline", base, "--rules", rules_file]
    assert gate(*ours, "--candidate", make("same")) == 0
    assert gate(*ours, "--candidate", make("worse", change=-1.0)) == 1
    assert gate(*ours, "--candidate", slow) == 2
    assert gate(*ours, "--candidate", slow, "--confirm", make("slow-again", factor=1.2)) == 1
    assert gate(*ours, "--candidate", slow, "--confirm", make("fast-again", factor=1.0)) == 0
    assert gate(*ours, "--candidate", make("untimed", factor=None)) == 2
    capsys.readouterr()
    assert gate(*ours, "--candidate", base / "nowhere") == 3
    assert "thbench run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--baseline", "x"],
        ["--baseline", "x", "--candidate", "y", "--rules", "nowhere.toml"],
        ["--baseline", "x", "--candidate", "y", "--confirm-baseline", "z"],
        ["--baseline", "x", "--candidate", "y", "--confirm", "a", "--confirm-command", "b {candidate}"],
        ["--calibrate", "x"],
        ["--unknown"],
    ],
)
def test_wrong_usage_exits_with_3(words: list[str]) -> None:
    try:
        assert gate(*words) == 3
    except SystemExit as end:
        assert end.code == 3


def test_the_report_is_written_in_three_formats(make: Make, rules_file: Path, tmp_path: Path) -> None:
    base, worse = make("base"), make("worse", change=-1.0)
    files = {name: tmp_path / f"{name}.out" for name in ("json", "markdown", "pytest-benchmark")}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    assert gate("--baseline", base, "--candidate", worse, "--rules", rules_file, *options) == 1
    report = GateReport.model_validate_json(files["json"].read_text())
    assert (report.verdict, report.findings[0].metric) == ("regression", "psnr")
    assert report.findings[0].measured.loss == pytest.approx(1.0)
    assert "**Regression.**" in files["markdown"].read_text()


def test_pytest_benchmark_reads_the_timings(make: Make, rules_file: Path, tmp_path: Path) -> None:
    base = make("base")
    store = tmp_path / "store" / "machine"
    store.mkdir(parents=True)
    for number in ("0001_a.json", "0002_b.json"):
        assert (
            gate("--baseline", base, "--candidate", base, "--rules", rules_file, "--pytest-benchmark", store / number)
            == 0
        )
    command = [sys.executable, "-m", "pytest_benchmark", "--storage", str(store.parent), "compare", "--csv"]
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "m[end-to-end]" in done.stdout
    table = (tmp_path / "out.csv").read_text()
    data = json.loads((store / "0001_a.json").read_text())["benchmarks"][0]["stats"]
    assert f"{data['median']}" in table and data["rounds"] == 40


def test_a_confirmation_command_runs_only_when_something_is_red(make: Make, rules_file: Path, tmp_path: Path) -> None:
    base, slow, same = make("base"), make("slow", factor=1.2), make("same")
    mark = tmp_path / "called"
    code = "import shutil, sys; open(sys.argv[1], 'a').write('x'); shutil.copytree(*sys.argv[2:4], dirs_exist_ok=True)"
    command = shlex.join([sys.executable, "-c", code, str(mark)])
    ours = ["--baseline", base, "--rules", rules_file]
    assert gate(*ours, "--candidate", same, "--confirm-command", f"{command} {slow} {{candidate}}") == 0
    assert not mark.exists()
    assert gate(*ours, "--candidate", slow, "--confirm-command", f"{command} {slow} {{candidate}}") == 1
    assert gate(*ours, "--candidate", slow, "--confirm-command", f"{command} {same} {{candidate}}") == 0
    assert mark.read_text() == "xx"
    assert gate(*ours, "--candidate", slow, "--confirm-command", "true {candidate}") == 2
    assert gate(*ours, "--candidate", slow, "--confirm-command", "true") == 3
    assert gate(*ours, "--candidate", slow, "--confirm-command", "no-such-program {candidate}") == 3


def test_default_rules_are_printed_and_hold(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("--print-rules") == 0
    path = tmp_path / "mine.toml"
    path.write_text(capsys.readouterr().out)
    base = make("base")
    assert gate("--baseline", base, "--candidate", base, "--rules", path) == gate(
        "--baseline", base, "--candidate", base
    )


def test_calibration_is_kept_and_widens_what_the_gate_believes(
    make: Make, rules_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, slow = make("base"), make("slow", factor=1.08)
    quiet = tmp_path / "noise.json"
    assert gate("--calibrate", base, "--noise", quiet) == 0
    noise = read_noise(quiet)
    assert 0 < noise.of("m", "time/end-to-end", 8) < noise.of("m", "time/end-to-end", 1) < 0.06
    assert noise.of("m", "time/end-to-end", 9) == noise.of("m", "time/end-to-end", 8)
    assert noise.of("unknown", "time/end-to-end", 20) == 0
    ours = ["--baseline", base, "--candidate", slow, "--confirm", slow, "--rules", rules_file]
    assert gate(*ours, "--noise", quiet) == 1
    sizes = noise.sizes["m"]["time/end-to-end"]
    loud = noise.model_copy(
        update={"sizes": {"m": {"time/end-to-end": tuple(s.model_copy(update={"spread": 0.3}) for s in sizes)}}}
    )
    (tmp_path / "loud.json").write_text(loud.model_dump_json())
    assert gate(*ours, "--noise", tmp_path / "loud.json") == 2
    elsewhere = noise.model_copy(update={"machine": "another"})
    (tmp_path / "other.json").write_text(elsewhere.model_dump_json())
    capsys.readouterr()
    gate(*ours, "--noise", tmp_path / "other.json")
    assert "another machine" in capsys.readouterr().out.replace("\n", " ")


def test_calibration_needs_timings(make: Make, tmp_path: Path) -> None:
    few = write_run(tmp_path / "few", run_of(with_truth(VALUES)), cost_record({"m": [[1.0, 1.1, 1.0, 1.2]] * 3}))
    assert gate("--calibrate", few, "--noise", tmp_path / "n.json") == 2
    assert gate("--calibrate", make("untimed", factor=None), "--noise", tmp_path / "n.json") == 3


class TestCompare:
    def test_differences_with_intervals(self, make: Make, tmp_path: Path) -> None:
        base, worse = make("base"), make("worse", change=-1.0, factor=1.2)
        out = tmp_path / "compare.json"
        assert main(["compare", str(base), str(worse), "--json", str(out)]) == 0
        report = CompareReport.model_validate_json(out.read_text())
        found = {d.metric: d for d in report.differences}
        assert found["psnr"].difference == pytest.approx(1.0)
        assert (found["psnr"].verdict, found["time/end-to-end"].verdict) == ("worse", "worse")
        assert found["memory/allocated"].verdict == "equal"
        assert found["time/end-to-end"].low < 0.2 < found["time/end-to-end"].high
        assert found["psnr"].pairs == CLIPS

    def test_exchanged_runs_change_the_sign(self, make: Make, tmp_path: Path) -> None:
        base, worse = make("base"), make("worse", change=-1.0)
        out = tmp_path / "compare.json"
        assert main(["compare", str(worse), str(base), "--json", str(out), "--only", "psnr"]) == 0
        (found,) = CompareReport.model_validate_json(out.read_text()).differences
        assert (found.difference, found.verdict) == (pytest.approx(-1.0), "better")

    def test_nothing_in_common(self, make: Make) -> None:
        base = make("base")
        assert main(["compare", str(base), str(base), "--only", "lse*"]) == 2
        assert main(["compare", str(base), str(base / "nowhere")]) == 3
