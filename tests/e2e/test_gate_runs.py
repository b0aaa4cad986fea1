"""The gate on real runs: the same code passes, planted faults are found, and what is too good asks for a look."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import planted_method
import pytest

from thbench import registry
from thbench.cli import main
from thbench.gate.document import GateReport

SUITE = """
name = "planted"
title = "mouth-warp with and without a fault"
dataset = "synth-heads"
variants = ["ground-truth", "planted"]
metrics = ["psnr/pooled", "ssim", "m-lmd/interocular", "lip-audio-corr", "lip-audio-offset", "duration-error"]
"""
RULES = """
[[rule]]
metric = "psnr/pooled"
smallest = 0.2
window = 3.0
[[rule]]
metric = "ssim"
smallest = 0.01
window = 0.1
[[rule]]
metric = "m-lmd/interocular"
smallest = 0.01
relative = true
window = 0.5
[[rule]]
metric = "duration-error"
smallest = 0.02
direction = "same"
"""
TIME_RULES = """
[[rule]]
metric = "time/frame"
smallest = 0.05
"""
ROUNDS = 8
"""Processes of each side, in turn."""
Run = Callable[[str, str], Path]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The method with faults is installed."""
    monkeypatch.setattr(registry.METHODS, "_specs", {**dict(registry.METHODS), "planted": planted_method.SPEC})
    yield


@pytest.fixture
def run(known: None, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a real run with a planted fault."""

    def call(name: str, plant: str, clips: int, *data: str) -> Path:
        monkeypatch.setenv(planted_method.VARIABLE, plant)
        suite = tmp_path / f"{name}.toml"
        suite.write_text(f"{SUITE}max_clips = {clips}\n")
        out = tmp_path / name
        assert main(["run", str(suite), *data, "--executor", "local", "--out", str(out), "--quiet"]) == 0
        return out

    return call


def judge(tmp_path: Path, rules: str, baseline: Path, candidate: Path, *more: object) -> GateReport:
    """The gate's report; its verdict is the exit code of the command."""
    (tmp_path / "rules.toml").write_text(rules)
    out = tmp_path / "gate.json"
    words = ["--baseline", baseline, "--candidate", candidate, "--rules", tmp_path / "rules.toml", "--json", out, *more]
    code = main(["gate", *map(str, words)])
    report = GateReport.model_validate_json(out.read_text())
    assert code == report.exit_code
    return report


def test_in_short_unchanged_code_passes_and_the_reference_itself_is_too_good(
    run: Callable[..., Path], tmp_path: Path, drawn: Path
) -> None:
    """Three clips are enough for what is equal to the bit, and for what is beyond every window."""
    data = "--data", str(drawn)
    base = run("base", "", 3, *data)
    assert judge(tmp_path, RULES, base, run("same", "", 3, *data)).exit_code == 0
    good = judge(tmp_path, RULES, base, run("good", "reference", 3, *data))
    assert good.exit_code == 2
    assert {f.metric for f in good.findings if f.verdict == "protocol-check"} >= {"psnr/pooled", "ssim"}


@pytest.mark.full
def test_planted_faults_of_quality_are_found(run: Callable[..., Path], tmp_path: Path) -> None:
    base = run("base", "", 24)
    same = judge(tmp_path, RULES, base, run("same", "", 24))
    assert same.exit_code == 0
    assert {f.verdict for f in same.findings} == {"fine"}
    late = judge(tmp_path, RULES, base, run("late", "shift3", 24))
    assert late.exit_code == 1
    assert "m-lmd/interocular" in {f.metric for f in late.findings if f.verdict == "regression"}
    good = judge(tmp_path, RULES, base, run("good", "reference", 24))
    assert good.exit_code == 2
    assert {"psnr/pooled", "ssim", "m-lmd/interocular"} <= {
        f.metric for f in good.findings if f.verdict == "protocol-check"
    }


@pytest.mark.full
def test_a_planted_sleep_is_found(known: None, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline, itself, and two measurements 15 % slower, in turn."""
    plants = {"base": "", "same": "", "slow": "sleep0.15", "slow-again": "sleep0.15"}
    for number in range(ROUNDS):
        for side in random.Random(number).sample(list(plants), len(plants)):
            monkeypatch.setenv(planted_method.VARIABLE, plants[side])
            protocol = ["--processes", "1", "--cold-starts", "0", "--rounds", "8", "--max-rounds", "8"]
            out = tmp_path / side / "costs" / f"{number}.json"
            words = ["time", "planted", "--frames", "25", *protocol, "--no-memory", "--quiet", "--json", str(out)]
            assert main(words) == 0
    base, slow, again = (tmp_path / side for side in ("base", "slow", "slow-again"))
    assert judge(tmp_path, TIME_RULES, base, tmp_path / "same").exit_code in (0, 2)
    assert judge(tmp_path, TIME_RULES, base, slow).verdict == "suspected"
    assert judge(tmp_path, TIME_RULES, base, slow, "--confirm", again).exit_code == 1
