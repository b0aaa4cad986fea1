"""The file of a measurement: round trip, and what is no such file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from cost_fakes import CLOCK, FakeDevice, protocol, request

from thbench.cost.child import CostWorker, Target
from thbench.cost.measure import Passes, measure
from thbench.cost.record import CostRecord, read_cost
from thbench.cost.watch import Clocks
from thbench.errors import UsageError


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> CostRecord:
    monkeypatch.setattr("thbench.cost.child.open_device", lambda name: FakeDevice(CLOCK))
    # There is much more to collect here than in a fresh process.
    monkeypatch.setattr("gc.collect", lambda: 0)
    worker = CostWorker(Clocks(CLOCK, CLOCK))
    return measure(
        [Target("m", "cost_fakes:Scripted"), Target("m+fast", "cost_fakes:Scripted", accelerations=("fast",))],
        request(),
        clip="made",
        protocol=protocol(),
        passes=Passes(memory=1, allocations=False, leak_repeats=4),
        launch=lambda job: worker(job, lambda done: None),
    )


def test_a_record_reads_back_as_it_was_written(record: CostRecord, tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    strange = record.trials[0].model_copy(update={"seconds": {"end-to-end": math.nan, "load": math.inf}})
    written = record.model_copy(update={"trials": (strange, *record.trials[1:])})
    path.write_text(written.model_dump_json(), encoding="utf-8")
    back = read_cost(path)
    assert back.model_dump_json() == written.model_dump_json()
    assert math.isnan(back.trials[0].seconds["end-to-end"])


def test_samples_are_found_by_process_and_round(record: CostRecord) -> None:
    values = record.values("m", "end-to-end")
    assert set(values) == {(p, r) for p in range(2) for r in range(2)}
    assert all(value == pytest.approx(3.75) for value in values.values())
    assert set(record.values("m", "load", "cold")) == {(0, 0)}
    assert record.values("m", "load") == {}
    assert len(record.peaks("m+fast")) == 1


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 2}', "[1]"])
def test_what_is_no_record_is_refused_with_the_next_step(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="thbench time"):
        read_cost(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_cost(tmp_path / "absent.json")


def test_the_format_refuses_unknown_fields(record: CostRecord) -> None:
    text = record.model_dump_json().replace('"created"', '"creatd"', 1)
    with pytest.raises(ValueError, match="creatd"):
        CostRecord.model_validate_json(text)
