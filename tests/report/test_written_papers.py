"""The committed tables of papers are those that the package holds, and those of LightningCP stand beside our counts."""

from __future__ import annotations

import runpy
from pathlib import Path

from thbench_methods.lightningcp.recomputed import COLUMN, kept

from thbench.report.published import published
from thbench.report.recomputed import recomputed

REPORTS = Path(__file__).parents[2] / "reports"


def test_committed_tables_are_up_to_date(tmp_path: Path) -> None:
    runpy.run_path(str(REPORTS / "paper.py"))["write"](tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    there = {path.name: path.read_text(encoding="utf-8") for path in (REPORTS / "paper").iterdir()}
    assert there == made, "make paper makes them again"


def test_every_operation_count_of_lightningcp_was_counted_anew() -> None:
    counted = recomputed("lightningcp")
    assert counted is not None and counted == kept()
    there = 0
    for table in published("lightningcp").tables:
        for row in table.rows:
            values = {column.name: value for column, value in zip(table.columns, row.values, strict=True)}
            if isinstance(values.get(COLUMN), str):
                number = counted.of(table.id, row.name, COLUMN)
                assert number is not None and number.value > 0, (table.id, row.name)
                there += 1
                # The sizes of MEMO's denoising network are assumed; the others are known.
                if row.name.endswith("/ base") and not row.name.startswith("MEMO"):
                    assert abs(number.value / float(values[COLUMN]) - 1) < 1e-3
    assert there == len(counted.numbers) > 20
