"""Every metric fixture beside this file passes, and would not with other weights, inputs or formulas."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from thbench.parity import check, find_fixtures, read_fixture
from thbench.parity.targets import METRICS

HERE = Path(__file__).parent
COPIES = [path for path in find_fixtures([HERE]) if json.loads((path / "spec.json").read_text())["target"] in METRICS]


def test_there_is_a_fixture_for_each_target() -> None:
    assert {path.name for path in COPIES} == set(METRICS)


@pytest.mark.parametrize("folder", COPIES, ids=lambda path: path.name)
def test_the_fixture_passes(folder: Path) -> None:
    outcome = check(folder, METRICS)
    assert outcome.message is None
    failed = {a.output: (a.error, a.tolerance, a.problem) for a in outcome.outputs if not a.passed}
    assert outcome.status == "passed", failed
    assert {agreement.output for agreement in outcome.outputs} == set(read_fixture(folder).expected)


@pytest.mark.parametrize("name", ["metrics.hopenet", "metrics.mfcc", "metrics.kid"])
def test_another_salt_gives_other_outputs(name: str, tmp_path: Path) -> None:
    shutil.copytree(HERE / name, tmp_path / name)
    spec = json.loads((tmp_path / name / "spec.json").read_text())
    (tmp_path / name / "spec.json").write_text(json.dumps(spec | {"salt": "another"}))
    outcome = check(tmp_path / name, METRICS)
    assert outcome.status == "failed" and outcome.outputs


@pytest.mark.parametrize(
    ("change", "words"), [("drop", "1 missing"), ("add", "1 unexpected"), ("shape", "1 of another")]
)
def test_keys_and_shapes_of_the_checkpoint_are_strict(change: str, words: str, tmp_path: Path) -> None:
    shutil.copytree(HERE / "metrics.hopenet", tmp_path / "f")
    spec = json.loads((tmp_path / "f" / "spec.json").read_text())
    if change == "drop":
        del spec["shapes"]["fc_yaw.bias"]
    else:
        spec["shapes"]["fc_yaw.bias" if change == "shape" else "fc_yaw.extra"] = [7]
    (tmp_path / "f" / "spec.json").write_text(json.dumps(spec))
    outcome = check(tmp_path / "f", METRICS)
    assert outcome.status == "failed" and words in str(outcome.message) and "fc_yaw" in str(outcome.message)


def test_inputs_of_another_length_go_through(tmp_path: Path) -> None:
    """Targets take their sizes from the fixture: a longer sound, another number of frames."""
    shutil.copytree(HERE / "metrics.syncnet", tmp_path / "f")
    spec = json.loads((tmp_path / "f" / "spec.json").read_text())
    spec["inputs"]["frames"]["shape"][0] = 21
    spec["inputs"]["audio"]["shape"][0] = 1900
    spec["inputs"]["jitter"]["shape"][0] = 40
    windows = min(21, 1900 * 7 // 640) - 5
    spec["outputs"] = {"clip.distances": {"shape": [windows, 31]}, "score.distances": {"shape": [40, 31]}}
    (tmp_path / "f" / "spec.json").write_text(json.dumps(spec))
    expected = np.load(HERE / "metrics.syncnet" / "expected.npz")
    np.savez(
        tmp_path / "f" / "expected.npz",
        **{"clip.distances": np.zeros((windows, 31)), "score.distances": expected["score.distances"][:40]},
    )
    outcome = check(tmp_path / "f", METRICS)
    assert [a.problem for a in outcome.outputs] == [None, None]
