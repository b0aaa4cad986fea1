"""Numbers of published tables that a method computes anew: offered by an entry point, shown beside the published."""

from __future__ import annotations

import csv
import io
import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from thbench.cli import main
from thbench.errors import UsageError
from thbench.report import recomputed as module
from thbench.report.paper_tables import lay_out_paper, to_paper_csv, to_paper_latex, to_paper_markdown
from thbench.report.published import published
from thbench.report.recomputed import Recomputed, RecomputedNumber, recomputed


def counted(**changes: object) -> Recomputed:
    content = {"table": "Table 1", "row": "Hallo / base", "column": "TFLOP/clip", "value": 2100.0, "assumption": "much"}
    number = RecomputedNumber.model_validate(content | changes)
    return Recomputed(method="lightningcp", what="operations counted", command="python -m x", numbers=(number,))


def offer(monkeypatch: pytest.MonkeyPatch, given: object) -> None:
    class Point(EntryPoint):
        def load(self) -> object:
            return given

    monkeypatch.setattr(module, "entry_points", lambda group: [Point("lightningcp", "x:y", group)])


def test_columns_stand_right_of_the_published_with_the_difference() -> None:
    (table,) = [t for t in published("lightningcp").tables if t.id == "Table 1"]
    (grid,) = lay_out_paper(table, counted(), 99)
    heads = [head.name for head in grid.heads]
    at = heads.index("TFLOP/clip")
    assert heads[at + 1 : at + 3] == ["TFLOP/clip, ours", "TFLOP/clip, ours − paper"]
    base, other = grid.lines[0], grid.lines[1]
    assert [entry.value for entry in base.entries[at : at + 3]] == ["2158.08", "2100", "-2.69%"]
    assert [entry.value for entry in other.entries[at + 1 : at + 3]] == ["—", "—"]
    assert len(lay_out_paper(table, None, 99)[0].heads) == len(table.columns)


def test_every_format_has_them() -> None:
    paper = published("lightningcp")
    for text in (to_paper_markdown(paper, counted(), ()), to_paper_latex(paper, counted(), ())):
        assert "2158.08" in text and "2100" in text and "Taken for granted: much" in text
    lines = list(csv.DictReader(io.StringIO(to_paper_csv(paper, counted(), ()))))
    (line,) = [one for one in lines if one["recomputed"]]
    assert (line["row"], line["published"], line["recomputed"]) == ("Hallo / base", "2158.08", "2100.0")
    assert len(lines) == sum(len(t.rows) * len(t.columns) for t in paper.tables)


@pytest.mark.parametrize("wrap", [lambda c: c, lambda c: lambda: c], ids=["object", "callable"])
def test_an_entry_point_offers_them(wrap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, wrap(counted()))
    assert recomputed("lightningcp") == counted()
    assert recomputed("dawn") is None
    assert main(["paper", "lightningcp", "--json", str(tmp_path / "p.json")]) == 0
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert content["recomputed"]["numbers"][0]["value"] == 2100.0


@pytest.mark.parametrize("change", [{"row": "Hallo"}, {"table": "Table 9"}, {"column": "TFLOP"}])
def test_a_place_that_no_table_has_is_refused(change: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, counted(**change))
    with pytest.raises(UsageError, match="which its published tables lack"):
        recomputed("lightningcp")


def test_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, lambda: 3)
    with pytest.raises(UsageError, match="gives int"):
        recomputed("lightningcp")


def test_the_command_prints_them_within_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, counted())
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["paper", "lightningcp"]) == 0
    out = capsys.readouterr().out
    assert "2100" in out and "-2.69%" in out and "Taken for granted: much" in out
    assert max(len(line) for line in out.splitlines()) <= 80
