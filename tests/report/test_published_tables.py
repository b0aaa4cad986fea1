"""The published tables: complete, with sources, and the same as the notes they were taken from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_helpers import board, column, row

from thbench.cli import main
from thbench.errors import UsageError
from thbench.report.published import CLOSEST, beside, published, published_methods

NINE = ("dawn", "dreamtalk", "flap", "kdtalker", "lightningcp", "moda", "posetalk", "svp", "x-actor")
SAMPLE = (
    ("lightningcp", "Table 1", "Hallo / LightningCP", "HDTF FVD", "121.8"),
    ("lightningcp", "Table 1", "Hallo / LightningCP", "speedup", "3.15"),
    ("lightningcp", "Table 1", "Hallo / base", "TFLOP/clip", "2158.08"),
)
"""Method, table, row, column, value as the paper prints it."""


def value(method: str, table: str, row_name: str, column_name: str) -> object:
    (found,) = [t for t in published(method).tables if t.id == table]
    (line,) = [r for r in found.rows if r.name == row_name]
    return line.values[[c.name for c in found.columns].index(column_name)]


def test_all_nine_methods_are_there() -> None:
    assert published_methods() == NINE


@pytest.mark.parametrize("method", NINE)
def test_every_table_has_its_source_and_what_is_not_there_says_so(method: str) -> None:
    paper = published(method)
    assert paper.tables or paper.not_published
    for table in paper.tables:
        assert table.source and table.dataset and table.reliability
        assert all(c.protocol for c in table.columns)
        assert len({c.name for c in table.columns}) == len(table.columns)
    assert all(one.status in {"not published", "not known here"} for one in paper.not_published)


@pytest.mark.parametrize(("method", "table", "line", "name", "known"), SAMPLE)
def test_a_sample_is_as_printed(method: str, table: str, line: str, name: str, known: str) -> None:
    assert float(str(value(method, table, line, name))) == float(known)


@pytest.mark.parametrize("method", NINE)
def test_the_data_is_that_of_the_notes(method: str, shared: Path) -> None:
    notes = shared / "papers" / "tables" / f"{method.replace('-', '')}.json"
    known = json.loads(notes.read_text(encoding="utf-8"), parse_float=str, parse_int=str)
    ours = published(method)
    assert [t.id for t in ours.tables] == [t["id"] for t in known["tables"]]
    for table, noted in zip(ours.tables, known["tables"], strict=True):
        assert [(r.name, list(r.values)) for r in table.rows] == [(r["name"], r["values"]) for r in noted["rows"]]
        assert [c.model_dump() for c in table.columns] == noted["columns"]
    assert [n.what for n in ours.not_published] == [n["what"] for n in known["not_published"]]


def test_digits_stay_as_printed() -> None:
    printed = [v for m in NINE for t in published(m).tables for r in t.rows for v in r.values if isinstance(v, str)]
    assert any(v.endswith("0") and "." in v for v in printed)


def test_what_stands_beside_says_why_it_cannot_be_compared() -> None:
    ours = board(
        [column("fid/pytorch-fid", direction="lower", protocol="ours"), column("blink-duration")],
        row("dawn@mini", "method", **{"fid/pytorch-fid": 50.0, "blink-duration": 1.0}),
        row("other", "method", **{"fid/pytorch-fid": 1.0}),
    )
    found = list(beside("dawn", ours, "synthetic heads"))
    assert found and {b.variant for b in found} == {"dawn@mini"} and {b.metric for b in found} == {"fid/pytorch-fid"}
    for one in found:
        assert one.difference == pytest.approx(50.0 - float(one.published))
        assert [reason.partition(":")[0] for reason in one.apart] == ["split", "protocol", "weights"]


def test_names_are_matched_to_metrics_that_exist() -> None:
    from thbench.registry import METRICS

    names = tuple(METRICS)
    for word, starts in CLOSEST.items():
        assert all(any(name.startswith(start) for name in names) for start in starts), word


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", "lightningcp"]) == 0
    out = capsys.readouterr().out
    assert "3.15" in out and "AAAI-26" in out and "not published" in out
    assert main(["paper", "svp", "--json", str(tmp_path / "svp.json")]) == 0
    content = json.loads((tmp_path / "svp.json").read_text(encoding="utf-8"))
    assert content["tables"] == [] and content["not_published"] and content["beside"] == []


def test_an_unknown_method_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="did you mean 'dawn'"):
        published("dawm")
    assert main(["paper", "nothing"]) == 3
    assert "svp" in capsys.readouterr().err
