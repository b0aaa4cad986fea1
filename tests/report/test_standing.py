from __future__ import annotations

import math

import pytest
from report_helpers import board, column, row

from thbench.report.standing import standings


def places(direction: str, real: float | None = None, **values: float | None) -> dict[str, int]:
    rows = [row(name, psnr=value) for name, value in values.items()]
    truth = [row("ground-truth", "ground-truth", psnr=real)]
    return standings(board([column(direction=direction)], *truth, *rows))["psnr"]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("higher", {"c": 1, "b": 2}),
        ("lower", {"a": 1, "b": 2}),
        ("closer-to-real", {"b": 1, "a": 2}),
        ("none", {}),
    ],
)
def test_best_and_second_by_direction(direction: str, expected: dict[str, int]) -> None:
    assert places(direction, real=2.1, a=1.0, b=2.0, c=3.5) == expected


def test_ground_truth_and_baselines_do_not_compete() -> None:
    rows = [
        row("ground-truth", "ground-truth", psnr=9.0),
        row("static-portrait", "baseline", psnr=8.0),
        row("x", psnr=1.0),
        row("y", psnr=2.0),
    ]
    assert standings(board([column()], *rows))["psnr"] == {"y": 1, "x": 2}


def test_equal_values_share_a_place_and_the_next_is_left_out() -> None:
    assert places("higher", a=2.0, b=2.0, c=1.0) == {"a": 1, "b": 1}
    assert places("higher", a=3.0, b=2.0, c=2.0) == {"a": 1, "b": 2, "c": 2}


def test_one_method_alone_is_not_best() -> None:
    assert places("higher", a=2.0) == {}
    assert places("higher", a=2.0, b=None) == {}


def test_what_has_no_value_has_no_place() -> None:
    assert places("lower", a=None, b=2.0, c=3.0) == {"b": 1, "c": 2}


def test_infinite_is_a_value() -> None:
    assert places("higher", a=math.inf, b=2.0, c=3.0) == {"a": 1, "c": 2}


@pytest.mark.parametrize("real", [None, math.inf])
def test_nothing_is_closer_to_a_ground_truth_that_is_not_there(real: float | None) -> None:
    assert places("closer-to-real", real=real, a=1.0, b=2.0) == {}
