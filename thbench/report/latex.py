"""The leaderboard as LaTeX tables for a paper; needs the package booktabs.

Letters that pdfLaTeX's default fonts lack are themselves under LuaLaTeX and XeLaTeX, given a font that has them, and
appear as their code points under pdfLaTeX, which would stop at them.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING

from thbench.report import prose
from thbench.report.cost_grid import cost_notes, kinds_of, lay_out_costs, setting_text
from thbench.report.grid import Entry, Grid, Head, Line, clean, lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.report.leaderboard import CostTable, Leaderboard

MOST_COLUMNS = 6
"""Columns that fit a page of a two-column paper beside each other, without the first."""
COMMANDS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\symbol{34}",
    # After a line break, LaTeX takes a star or a bracket for an argument.
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "∞": r"$\infty$",
    "—": r"\textemdash{}",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "µ": r"$\mu$",
    "−": r"$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "…": r"\dots{}",
}
"""Characters that mean something to LaTeX, and those of our own that its default fonts lack."""
ACCENTS = frozenset("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327")
"""Accents that pdfLaTeX sets on any letter of its default fonts."""
LETTERS = frozenset("ÆæŒœØøŁłß")
"""Other letters that these fonts have."""
ANY_LETTER = (
    r"\DeclareRobustCommand{\anyletter}[2]{\ifdefined\Umathcode#2\else{\tiny U+#1}\fi}"
    " % letters that pdfLaTeX lacks"
)
"""Command that shows a letter where the engine knows Unicode, and its code point elsewhere."""


def to_latex(leaderboard: Leaderboard) -> str:
    """Write the leaderboard as `table*` environments, the notes and protocols below the last one."""
    sheet = lay_out(leaderboard, MOST_COLUMNS)
    parts: list[str] = []
    for number, grid in enumerate(sheet.grids, start=1):
        last = number == len(sheet.grids)
        parts.append(
            "\n".join(
                [
                    r"\begin{table*}[t]",
                    r"\centering",
                    rf"\caption{{{_caption(leaderboard, number, ranked=sheet.ranked)}}}",
                    rf"\label{{tab:{_label(leaderboard.name)}-{number}}}",
                    tabular(grid),
                    *([_below(leaderboard, sheet.notes)] if last else []),
                    r"\end{table*}",
                ]
            )
        )
    for number, table in enumerate(leaderboard.costs, start=1):
        parts += [
            "\n".join(
                [
                    r"\begin{table*}[t]",
                    r"\centering",
                    rf"\caption{{{_cost_caption(leaderboard, table, part)}}}",
                    rf"\label{{tab:{_label(leaderboard.name)}-costs-{number}-{part}}}",
                    tabular(grid),
                    r"\end{table*}",
                ]
            )
            for part, grid in enumerate(lay_out_costs(table, kinds_of(leaderboard), MOST_COLUMNS), start=1)
        ]
    return with_preamble("\n\n".join(parts) + "\n")


def with_preamble(text: str) -> str:
    """Put before tables what they need."""
    letters = f"{ANY_LETTER}\n" if r"\anyletter{" in text else ""
    return f"% Needs \\usepackage{{booktabs}}.\n{letters}\n{text}"


def _cost_caption(leaderboard: Leaderboard, table: CostTable, part: int) -> str:
    name = escape(f"{leaderboard.name}, speed and memory")
    if part > 1:
        return f"{name}, continued."
    told = (prose.cost_sentence(leaderboard), *(f"{text.removesuffix('.')}." for text in cost_notes(table)))
    return " ".join([f"{name} ({escape(setting_text(table))}).", *map(escape, told)])


def escape(text: str) -> str:
    r"""Make `text` appear as it is.

    Example:
        >>> escape("50% of a_b--c")
        '50\\% of a\\_b-{}-c'
    """
    written = "".join(COMMANDS.get(c) or _letter(c) for c in clean(text))
    # Two of these in a row would become one other character.
    return re.sub(r"([-',])(?=\1)", r"\1{}", written)


def _letter(c: str) -> str:
    parts = unicodedata.normalize("NFD", c)
    known = c in LETTERS or (parts[0].isascii() and ACCENTS.issuperset(parts[1:]) and len(parts) <= 2)
    return c if known else rf"\anyletter{{{ord(c):04X}}}{{{c}}}"


def _caption(leaderboard: Leaderboard, number: int, *, ranked: bool) -> str:
    if number > 1:
        return f"{escape(leaderboard.name)}, continued."
    sentences = [f"{escape(leaderboard.name)}. {escape(prose.interval_sentence(leaderboard))}"]
    if ranked:
        sentences.append(r"\textbf{Best} and \underline{second best} of the methods.")
    told = prose.rank_sentence(leaderboard), prose.check_sentence(leaderboard)
    sentences += [escape(f"{sentence.removesuffix('.')}.") for sentence in told if sentence]
    if arrows := prose.arrow_sentence(leaderboard):
        sentences.append(f"{escape(arrows)}.")
    if leaderboard.status != "success" or leaderboard.failures or leaderboard.not_run:
        sentences.append(escape(prose.state_of(leaderboard)))
    return " ".join(sentences)


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "run"


def tabular(grid: Grid) -> str:
    """One table without its environment."""
    groups = [list(lines) for _, lines in groupby(grid.lines, key=lambda line: line.head.kind)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'c' * len(grid.heads)}}}",
            r"\toprule",
            " & ".join(["", *(_head(head) for head in grid.heads)]) + r" \\",
            r"\midrule",
            "\n\\midrule\n".join("\n".join(_line(line) for line in group) for group in groups),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _line(line: Line) -> str:
    return " & ".join([_head(line.head), *(_entry(entry) for entry in line.entries)]) + r" \\"


def _head(head: Head) -> str:
    unit = f"({head.unit})" if head.unit else ""
    return escape(" ".join(part for part in (head.name + head.mark, head.arrow, unit) if part))


def _entry(entry: Entry) -> str:
    value = {0: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}[entry.place].format(_number(entry.value))
    mark = rf"\textsuperscript{{{entry.mark}}}" if entry.mark else ""
    below = " ".join(part for part in (_number(entry.interval), entry.counts, escape(entry.rank)) if part)
    return rf"\shortstack{{{value}{mark}\\{{\tiny {below}}}}}" if below else f"{value}{mark}"


def _number(text: str) -> str:
    """A number or an interval; its hyphens are minus signs."""
    return escape(text).replace("-", "$-$")


def _below(leaderboard: Leaderboard, notes: Mapping[str, str]) -> str:
    common = prose.common_context(leaderboard)
    lines = [rf"\textsuperscript{{{mark}}} {escape(note)}." for mark, note in notes.items()]
    lines += [rf"\textbf{{{escape(c.id)}}}: {escape(prose.protocol_of(c, common))}." for c in leaderboard.columns]
    if common is not None:
        lines.append(rf"All columns: {escape(common)}.")
    return (
        "\\par\\vspace{1ex}\\begin{minipage}{\\textwidth}\\scriptsize\n" + "\\par\n".join(lines) + "\n\\end{minipage}"
    )
