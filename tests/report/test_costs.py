"""Costs of a leaderboard: what may be pooled, what it says, and receipts of accelerated variants."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from report_helpers import board, column, row
from site_material import METHODS, add_costs, cost_record, receipt_of, write_run

from thbench.cost.summary import compare, summarise
from thbench.errors import UsageError
from thbench.report.cost_grid import OF_CLIP, lay_out_costs, scale_of, speed_up_of
from thbench.report.costs import cost_tables
from thbench.report.latex import to_latex
from thbench.report.leaderboard import Cost, Leaderboard
from thbench.report.markdown import to_markdown
from thbench.report.receipts import read_receipts, summary_of, write_receipts
from thbench.report.tidy import to_csv
from thbench.report.tradeoff import trade_offs
from thbench.report.write import leaderboard_of, to_json
from thbench.run.store import merge


def test_numbers_are_those_of_the_record() -> None:
    record = cost_record(("a@x", "a@x+fast"), (2.0, 1.0))
    (table,) = cost_tables([record], level=0.95)
    known = summarise(record.trials, "a@x")["end-to-end"]
    cost = table.rows["a@x"][OF_CLIP]
    assert (cost.value, cost.low, cost.high, cost.n) == (known.mean, known.low, known.high, known.n)
    (ratio,) = [c for c in compare(record.trials, "a@x", "a@x+fast") if c.measure == "end-to-end"]
    up = speed_up_of(table, "a@x+fast")
    assert up is not None and (up.ratio, up.low, up.high, up.pairs) == (ratio.ratio, ratio.low, ratio.high, ratio.pairs)
    assert speed_up_of(table, "a@x") is None
    assert table.rows["a@x"]["flops"].value == 1e12 and table.rows["a@x"]["memory/host"].value == 2**29


def test_records_of_one_setting_are_pooled_and_others_stand_apart() -> None:
    first, again = (cost_record(("a@x", "a@x+fast"), (2.0, 1.0), seed=seed) for seed in (1, 2))
    other = cost_record(("a@x",), (9.0,), clip="another")
    tables = cost_tables([first, again, other], level=0.95)
    assert [sorted(table.rows) for table in tables] == [["a@x", "a@x+fast"], ["a@x"]]
    pooled, alone = tables[0].rows["a@x"][OF_CLIP], cost_tables([first], level=0.95)[0].rows["a@x"][OF_CLIP]
    assert pooled.n == 2 * alone.n
    assert pooled.low is not None and alone.low is not None and pooled.high - pooled.low < alone.high - alone.low
    up = speed_up_of(tables[0], "a@x+fast")
    assert up is not None and up.pairs == pooled.n


@pytest.fixture(scope="module")
def costly(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    folder = tmp_path_factory.mktemp("costs") / "run"
    write_run(folder).close()
    add_costs(folder)
    (folder / "costs" / "zz.json").write_text("{}", encoding="utf-8")
    return leaderboard_of(merge([folder]))


def test_a_run_folder_gives_its_costs_and_names_files_that_are_none(costly: Leaderboard) -> None:
    (table,) = costly.costs
    assert set(table.rows) == set(METHODS)
    assert any("zz.json is not a cost record" in warning for warning in costly.warnings)
    assert Leaderboard.model_validate_json(to_json(costly)) == costly
    json.loads(to_json(costly), parse_constant=lambda word: pytest.fail(word))


def test_every_format_shows_them(costly: Leaderboard) -> None:
    for text in (to_markdown(costly), to_latex(costly)):
        assert "2.2" in text and "real-time factor" in text and "measured in turn" in text
    lines = [line for line in csv.DictReader(io.StringIO(to_csv(costly))) if line["column"] == "speed-up/end-to-end"]
    assert [line["variant"] for line in lines] == ["alpha@mini+fast"]
    assert 2.0 < float(lines[0]["low"]) < float(lines[0]["value"]) < float(lines[0]["high"]) < 2.5


def test_units_suit_the_numbers() -> None:
    assert scale_of("s", [Cost(value=v, n=1) for v in (1e-5, 0.02, 0.03)]).unit == "ms"
    assert scale_of("B", [Cost(value=3 * 2.0**30, n=1)]).unit == "GiB"
    assert scale_of("s", []).unit == "s"
    assert scale_of("s", [Cost(value=float("inf"), n=1), Cost(value=0.0, n=1)]).unit == "s"


def test_what_was_not_measured_is_a_dash() -> None:
    first, second = cost_record(("a", "b"), (2.0, 1.0)), cost_record(("c",), (1.0,))
    second = second.model_copy(update={"memory": (), "work": {}})
    (table,) = cost_tables([first, second], level=0.95)
    heads = [head.name for grid in lay_out_costs(table, {}, 99) for head in grid.heads]
    (line,) = [line for grid in lay_out_costs(table, {}, 99) for line in grid.lines if line.head.name == "c"]
    shown = dict(zip(heads, (entry.value for entry in line.entries), strict=True))
    assert shown["speed-up"] == shown["host memory"] == shown["operations"] == "—" != shown["clip"]


class TestTradeOffs:
    def test_speed_comes_first_and_joins_a_method_with_its_acceleration(self, costly: Leaderboard) -> None:
        first = trade_offs(costly)[0]
        assert first.x.name == "real-time factor" and first.x.logarithmic
        assert {p.variant for p in first.points} == set(METHODS)
        assert {p.variant: p.base for p in first.points}["alpha@mini+fast"] == "alpha@mini"

    def test_one_baseline_gives_speed_ups(self) -> None:
        names = ("a@x", "a@x+fast", "a@x+faster")
        columns = [column("ssim")]
        rows = [row(name, ssim=value) for name, value in zip(names, (0.9, 0.8, 0.7), strict=True)]
        costs = cost_tables([cost_record(names, (4.0, 2.0, 1.0))], level=0.95)
        (found,) = trade_offs(board(columns, *rows, costs=costs))
        assert found.x.name == "speed-up" and found.x.values["a@x"] == 1.0
        assert found.x.values["a@x+faster"] == pytest.approx(4.0, rel=0.03)
        assert all(point.best for point in found.points)


class TestReceipts:
    def test_they_are_put_together(self) -> None:
        found = summary_of([receipt_of("a@x+fast", f"c{i}", "a@x") for i in range(4)])
        assert found is not None
        assert (found.clips, found.cached, found.flop_ratio, found.lpips) == (4, pytest.approx(0.7), 2.0, None)
        assert found.psnr == pytest.approx(38.5) and len(found.plans) == 1
        assert summary_of([]) is None

    def test_files_come_back_and_a_clip_counts_once(self, tmp_path: Path) -> None:
        assert read_receipts(tmp_path) is None
        write_receipts(tmp_path, "a", [receipt_of("a+f", "c0"), receipt_of("a+f", "c1")])
        write_receipts(tmp_path, "b", [receipt_of("a+f", "c1")])
        found = read_receipts(tmp_path)
        assert found is not None and [one.clip for one in found.receipts] == ["c0", "c1"]
        other = receipt_of("a+f", "c1")
        changed = other.model_copy(update={"receipt": other.receipt.model_copy(update={"evaluations": 1})})
        write_receipts(tmp_path, "b", [changed])
        with pytest.raises(UsageError, match="another receipt of a"):
            read_receipts(tmp_path)
        (tmp_path / "receipts" / "b.json").write_text("{}", encoding="utf-8")
        with pytest.raises(UsageError, match="no file of receipts"):
            read_receipts(tmp_path)
