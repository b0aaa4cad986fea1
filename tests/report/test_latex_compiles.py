"""LaTeX files go through a real LaTeX, whatever stands in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_helpers import cell
from site_material import NASTY, cost_record
from test_formats import HOSTILE, full_board

from thbench.report.costs import cost_tables
from thbench.report.latex import to_latex
from thbench.report.paper_tables import to_paper_latex
from thbench.report.published import Beside, published, published_methods
from thbench.report.recomputed import Recomputed, RecomputedNumber

PDFLATEX = shutil.which("pdflatex")
pytestmark = pytest.mark.skipif(PDFLATEX is None, reason="no pdflatex here: apt-get install texlive-latex-recommended")
NAMES = [*HOSTILE, *(name for name in NASTY if name), "\u202e\x00\ud800", "ñandú Łódź Škoda", "ﬁ ㎞ 𝒜 \u0301"]


def compiled(folder: Path, *tables: str) -> str:
    """The log of a document with these tables, which must compile; a page break after each keeps the floats few."""
    body = "\n\\clearpage\n".join(tables)
    # Names may be wider than a page: that is ugly, not wrong.
    source = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (folder / "tables.tex").write_text(source, encoding="utf-8", errors="surrogatepass")
    done = subprocess.run(
        [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"],
        cwd=folder, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, re.sub(r"\n+", "\n", log)[-1500:]
    assert (folder / "tables.pdf").stat().st_size > 1000
    return log


def test_leaderboards_of_any_name_compile(tmp_path: Path) -> None:
    tables = []
    for name in NAMES:
        board = full_board(name)
        costs = cost_tables([cost_record((name, f"{name}+fast"), (2.0, 1.0), clip=name)], level=0.95)
        tables.append(to_latex(board.model_copy(update={"costs": costs})))
    log = compiled(tmp_path, *tables)
    assert "Undefined control sequence" not in log


def test_numbers_that_are_none_compile(tmp_path: Path) -> None:
    board = full_board("x")
    cells = {"x": cell(float("inf"), low=float("-inf"), high=float("inf")), "ssim": cell(-1e-300)}
    rows = (*board.rows, board.rows[1].model_copy(update={"variant": "odd", "cells": cells}))
    compiled(tmp_path, to_latex(board.model_copy(update={"rows": rows})))


def test_published_tables_compile(tmp_path: Path) -> None:
    number = RecomputedNumber(
        table="Table 1", row="Hallo / base", column="TFLOP/clip", value=1.0, assumption="a_b & 100% #1"
    )
    counted = Recomputed(method="lightningcp", what="x^2 {", command="python -m a_b", numbers=(number,))
    beside = Beside(
        table="Table 1", row="r_1", column="c & d", published="1.0", variant="v@mini", metric="m/x_y", reproduced=2.0,
        difference=1.0, apart=("split: 50 % of {x}",),
    )  # fmt: skip
    texts = [to_paper_latex(published(name), counted if name == "lightningcp" else None, (beside,))
             for name in published_methods()]  # fmt: skip
    compiled(tmp_path, *texts)
