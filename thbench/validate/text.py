"""A validation as text: lines for the terminal, and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from thbench.validate.document import MetricVerdict, Response, Validation

STYLES = {"holds": "green", "fails": "bold red", "not measured": "yellow"}
ARROWS = {"rises": "rises", "falls": "falls", "ignores": "stays"}


def number(value: float | None) -> str:
    """Three significant digits; a dash for what does not exist."""
    return "–" if value is None else f"{value:.3g}"


def summary(validation: Validation) -> str:
    """How many metrics hold, fail, and were not measured; in one sentence."""
    count = {kind: sum(v.verdict == kind for v in validation.verdicts) for kind in STYLES}
    return (
        f"{len(validation.verdicts)} metrics: {count['holds']} hold, {count['fails']} fail, "
        f"{count['not measured']} not measured; {validation.frames} frames in {validation.seconds:.0f} s "
        f"with {validation.workers} workers"
    )


def terminal(validation: Validation) -> RenderableType:
    """One line for each metric, and what fails."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in ("metric", "verdict", "expectations", "what fails or was not measured"):
        table.add_column(head, overflow="fold")
    for verdict in validation.verdicts:
        table.add_row(
            verdict.metric,
            Text(verdict.verdict, style=STYLES[verdict.verdict]),
            f"{verdict.held}/{verdict.expected}",
            "\n".join(verdict.reasons),
        )
    failures = [Text(f"failed: {line}", style="red") for line in validation.failures]
    return Group(table, *failures, Text(summary(validation)))


def markdown(validation: Validation) -> str:
    """The whole validation as a Markdown page."""
    return "\n".join(
        [
            "# Do the metrics measure what they say?",
            "",
            summary(validation) + ".",
            "",
            *_how(validation),
            "",
            "## Verdicts",
            "",
            "| metric | verdict | expectations held | what fails or was not measured |",
            "|---|---|---:|---|",
            *(_verdict_row(v) for v in validation.verdicts),
            "",
            "## Degradations",
            "",
            "| name | what | doses | material |",
            "|---|---|---|---|",
            *(
                f"| `{d.name}` | {d.title} | {', '.join(f'{x:.3g}' for x in d.doses)} {d.unit} | {', '.join(d.kinds)} |"
                for d in validation.degradations
            ),
            "",
            *_details(validation),
            *_failures(validation),
        ]
    )


def _how(validation: Validation) -> Iterator[str]:
    yield (
        f"{validation.acted_seconds:g} s of each of {len(validation.acted_clips)} clips of SynthHeads are drawn "
        "afresh from their truth for each degradation; "
        f"{len(validation.sound_clips)} more take part where only the sound changes, and {len(validation.long_clips)} "
        "are joined to one long video. Each clip is its own reference."
    )
    yield ""
    yield (
        "*rises*, *falls*: the Spearman correlation of dose and mean value is at least "
        f"{validation.monotone:g} in that direction. *stays*: the mean absolute change is within the allowed one at "
        "every dose. Expectations were written down from what a metric says it measures. ρ of the weakest clip is the "
        "least correlation within a single clip."
    )


def _failures(validation: Validation) -> Iterator[str]:
    if validation.failures:
        yield "## What could not be made or scored"
        yield ""
        yield from (f"- {line}" for line in validation.failures)
        yield ""


def _verdict_row(verdict: MetricVerdict) -> str:
    shown = f"**{verdict.verdict}**" if verdict.verdict == "fails" else verdict.verdict
    reasons = "<br>".join(_cell(r) for r in verdict.reasons)
    return f"| `{verdict.metric}` | {shown} | {verdict.held}/{verdict.expected} | {reasons} |"


def _details(validation: Validation) -> Iterator[str]:
    yield "## Responses"
    yield ""
    for verdict in validation.verdicts:
        rows = [r for r in validation.responses if r.metric == verdict.metric and r.clips]
        if not rows:
            continue
        yield f"### `{verdict.metric}`"
        yield ""
        yield "| degradation | expected | | mean at each dose | ρ | ρ of the weakest clip | change | allowed | clips |"
        yield "|---|---|---|---|---:|---:|---:|---:|---:|"
        yield from (_response_row(r) for r in rows)
        yield ""


def _response_row(r: Response) -> str:
    expected = ARROWS[r.expected] if r.expected else ""
    verdict = f"**{r.verdict}**" if r.verdict == "fails" else (r.verdict or "")
    means = ", ".join(number(m) for m in r.means)
    numbers = " | ".join(number(x) for x in (r.rho, r.least_rho, r.change, r.allowed))
    return f"| `{r.degradation}` | {expected} | {verdict} | {means} | {numbers} | {r.clips} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
