"""Every acceleration on every method, and the receipts of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from accel_nets import Method
from thbench_methods.hallo.spec import HALLO
from thbench_methods.lightningcp import everywhere as pairs
from thbench_methods.lightningcp import receipts as of_run
from thbench_methods.lightningcp.spec import LIGHTNINGCP

from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import UsageError
from thbench.registry import ACCELERATIONS, METHODS
from thbench.report.receipts import read_receipts
from thbench.run import suite as suites
from thbench.run.suite import Suite, parse_variant
from thbench.types import Audio, Generation, Request

REQUEST = Request(np.zeros((8, 8, 3), np.uint8), Audio(np.zeros(16000, np.float32), 16000), 25.0, 3, 3)


class Still:
    """Runs no sampler loop."""

    def __init__(self, **_: object) -> None: ...

    def generate(self, request: Request, on_step: object = None) -> Generation:
        return Generation([request.portrait] * request.frames)


MADE = {"kdtalker": Method, "static-portrait": Still}


def loaded(factory: str, purpose: str) -> Any:
    """The stand-in of a method, and the test clips for any dataset."""
    return (lambda _: clips_of()) if purpose.startswith("dataset") else MADE[purpose.split("'")[1]]


@pytest.fixture(scope="module")
def found() -> list[pairs.Applied]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "load", loaded)
        return list(pairs.everywhere(["kdtalker", "static-portrait"], REQUEST))


def test_every_pair_is_run_or_says_why_not(found: list[pairs.Applied]) -> None:
    assert [one.acceleration for one in found] == list(ACCELERATIONS)
    assert {one.method for one in found} == {"kdtalker@mini"}
    for one in found:
        assert (one.receipt is None) == bool(one.reason)
    ran = {one.acceleration: one.receipt for one in found if one.receipt is not None}
    # A small Hallo under guidance can do all of them.
    assert set(ran) == set(ACCELERATIONS)
    assert ran["lightningcp"].flop_ratio > ran["deepcache"].flop_ratio > 1


def test_what_cannot_be_applied_stands_in_the_table_with_its_reason(found: list[pairs.Applied]) -> None:
    last = found[-1].model_copy(update={"receipt": None, "reason": "it has no such thing"})
    text = pairs.markdown([*found[:-1], last])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0].count("|") == rows[2].count("|") == len(ACCELERATIONS) + 2
    assert "| n/a [1] |" in rows[2]
    assert text.endswith("1. it has no such thing\n")


def test_methods_with_a_small_preset_are_found() -> None:
    found = pairs.small_methods()
    assert "kdtalker" in found
    assert "static-portrait" not in found
    assert all(METHODS[name].trainers for name in found)


def suite_of(*variants: str) -> Suite:
    return Suite(name="x", title="x", dataset="synth-heads", variants=variants)


def test_variants_are_compared_with_their_own_base() -> None:
    suite = suite_of("ground-truth", "kdtalker@mini", "kdtalker@mini+lightningcp", "kdtalker@mini+fewer-steps")
    ((base, fast),) = of_run.groups(suite)
    assert base.name == "kdtalker@mini"
    assert fast == {
        "kdtalker@mini+lightningcp": ("lightningcp",),
        "kdtalker@mini+fewer-steps": ("fewer-steps",),
    }


def test_lightningcp_is_compared_with_hallo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "METHODS", {"hallo": HALLO, "lightningcp": LIGHTNINGCP})
    ((base, fast),) = of_run.groups(suite_of("hallo@mini", "lightningcp@mini", "hallo@mini+deepcache"))
    assert base.name == "hallo@mini"
    assert fast == {"lightningcp@mini": ("lightningcp", "dfa", "refdrop"), "hallo@mini+deepcache": ("deepcache",)}


def test_a_run_gets_receipts_and_audits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(spec: object, path: Path, **rest: Any) -> Request:
        return replace(REQUEST, seed=rest["seed"])

    monkeypatch.setattr(of_run, "request_of", short)
    monkeypatch.setattr(of_run, "AUDITED_FRAMES", 3)
    monkeypatch.setattr(of_run, "load", loaded)
    suite = suite_of("kdtalker@mini", "kdtalker@mini+lightningcp", "kdtalker@mini+cfg-cache")
    info = SimpleNamespace(suite=suite.model_dump(mode="json"))
    monkeypatch.setattr(of_run.RunInfo, "model_validate_json", lambda _: info)
    (tmp_path / "run.json").write_text("{}")
    code = of_run.main([str(tmp_path), "--clips", "1", "--rounds", "1"])
    known = read_receipts(tmp_path)
    assert known is not None
    kept = known.receipts
    assert [(one.variant, one.clip) for one in kept] == [
        (f"kdtalker@mini+{name}", clips_of()[0].id) for name in ("lightningcp", "cfg-cache")
    ]
    assert all(one.receipt.flop_ratio > 1 and one.receipt.output is not None for one in kept)
    told = capsys.readouterr().out
    assert told == (tmp_path / "receipts" / "audits.txt").read_text()
    assert told.count("same clip") == 2 and code in (0, 1)
    info.suite = suite_of("kdtalker@mini").model_dump(mode="json")
    with pytest.raises(UsageError, match="no accelerated variant"):
        of_run.main([str(tmp_path)])


class Remembering(Method):
    """Gives the clip that it made before of the same seed."""

    made: ClassVar[dict[int, list[np.ndarray]]] = {}

    def generate(self, request: Request, on_step: object = None) -> Generation:
        if request.seed not in self.made:
            self.made[request.seed] = list(super().generate(request, on_step).frames)
        return Generation(self.made[request.seed])


def test_the_audit_finds_a_method_that_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_run, "load", lambda factory, purpose: Remembering)
    monkeypatch.setattr(of_run, "request_of", lambda *_, **__: REQUEST)
    monkeypatch.setattr(of_run, "AUDITED_FRAMES", 3)
    suite = suite_of("kdtalker@mini", "kdtalker@mini+lightningcp")
    found = of_run.audited(suite, parse_variant("kdtalker@mini+lightningcp"), clips_of()[:1], rounds=3)
    assert not found.passed and found.gain > found.allowed
