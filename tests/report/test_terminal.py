from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_helpers import board, cell, column, row
from rich.cells import cell_len
from rich.console import Console

from thbench.report import Leaderboard, render_table

METRICS = ["psnr", "ssim", "m-lmd/eat", "beat-align/g2r", "lip-audio-offset", "pose-diversity/per-clip-std", "jitter"]


def printed(leaderboard: Leaderboard, width: int = 80, *, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colour, color_system="standard" if colour else None)
    console.print(render_table(leaderboard, width))
    return file.getvalue()


def big(variants: int, metrics: int) -> Leaderboard:
    columns = [column(f"{METRICS[i % 7]}{i // 7 or ''}", direction="lower", unit="deg") for i in range(metrics)]
    rows = [
        row(
            f"method-{i}@mini+lightningcp",
            **{
                one.id: cell(1.2345 * 10 ** (k % 9 - 4), low=1e-6, high=2.0 * 10 ** (k % 9 - 4))
                for k, one in enumerate(columns)
            },
        )
        for i in range(variants)
    ]
    return board(columns, row("ground-truth", "ground-truth", **{columns[0].id: math.inf}), *rows)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize(("variants", "metrics"), [(1, 1), (1, 30), (9, 3), (12, 20)])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(variants: int, metrics: int, width: int) -> None:
    text = printed(big(variants, metrics), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert text.count(" 4/4") == variants * metrics + 1


@given(st.integers(20, 120), st.integers(1, 5), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_any_width_is_respected(width: int, variants: int, metrics: int) -> None:
    text = printed(big(variants, metrics), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize(
    "name", ["[bold]x[/bold]", "[/]", "x" * 200, "日本語" * 20, "a\x1b[31mb", "\n", "[link=http://x]y"]
)
def test_names_are_text_and_not_markup(name: str) -> None:
    leaderboard = board(
        [column(name, unit=name)],
        row(name, **{name: cell(1.0, note=name)}),
        row("other", **{name: cell(None, missing={name: 4})}),
        warnings=(name,),
        failures=[{"variant": name, "clip": name, "seed": 0, "error": name}],
    )
    text = printed(leaderboard)
    assert "\x1b" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    if name.startswith("["):
        assert name in text


def test_what_it_says() -> None:
    text = printed(
        board(
            [column("psnr", unit="dB"), column("sync", direction="closer-to-real", unit="ms")],
            row("ground-truth", "ground-truth", psnr=math.inf, sync=0.0),
            row("mine", psnr=cell(30.12, low=28.01, high=32.3), sync=cell(None, missing={"no sound": 4})),
            status="started",
            not_run=3,
        )
    )
    for expected in (
        "psnr ↑ (dB)",
        "sync → (ms)",
        "30.1 4/4",
        "[28.0, 32.3]",
        "— 0/4 a",
        "a  no value: no sound (4)",
        "∞",
    ):
        assert expected in text, expected
    assert "has not ended, or was killed; 3 videos not run" in text
    assert "nan" not in text.lower()


def test_best_is_bold_and_second_underlined() -> None:
    leaderboard = board([column()], row("a", psnr=cell(3.0)), row("b", psnr=cell(2.0)), row("c", psnr=cell(1.0)))
    text = printed(leaderboard, colour=True)
    assert "\x1b[1m3.000\x1b[0m" in text
    assert "\x1b[4m2.000\x1b[0m" in text
    assert "m1.000" not in text


def test_many_failures_are_counted() -> None:
    failures = [{"variant": "v", "clip": f"clip{i}", "seed": 0, "error": "no face"} for i in range(9)]
    text = printed(board([column()], row("v", psnr=None), failures=failures))
    assert text.count("no face") == 5
    assert "and 4 more" in text
    assert "9 videos failed" in text


def test_nothing_to_show() -> None:
    assert printed(board([])).startswith("Mean over videos")
