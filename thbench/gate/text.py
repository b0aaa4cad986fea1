"""The gate's report for people: a table in the terminal, a Markdown comment for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from thbench.report.grid import clean
from thbench.report.markdown import escape

if TYPE_CHECKING:
    from rich.console import RenderableType

    from thbench.gate.document import Finding, GateReport, Measured, Verdict

STYLES: dict[Verdict, str] = {
    "fine": "green",
    "regression": "bold red",
    "suspected": "red",
    "protocol-check": "magenta",
    "undecided": "yellow",
}
SENTENCES: dict[Verdict, str] = {
    "fine": "Fine: no loss that matters.",
    "regression": "Regression.",
    "suspected": "Cannot tell: a regression is suspected and not confirmed.",
    "protocol-check": "Cannot tell: check the protocol.",
    "undecided": "Cannot tell.",
}


def render(report: GateReport) -> RenderableType:
    """Every finding with its sentence, the gravest first, then the verdict."""
    lines = []
    for finding in report.findings:
        head = Text(f"{finding.verdict:<15}", style=STYLES[finding.verdict])
        head.append(clean(f"{_variant(finding)} / {finding.metric}"), style="not bold default")
        if finding.measured is not None:
            limit = f"  {loss_text(finding)}; matters from {_number(finding.smallest, finding)}"
            head.append(clean(limit), style="not bold default")
        lines.append(head)
        lines += [Text(f"{'':<15}{clean(text)}", style="dim") for text in (finding.why, *finding.notes)]
    lines += [Text(f"Warning: {clean(warning)}", style="yellow") for warning in report.warnings]
    lines.append(Text(f"{SENTENCES[report.verdict]} Exit {int(report.exit_code)}.", style=STYLES[report.verdict]))
    return Group(*lines)


def to_markdown(report: GateReport) -> str:
    """The report as Markdown."""
    lines = [
        f"**{SENTENCES[report.verdict]}** {escape(report.candidate)} against {escape(report.baseline)}"
        + (f" and the anchor {escape(report.anchor)}" if report.anchor else ""),
        "",
        "| verdict | metric | variant | loss | matters from | why |",
        "|:--|:--|:--|:--|:--|:--|",
        *(
            f"| {f.verdict} | {escape(f.metric)} | {escape(_variant(f))} | {escape(loss_text(f))} | "
            f"{escape(_number(f.smallest, f))} | {escape('; '.join((f.why, *f.notes)))} |"
            for f in report.findings
        ),
        "",
        *(f"- {escape(warning)}" for warning in report.warnings),
    ]
    return "\n".join(lines).rstrip() + "\n"


def loss_text(finding: Finding) -> str:
    """Loss and interval; above 0 is worse."""
    if finding.measured is None:
        return "—"
    text = _with_interval(finding.measured, finding)
    return text if finding.confirmation is None else f"{text}; again {_with_interval(finding.confirmation, finding)}"


def _with_interval(measured: Measured, finding: Finding) -> str:
    low, high = (_number(end, finding) for end in (measured.low, measured.high))
    return f"{_number(measured.loss, finding)} [{low}, {high}]"


def _number(value: float, finding: Finding) -> str:
    if finding.relative:
        return f"{value:+.1%}"
    unit = "" if finding.unit == "1" else f" {finding.unit}"
    return f"{value:+.3g}{unit}"


def _variant(finding: Finding) -> str:
    return finding.variant if finding.against == "baseline" else f"{finding.variant} (anchor)"
