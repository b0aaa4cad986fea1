"""What validate-metrics says stands beside every column, in every format."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from report_helpers import board, column, row
from rich.console import Console

from thbench.report.checks import with_checks
from thbench.report.latex import to_latex
from thbench.report.markdown import to_markdown
from thbench.report.terminal import render_table
from thbench.report.tidy import to_csv
from thbench.report.write import to_json
from thbench.validate.document import MetricVerdict, read_validation
from thbench.validate.verdicts import shipped_verdicts, verdicts_of

ROOT = Path(__file__).resolve().parents[2]


def verdict(name: str, word: str, *reasons: str) -> MetricVerdict:
    failed = 1 if word == "fails" else 0
    return MetricVerdict(
        metric=name,
        protocol_id=f"{name}@1 [p]",
        verdict=word,
        held=3 - failed,
        failed=failed,
        expected=3,
        reasons=reasons,
    )


def checked():
    plain = board([column(n) for n in ("good", "bad", "blind", "new")], row("m", good=1.0, bad=2.0, blind=3.0, new=4.0))
    verdicts = [
        verdict("good", "holds"),
        verdict("bad", "fails", "blur: must fall: rho +0.20"),
        verdict("blind", "not measured", "weights absent"),
    ]
    return with_checks(plain, verdicts)


def test_marks_are_about_one_version_and_protocol() -> None:
    found = {c.id: (c.check, c.check_note) for c in checked().columns}
    assert found == {
        "good": ("holds", ""),
        "bad": ("fails", "1 of 3 expectations: blur: must fall: rho +0.20"),
        "blind": ("not validated", "weights absent"),
        "new": ("not validated", "not tried"),
    }
    other = with_checks(board([column("good", version=2)], row("m", good=1.0)), [verdict("good", "holds")])
    assert other.columns[0].check == "not validated"


def test_every_format_says_it() -> None:
    made = checked()
    console = Console(width=120, file=io.StringIO())
    console.print(render_table(made, 120))
    terminal = console.file.getvalue()
    markdown, latex = to_markdown(made), to_latex(made)
    for text in (terminal, markdown):
        assert "bad†" in text and "blind‡" in text and "good†" not in text and "good‡" not in text
        assert "† fails some of what" in text and "‡ not validated" in text
    assert r"bad\textdagger{}" in latex and r"blind\textdaggerdbl{}" in latex
    for text in (markdown, latex):
        assert "fails: 1 of 3 expectations" in text
    lines = {line["column"]: line for line in csv.DictReader(io.StringIO(to_csv(made)))}
    assert lines["bad"]["check"] == "fails" and "blur" in lines["bad"]["check_note"]
    assert '"check": "not validated"' in to_json(made)


def test_the_verdicts_of_the_package_are_those_of_the_committed_report() -> None:
    """`make validate` renews both."""
    report = verdicts_of(read_validation(ROOT / "reports" / "validate-metrics.json"))
    assert shipped_verdicts() == report.verdicts
    assert len(shipped_verdicts()) > 50
