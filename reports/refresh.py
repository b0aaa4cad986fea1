"""Refreshes the committed reports of suites, and the mini suite's table and figures in the README between two marks.

Given a run folder, the report of its suite is made from that run; without one, the files of all are made again from the
data beside them, which is what a change of their look needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from thbench.cli import main as thbench
from thbench.report.figures import FigureIndex, draw_all
from thbench.report.figures.collect import figure_data
from thbench.report.grid import lay_out
from thbench.report.markdown import escape
from thbench.report.reading import read_leaderboard
from thbench.report.site.build import read_data, write_data, write_pages
from thbench.report.write import write_files
from thbench.validate.document import read_validation

ROOT = Path(__file__).resolve().parent.parent
REPORTS = {"mini": 2, "acceleration": 0}
"""Suites whose reports are committed, each in a folder of its name, and clips whose videos are shown."""
REPORT = ROOT / "reports" / "mini"
"""Of the README."""
VALIDATION = ROOT / "reports" / "validate-metrics.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- result of the mini suite: made by make reports -->", "<!-- end of the result -->"
SHOWN = (
    "lse-c/mini",
    "lip-audio-corr",
    "csim/mini/whole-frame/portrait",
    "fvd/mini",
    "m-lmd/eat",
    "pose-div/deg",
    "ssim",
)
"""Metrics of the table in the README, as far as the run has them."""
FIGURES = ("frames-1", "pareto-speed", "lip-curves", "distributions", "pareto")
"""Figures of the README: the first two of these that there are."""


def table() -> str:
    """The headline metrics that have values, as a Markdown table with intervals."""
    board = read_leaderboard(REPORT / "leaderboard.json")
    filled = {id_ for row in board.rows for id_, cell in row.cells.items() if cell.value is not None}
    columns = tuple(
        sorted((c for c in board.columns if c.id in filled and c.id in SHOWN), key=lambda c: SHOWN.index(c.id))
    )
    (grid,) = lay_out(board.model_copy(update={"columns": columns}), max(len(columns), len(board.rows))).grids
    lines = ["| |" + "".join(f" {escape(h.name)} {h.arrow} |" for h in grid.heads), "|:--|" + "--:|" * len(grid.heads)]
    for line in grid.lines:
        entries = "".join(f" {e.value}<br><sub>{escape(e.interval)} {e.counts}</sub> |" for e in line.entries)
        lines.append(f"| {escape(line.head.name)} |{entries}")
    return "\n".join(lines)


def pictures() -> str:
    """Two figures, each with what it shows."""
    index = read_data(REPORT).figures or FigureIndex()
    there = {Path(drawn.png).stem: drawn for drawn in index.drawn}
    shown = [there[name] for name in FIGURES if name in there][:2]
    return "\n\n".join(f"![{d.title}](reports/mini/{d.png})\n\n{d.title}: {d.caption}" for d in shown)


def readme() -> str:
    """The README with the present result."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks the marks {BEGIN!r} and {END!r}; put them back")
    return f"{before}{BEGIN}\n\n" + "\n\n".join(part for part in (table(), pictures()) if part) + f"\n\n{END}{after}"


def refresh(run: str | None) -> None:
    """Make the reports, then the README."""
    if run is None:
        for suite in REPORTS:
            remake(ROOT / "reports" / suite)
    else:
        suite = read_leaderboard(Path(run) / "leaderboard.json").name
        if suite not in REPORTS:
            raise SystemExit(f"{run} is a run of {suite!r}; reports are committed of {', '.join(REPORTS)}")
        options = ["--validation", str(VALIDATION)] if VALIDATION.is_file() else []
        out, clips = str(ROOT / "reports" / suite), str(REPORTS[suite])
        code = thbench(["report", run, "--out", out, "--clips", clips, *options])
        if code:
            raise SystemExit(code)
    README.write_text(readme(), encoding="utf-8")


def remake(report: Path) -> None:
    """Make the files of a report again from the data beside them."""
    data = read_data(report)
    inputs = (data.figures or FigureIndex()).inputs
    validation = read_validation(VALIDATION) if VALIDATION.is_file() else None
    index = draw_all(figure_data(data, inputs, report, validation=validation), report)
    data = data.model_copy(update={"figures": index})
    write_files(data.leaderboard, report)
    write_data(data, report)
    write_pages(data, report)


if __name__ == "__main__":
    refresh(sys.argv[1] if len(sys.argv) > 1 else None)
