"""The gate on real runs: the same code passes, planted faults are found, and what is too good asks for a look.

Rules are those that the gate has without a file, so that what is found here is found by everybody.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import planted_method
import pytest

from thbench import registry
from thbench.cli import main
from thbench.gate.document import GateReport

CLIPS = 8
"""Each of another person."""
WARPED = """
name = "planted"
title = "mouth-warp with and without a fault"
dataset = "synth-heads"
variants = ["ground-truth", "planted"]
metrics = ["psnr/pooled", "ssim", "m-lmd/interocular", "lip-audio-corr", "lip-audio-offset", "av-offset/mini",
           "duration-error"]
"""
DIFFUSED = """
name = "diffusion"
title = "a diffusion method with and without a fault"
dataset = "synth-heads"
variants = ["ground-truth", "planted-diffusion"]
metrics = ["psnr/pooled", "ssim", "lse-c/mini", "av-offset/mini", "csim/mini/whole-frame/portrait", "duration-error"]
"""
SAME_OUTPUT = """
[[rule]]
metric = "output/rmse"
smallest = 0.5
[[rule]]
metric = "duration-error"
smallest = 0.02
direction = "same"
"""
TIME_RULES = """
[[rule]]
metric = "time/end-to-end"
smallest = 0.05
"""
ROUNDS = 12
"""Processes of each side, in turn."""
Make = Callable[..., Path]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The methods with faults are installed."""
    planted = {spec.name: spec for spec in (planted_method.WARPED, planted_method.DIFFUSED)}
    monkeypatch.setattr(registry.METHODS, "_specs", {**dict(registry.METHODS), **planted})
    yield


@pytest.fixture
def run(known: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a real run of a suite with a planted fault."""

    def call(suite: str, plant: str, clips: int, *data: str) -> Path:
        monkeypatch.setenv(planted_method.VARIABLE, plant)
        out = tmp_path / (plant or "base")
        while out.exists():
            out = out.with_name(out.name + "-again")
        file = tmp_path / f"{out.name}.toml"
        file.write_text(f"{suite}max_clips = {clips}\n")
        assert main(["run", str(file), *data, "--executor", "local", "--out", str(out), "--quiet"]) == 0
        return out

    return call


def judge(tmp_path: Path, baseline: Path, candidate: Path, *more: object, rules: str | None = None) -> GateReport:
    """The gate's report; its verdict is the exit code of the command."""
    words: list[object] = ["--baseline", baseline, "--candidate", candidate, "--json", tmp_path / "gate.json", *more]
    if rules is not None:
        (tmp_path / "rules.toml").write_text(rules)
        words += ["--rules", tmp_path / "rules.toml"]
    code = main(["gate", *map(str, words)])
    report = GateReport.model_validate_json((tmp_path / "gate.json").read_text())
    assert code == report.exit_code
    return report


def metrics(report: GateReport, verdict: str) -> set[str]:
    """What has that verdict."""
    return {finding.metric for finding in report.findings if finding.verdict == verdict}


def test_in_short_unchanged_code_passes_and_the_reference_itself_is_too_good(
    run: Make, tmp_path: Path, drawn: Path, weights: str
) -> None:
    """Three clips are enough for what is equal to the bit, and for what is beyond every window."""
    data = "--data", str(drawn)
    base, same = run(WARPED, "", 3, *data), run(WARPED, "", 3, *data)
    assert judge(tmp_path, base, same).exit_code == 0
    assert judge(tmp_path, base, same, rules=SAME_OUTPUT).exit_code == 0
    good = run(WARPED, "reference", 3, *data)
    assert judge(tmp_path, base, good).exit_code == 2
    assert metrics(judge(tmp_path, base, good), "protocol-check") >= {"psnr/pooled", "ssim"}
    assert metrics(judge(tmp_path, base, good, rules=SAME_OUTPUT), "regression") == {"output/rmse"}


@pytest.mark.full
def test_planted_faults_of_quality_are_found(run: Make, tmp_path: Path, weights: str) -> None:
    base = run(WARPED, "", CLIPS)
    same = judge(tmp_path, base, run(WARPED, "", CLIPS))
    assert same.exit_code == 0
    assert {f.verdict for f in same.findings} == {"fine"}
    late = judge(tmp_path, base, run(WARPED, "shift3", CLIPS))
    assert late.exit_code == 1
    assert metrics(late, "regression") >= {"av-offset/mini"}
    good = judge(tmp_path, base, run(WARPED, "reference", CLIPS))
    assert good.exit_code == 2
    assert metrics(good, "protocol-check") >= {"psnr/pooled", "ssim", "m-lmd/interocular"}


@pytest.mark.full
def test_two_steps_of_ten_less_are_found(run: Make, tmp_path: Path) -> None:
    """Fewer steps give other videos, whether or not they are worse; the gate says each of the two on its own."""
    base = run(DIFFUSED, "", CLIPS)
    same = run(DIFFUSED, "", CLIPS)
    assert judge(tmp_path, base, same).exit_code == 0
    assert judge(tmp_path, base, same, rules=SAME_OUTPUT).exit_code == 0
    fewer = run(DIFFUSED, f"steps{planted_method.STEPS - 2}", CLIPS)
    changed = judge(tmp_path, base, fewer, rules=SAME_OUTPUT)
    print("\n".join(f"{f.metric}: {f.measured}" for f in (*changed.findings, *judge(tmp_path, base, fewer).findings)))
    assert changed.exit_code == 1
    assert metrics(changed, "regression") == {"output/rmse"}


@pytest.mark.full
def test_a_planted_sleep_is_found(known: None, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline, itself, and two measurements 15 % slower, in turn. Wants a machine with nothing else to do."""
    plants = {"base": "", "same": "", "slow": "sleep0.15", "slow-again": "sleep0.15"}
    for number in range(ROUNDS):
        for side in random.Random(number).sample(list(plants), len(plants)):
            monkeypatch.setenv(planted_method.VARIABLE, plants[side])
            protocol = ["--processes", "1", "--cold-starts", "0", "--rounds", "8", "--max-rounds", "8"]
            out = tmp_path / side / "costs" / f"{number:02}.json"
            words = ["time", "planted", "--frames", "25", *protocol, "--no-memory", "--quiet", "--json", str(out)]
            assert main(words) == 0
    base, slow, again = (tmp_path / side for side in ("base", "slow", "slow-again"))
    same = judge(tmp_path, base, tmp_path / "same", rules=TIME_RULES)
    suspected = judge(tmp_path, base, slow, rules=TIME_RULES)
    confirmed = judge(tmp_path, base, slow, "--confirm", again, rules=TIME_RULES)
    print("\n".join(f"{f.verdict}: {f.measured}" for r in (same, suspected, confirmed) for f in r.findings))
    assert same.exit_code == 0
    assert suspected.verdict == "suspected"
    assert confirmed.exit_code == 1
