"""The runner and the command on fixtures made here, with targets of an installed plugin."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from thbench.cli import main
from thbench.errors import UsageError
from thbench.parity import check, find_targets
from thbench.parity.recipe import tensor, uniform

if TYPE_CHECKING:
    from pathlib import Path

SALT = "runner-test"
TABLE = {"toy.linear": "toy_targets:linear", "toy.unfit": "toy_targets:unfit", "toy.gone": "toy_targets:gone"}

PLUGIN = """
import numpy as np
from thbench.errors import WeightsMismatchError

TARGETS = {targets!r}
NOT_A_TABLE = 3

def linear(fixture):
    weights = fixture.weights()
    return {{"y": fixture.inputs["x"] @ weights["weight"].T + weights["bias"], "extra": np.zeros(1)}}

def unfit(fixture):
    raise WeightsMismatchError("toy.unfit does not fit Linear: 1 missing (weight)")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that registers toy targets."""
    site = tmp_path / "site"
    info = site / "toy_targets-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-targets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[thbench.parity]\ntoy = toy_targets:TARGETS\n")
    (site / "toy_targets.py").write_text(PLUGIN.format(targets=TABLE))
    monkeypatch.syspath_prepend(str(site))
    return site


def write_fixture(folder: Path, *, target: str = "toy.linear", scale: float = 1.0, **spec: Any) -> Path:
    """A fixture of a linear layer whose expected output is multiplied by `scale`."""
    folder.mkdir(parents=True)
    x = uniform("x", (5, 3), -1.0, 1.0, SALT)
    y = x @ tensor("weight", (2, 3), SALT).T + tensor("bias", (2,), SALT)
    content = {
        "target": target,
        "salt": SALT,
        "shapes": {"weight": [2, 3], "bias": [2], "table": [7]},
        "kept": ["table"],
        "inputs": {"x": {"shape": [5, 3], "low": -1.0, "high": 1.0}},
        "outputs": {"y": {"shape": [5, 2], "slice": "::2"}},
        "tolerance": 1e-5,
    }
    (folder / "spec.json").write_text(json.dumps(content | spec))
    np.savez(folder / "expected.npz", y=y[::2] * scale)
    return folder


def test_a_right_network_passes(tmp_path: Path, plugin: Path) -> None:
    outcome = check(write_fixture(tmp_path / "f"), find_targets())
    assert outcome.status == "passed"
    assert [(a.output, a.passed) for a in outcome.outputs] == [("y", True)]
    assert outcome.outputs[0].error < 1e-6


@pytest.mark.parametrize(("scale", "passed"), [(1 + 1e-6, True), (1 + 1e-4, False), (0.5, False)])
def test_the_error_is_relative_to_the_largest_expected_value(
    tmp_path: Path, plugin: Path, scale: float, passed: bool
) -> None:
    outcome = check(write_fixture(tmp_path / "f", scale=scale), find_targets())
    assert outcome.outputs[0].error == pytest.approx(abs(1 - 1 / scale), abs=2e-7)
    assert (outcome.status == "passed") is passed


def test_an_outputs_own_tolerance_goes_before_the_common_one(tmp_path: Path, plugin: Path) -> None:
    folder = write_fixture(tmp_path / "f", scale=1.01, tolerances={"y": 0.1})
    assert check(folder, find_targets()).status == "passed"


def test_a_wrong_whole_shape_fails_even_if_the_slice_fits(tmp_path: Path, plugin: Path) -> None:
    folder = write_fixture(tmp_path / "f", outputs={"y": {"shape": [6, 2], "slice": "::2"}})
    outcome = check(folder, find_targets())
    assert outcome.outputs[0].error == math.inf
    assert outcome.outputs[0].problem == "shape (5, 2) instead of (6, 2)"


def test_a_missing_output_fails(tmp_path: Path, plugin: Path) -> None:
    folder = write_fixture(tmp_path / "f", outputs={"y": {}, "z": {}})
    np.savez(folder / "expected.npz", y=np.zeros((5, 2)), z=np.zeros(1))
    outcome = check(folder, find_targets())
    assert outcome.status == "failed" and outcome.outputs[1].problem == "no such output"


def test_values_that_are_not_finite_fail(tmp_path: Path, plugin: Path) -> None:
    folder = write_fixture(tmp_path / "f", inputs={"x": {"values": [[math.nan] * 3] * 5}})
    assert check(folder, find_targets()).outputs[0].problem == "6 of 6 values are not finite"


def test_without_adapter_a_fixture_counts_as_failed(tmp_path: Path, plugin: Path) -> None:
    outcome = check(write_fixture(tmp_path / "f", target="toy.unknown"), find_targets())
    assert outcome.status == "no adapter" and "toy.unknown" in str(outcome.message)


@pytest.mark.parametrize(("target", "words"), [("toy.unfit", "1 missing (weight)"), ("toy.gone", "has no name 'gone'")])
def test_a_network_that_does_not_fit_is_a_failure_with_its_reason(
    tmp_path: Path, plugin: Path, target: str, words: str
) -> None:
    outcome = check(write_fixture(tmp_path / "f", target=target), find_targets())
    assert outcome.status == "failed" and words in str(outcome.message)


def test_the_command_reports_and_exits_with_one_if_any_failed(
    tmp_path: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fixture(tmp_path / "all" / "good")
    assert main(["parity", str(tmp_path / "all")]) == 0
    write_fixture(tmp_path / "all" / "wrong", scale=0.5)
    write_fixture(tmp_path / "all" / "unknown", target="toy.unknown")
    report = tmp_path / "report.json"
    assert main(["parity", str(tmp_path / "all"), "--json", str(report)]) == 1
    shown = capsys.readouterr().out
    assert "1 of 3 fixtures passed" in shown and "no adapter" in shown and "FAILED  y: error" in shown
    content = json.loads(report.read_text())
    assert {f["folder"].rpartition("/")[2]: f["status"] for f in content["fixtures"]} == {
        "good": "passed",
        "wrong": "failed",
        "unknown": "no adapter",
    }


def test_wrong_usage_exits_with_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", str(tmp_path / "absent")]) == 3
    assert "is not a folder" in capsys.readouterr().err
    write_fixture(tmp_path / "f")
    assert main(["parity", str(tmp_path / "f"), "--json", str(tmp_path / "no" / "x.json")]) == 3
    with pytest.raises(SystemExit) as exit_:
        main(["parity"])
    assert exit_.value.code == 3


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("toy = toy_targets:NOT_A_TABLE", "is no mapping"),
        ("toy = toy_targets:ABSENT", "cannot be read"),
        ("toy = toy_targets:TARGETS\nother = rival:TARGETS", "another package has taken"),
    ],
)
def test_a_wrong_table_of_targets_is_named(plugin: Path, points: str, words: str) -> None:
    (plugin / "rival.py").write_text("TARGETS = {'toy.linear': 'rival:linear'}")
    (plugin / "toy_targets-1.0.dist-info" / "entry_points.txt").write_text(f"[thbench.parity]\n{points}\n")
    with pytest.raises(UsageError, match=words):
        find_targets()
