"""The files: what they say, and that no name can break them."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_helpers import board, cell, column, row

from thbench.report import Leaderboard, latex, markdown, write_files
from thbench.report.grid import clean, lay_out
from thbench.report.latex import to_latex
from thbench.report.markdown import to_markdown
from thbench.report.tidy import FIELDS, to_csv
from thbench.report.write import FORMATS, to_json

HOSTILE = [
    "a&b%c_d#e$f\\g{h}i~j^k|l<m>n",
    "**bold** _it_ `code` [x](http://y) ~~z~~ <script>alert(1)</script>",
    "*",
    "[0.1]",
    "\\",
    "\\\\",
    "\\|",
    "$x^2$",
    "--- -- -",
    "``''\"?`!`<<>>",
    "&amp; &#124; &lt;",
    "|--|--|",
    "日本語 é ∞ — ↑ 🙂",
    "=1+2",
    'comma, "quote"',
    "%",
    "\\end{tabular}",
    "x" * 90,
]
ALL = FORMATS.values()


def full_board(name: str = "x") -> Leaderboard:
    """A leaderboard in which `name` stands wherever somebody's text can stand."""
    return board(
        [
            column(name, title=name, unit=name, protocol=name, source=name, context={"faces": name}),
            column("ssim", direction="lower", context={"faces": name}),
        ],
        row("ground-truth", "ground-truth", **{name: math.inf, "ssim": 0.0}),
        row(name, **{name: cell(30.0, low=28.0, high=32.0), "ssim": cell(None, missing={name: 4})}),
        row("other", **{name: cell(20.0, note=name), "ssim": 0.5}),
        name=name,
        warnings=(name,),
        failures=[{"variant": name, "clip": name, "seed": 0, "error": name}],
    )


class Cells(HTMLParser):
    """Collects the text of table cells, the tables kept apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self.inside = False
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.inside = True
            self.tables[-1][-1].append("")
        elif tag == "br" and self.inside:
            self.tables[-1][-1][-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += data


def rendered(text: str) -> Cells:
    cells = Cells()
    cells.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    return cells


def spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


class TestMarkdown:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_names_appear_as_they_are(self, name: str) -> None:
        cells = rendered(to_markdown(full_board(name)))
        scores, failures = cells.tables
        assert {len(line) for line in scores} == {3}
        assert [spaced(line[0]) for line in scores] == ["", "ground-truth", spaced(name), "other"]
        assert spaced(scores[0][1]) == spaced(f"{name} ↑ ({name})")
        assert [spaced(text) for text in failures[1]] == [spaced(name), spaced(name), "0", spaced(name)]
        assert not cells.tags & {"script", "a", "code", "s"}

    @given(st.text(max_size=30))
    @settings(max_examples=150, deadline=None)
    def test_any_text_stays_in_its_cell(self, text: str) -> None:
        source = f"| a | b |\n|---|---|\n| {markdown.escape(text)} | end |\n"
        (table,) = rendered(source).tables
        assert [spaced(part) for part in table[1]] == [spaced(clean(text)), "end"]

    def test_what_it_says(self) -> None:
        text = to_markdown(full_board())
        assert "**30.0**<br><sub>\\[28.0, 32.0\\] 4/4</sub>" in text
        assert "<u>20.00</u>" in text
        assert "— <sup>a</sup><br><sub>0/4</sub>" in text
        assert "<sup>a</sup> no value: x (4)" in text
        assert "<sup>b</sup> no interval: x" in text
        assert "∞" in text
        assert not re.search(r"\bnan\b|\binf\b", text, flags=re.IGNORECASE)

    def test_places_are_explained_only_where_there_are_any(self) -> None:
        alone = board([column()], row("a", psnr=1.0))
        for write in (to_markdown, to_latex):
            assert "second best" in write(full_board())
            assert "second best" not in write(alone)

    def test_incomplete_runs_say_so_at_the_top(self) -> None:
        text = to_markdown(full_board().model_copy(update={"status": "started", "not_run": 7}))
        assert "has not ended, or was killed; 1 video failed; 7 videos not run." in text.splitlines()[2]


class TestLatex:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_names_cannot_break_the_table(self, name: str) -> None:
        text = to_latex(full_board(name))
        check_latex(text)
        for line in table_lines(text):
            assert len(re.findall(r"(?<!\\)&", line)) == 2, line

    @given(st.text(max_size=30))
    @settings(max_examples=200, deadline=None)
    def test_any_text_can_be_read_back(self, text: str) -> None:
        escaped = latex.escape(text)
        check_latex(escaped)
        assert not re.search(r"--|,,|''|<|>|`", escaped)
        assert unescape(escaped) == clean(text)

    def test_what_it_says(self) -> None:
        text = to_latex(full_board())
        assert r"\textbf{30.0}\\{\tiny {[}28.0, 32.0{]} 4/4}" in text
        assert r"\underline{20.00}\textsuperscript{b}" in text
        assert r"\textemdash{}\textsuperscript{a}" in text
        assert r"$\infty$" in text
        assert r"$\uparrow$" in text
        for command in ("toprule", "midrule", "bottomrule"):
            assert f"\\{command}" in text

    def test_minus_is_a_minus(self) -> None:
        text = to_latex(board([column()], row("a-b", psnr=cell(-1.5, low=-2.0, high=-1.0))))
        assert r"$-$1.50" in text
        assert r"{[}$-$2.00, $-$1.00{]}" in text
        assert "a-b &" in text


def table_lines(text: str) -> list[str]:
    inside = re.findall(r"\\toprule\n(.*?)\\bottomrule", text, flags=re.DOTALL)
    return [line for part in inside for line in part.splitlines() if not line.startswith("\\midrule")]


def check_latex(text: str) -> None:
    """Braces and environments are balanced, and every special character belongs to a command or table that we wrote."""
    text = text.replace(f"{latex.ANY_LETTER}\n", "")
    depth = 0
    for token in re.findall(r"\\[a-zA-Z]+|\\.|[{}]", text, flags=re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0
    opened = re.findall(r"\\begin\{(\w+\*?)\}", text)
    closed = re.findall(r"\\end\{(\w+\*?)\}", text)
    assert sorted(opened) == sorted(closed)
    bare = re.sub(r"\\[a-zA-Z]+|\\.", "", text, flags=re.DOTALL)
    assert text.startswith("%") == ("%" in bare)
    assert bare.count("%") <= 1
    assert not re.search(r"[#_~^<>|\"`]", bare)
    assert bare.count("$") % 2 == 0
    assert not re.search(r"\\\\\s*[\[*]", text), "a line break takes what follows for its argument"


def unescape(text: str) -> str:
    """The inverse of `latex.escape`, written against LaTeX's own rules and not against ours."""
    words = {
        "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">",
        "textbar": "|", "textasciigrave": "`", "uparrow": "↑", "downarrow": "↓", "rightarrow": "→", "infty": "∞",
        "textemdash": "—", "textdagger": "†", "textdaggerdbl": "‡", "times": "×", "pm": "±", "mu": "µ", "geq": "≥",
        "leq": "≤", "dots": "…",
    }  # fmt: skip
    text = re.sub(r"\\anyletter\{[0-9A-F]+\}\{(.)\}", lambda m: f"\0{ord(m[1]):x};", text, flags=re.DOTALL)
    text = text.replace("$-$", f"\0{ord('−'):x};")
    text = text.replace(r"\symbol{34}", '"')
    text = re.sub(r"(?<!\\)\$(\\[a-z]+)(?<!\\)\$", r"\1{}", text)
    text = re.sub(r"\\([a-zA-Z]+)\{\}", lambda m: f"\0{ord(words[m[1]]):x};", text)
    text = re.sub(r"\\([^a-zA-Z])", lambda m: f"\0{ord(m[1]):x};", text)
    text = re.sub(r"[{}]", "", text)
    return re.sub("\0([0-9a-f]+);", lambda m: chr(int(m[1], 16)), text)


class TestCsv:
    @pytest.mark.parametrize("name", [*HOSTILE, "two\nlines", "carriage\r\nreturn", "\tx", "'"])
    def test_names_come_back(self, name: str) -> None:
        lines = list(csv.DictReader(io.StringIO(to_csv(full_board(name)), newline="")))
        assert len(lines) == 6
        assert {line["variant"] for line in lines} == {"ground-truth", name, "other"}
        assert {line["column"] for line in lines} == {name, "ssim"}
        assert lines[0]["unit"] == name
        assert all(set(line) == set(FIELDS) for line in lines)

    def test_numbers_have_full_precision_and_what_is_unknown_is_empty(self) -> None:
        value = 0.1 + 0.2
        leaderboard = board(
            [column()], row("a", psnr=cell(value, low=-math.inf, high=math.inf, method="t")), row("b", psnr=None)
        )
        a, b = csv.DictReader(io.StringIO(to_csv(leaderboard)))
        assert float(a["value"]) == value
        assert (float(a["low"]), float(a["high"]), a["interval"], a["level"]) == (-math.inf, math.inf, "t", "0.95")
        assert (b["value"], b["low"], b["scored"], b["total"], b["missing"]) == ("", "", "0", "4", "failed (4)")


class TestJson:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_comes_back(self, name: str) -> None:
        leaderboard = full_board(name)
        text = to_json(leaderboard)
        json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        assert Leaderboard.model_validate_json(text) == leaderboard


class TestLayout:
    def shape(self, variants: int, metrics: int, most: int = 6) -> list[tuple[int, int]]:
        columns = [column(f"m{i}") for i in range(metrics)]
        rows = [row(f"v{i}", **{one.id: 1.0 for one in columns}) for i in range(variants)]
        return [(len(grid.lines), len(grid.heads)) for grid in lay_out(board(columns, *rows), most).grids]

    @pytest.mark.parametrize(
        ("variants", "metrics", "expected"),
        [
            (10, 6, [(10, 6)]),
            (2, 30, [(30, 2)]),
            (9, 8, [(9, 4), (9, 4)]),
            (9, 13, [(13, 4), (13, 5)]),
            (1, 1, [(1, 1)]),
            (3, 0, []),
            (0, 3, []),
        ],
    )
    def test_few_tables_papers_way_round_where_it_fits(self, variants, metrics, expected) -> None:
        assert self.shape(variants, metrics) == expected

    @given(st.integers(1, 14), st.integers(1, 14), st.integers(1, 7))
    @settings(max_examples=40, deadline=None)
    def test_every_cell_is_there_once_and_no_table_is_too_wide(self, variants: int, metrics: int, most: int) -> None:
        shape = self.shape(variants, metrics, most)
        assert sum(lines * heads for lines, heads in shape) == variants * metrics
        assert all(heads <= most for _, heads in shape)

    def test_equal_notes_share_a_letter_and_letters_do_not_run_out(self) -> None:
        rows = [row(f"v{i}", psnr=cell(None, missing={f"reason {i // 2}": 4})) for i in range(60)]
        sheet = lay_out(board([column()], *rows), 6)
        assert len(sheet.notes) == 30
        assert list(sheet.notes)[:2] == ["a", "b"]
        assert list(sheet.notes)[-1] == "ad"
        marks = [line.entries[0].mark for line in sheet.grids[0].lines]
        assert marks[:4] == ["a", "a", "b", "b"]

    def test_cells_that_were_never_asked_for_say_so(self) -> None:
        leaderboard = board([column("a"), column("b")], row("v", a=1.0), row("w", b=1.0))
        sheet = lay_out(leaderboard, 6)
        assert sheet.grids[0].lines[0].entries[1].value == "—"
        assert "not part of this row's plan" in sheet.notes.values()


@pytest.mark.parametrize("write", ALL)
@pytest.mark.parametrize(
    "leaderboard", [board([]), board([column()]), board([], row("v"))], ids=["none", "column", "row"]
)
def test_a_leaderboard_of_nothing_can_be_written(write, leaderboard: Leaderboard) -> None:
    assert write(leaderboard).endswith("\n")


def test_all_files_are_written(tmp_path) -> None:
    write_files(full_board(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FORMATS)


def test_control_characters_and_turned_text_do_not_reach_the_tables() -> None:
    nasty = "a\x1b[31m\x00\nb\u202ec\u2028d"
    for text in (to_markdown(full_board(nasty)), to_latex(full_board(nasty))):
        assert not set(text) & set("\x1b\x00\u202e\u2028")
    assert html.escape(clean(nasty)) == "a\ufffd[31m\ufffd b\ufffdc d"
