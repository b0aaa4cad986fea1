"""Ranks of a leaderboard: who is told apart, in which columns, and what comparisons could find."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from report_helpers import metric, recipe, record, run_info

from thbench.report import Leaderboard
from thbench.report.aggregate import aggregate
from thbench.report.contrast import Evidence, contrast
from thbench.report.grid import lay_out
from thbench.report.latex import to_latex
from thbench.report.markdown import to_markdown
from thbench.report.tidy import to_csv
from thbench.spec import SetStatistic
from thbench.types import GROUND_TRUTH

CLIPS = 24


def leaderboard_of(values: dict[str, Any], direction: str = "higher", **changes: Any) -> Leaderboard:
    """One column `psnr`; two clips of each person."""
    plan = recipe(metrics={"psnr": metric("psnr", direction=direction)})
    records = [
        record(f"{name}-{i}", float(v), variant=name, clip=f"c{i}", identity=f"p{i // 2}", recipe=plan.key)
        for name, several in values.items()
        for i, v in enumerate(several)
    ]
    kinds = {"static": "baseline"}
    return aggregate(records, run_info(plan, kinds=kinds), **changes)


def ranks(board: Leaderboard) -> dict[str, int | None]:
    return {row.variant: row.cells["psnr"].rank for row in board.rows}


def draws(*means: float, spread: float = 1.0, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    hard = rng.normal(scale=8, size=CLIPS)
    return [30 + mean + hard + spread * rng.normal(size=CLIPS) for mean in means]


def test_methods_that_are_not_told_apart_share_a_rank() -> None:
    a, b, c = draws(5.0, 5.05, 0.0)
    board = leaderboard_of({"a": a, "b": b, "c": c})
    assert ranks(board) == {"a": 1, "b": 1, "c": 3}
    assert board.comparisons == 3


def test_the_difficulty_of_clips_does_not_hide_a_difference() -> None:
    """Intervals of the two means overlap almost wholly; paired, the difference is plain."""
    a, b = draws(1.0, 0.0, spread=0.1)
    board = leaderboard_of({"a": a, "b": b})
    first, second = (board.row(name).cells["psnr"] for name in "ab")
    assert first.low < second.value < first.high
    assert ranks(board) == {"a": 1, "b": 2}


@pytest.mark.parametrize(("direction", "expected"), [("higher", {"a": 1, "b": 2}), ("lower", {"a": 2, "b": 1})])
def test_direction(direction: str, expected: dict[str, int]) -> None:
    a, b = draws(5.0, 0.0)
    assert ranks(leaderboard_of({"a": a, "b": b}, direction)) == expected


def test_nothing_is_ranked_without_direction_or_rival() -> None:
    a, b = draws(5.0, 0.0)
    assert ranks(leaderboard_of({"a": a, "b": b}, "none")) == {"a": None, "b": None}
    board = leaderboard_of({"a": a})
    assert (ranks(board), board.comparisons, board.columns[0].detectable) == ({"a": None}, 0, None)


def test_baselines_and_the_ground_truth_do_not_compete() -> None:
    a, b = draws(5.0, 0.0)
    board = leaderboard_of({GROUND_TRUTH: a + 9, "static": a + 5, "a": a, "b": b})
    assert ranks(board) == {GROUND_TRUTH: None, "static": None, "a": 1, "b": 2}


def test_closer_to_real_ranks_by_the_distance_from_the_ground_truth() -> None:
    real, near, far, other_side = draws(0.0, 0.5, 4.0, -4.0, spread=0.3)
    values = {GROUND_TRUTH: real, "near": near, "far": far, "other-side": other_side}
    board = leaderboard_of(values, "closer-to-real")
    assert ranks(board) == {GROUND_TRUTH: None, "near": 1, "far": 2, "other-side": 2}


def test_holm_is_over_the_whole_table() -> None:
    """A difference that one comparison tells apart is lost among forty columns of noise."""
    rng = np.random.default_rng(5)
    a, b = draws(0.62, 0.0)
    alone = leaderboard_of({"a": a, "b": b})
    assert ranks(alone) == {"a": 1, "b": 2}
    names = ["psnr", *(f"m{i}" for i in range(60))]
    plan = recipe(metrics={name: metric(name) for name in names})
    records = [
        record(
            f"{variant}-{i}",
            variant=variant,
            clip=f"c{i}",
            identity=f"p{i // 2}",
            recipe=plan.key,
            values={"psnr": float(v), **{name: float(rng.normal()) for name in names[1:]}},
        )
        for variant, several in {"a": a, "b": b}.items()
        for i, v in enumerate(several)
    ]
    board = aggregate(records, run_info(plan))
    assert board.comparisons == 61
    assert ranks(board) == {"a": 1, "b": 1}


def test_false_differences_are_rare_in_a_table_of_equal_methods() -> None:
    wrong = 0
    for seed in range(60):
        values = dict(zip("abcd", draws(0.0, 0.0, 0.0, 0.0, seed=seed), strict=True))
        wrong += len(set(ranks(leaderboard_of(values, resamples=99)).values())) > 1
    assert wrong <= 7  # 5 % of 60 tables are 3; more than 7 of them has a chance of 1 in 70.


def test_what_comparisons_could_find_shrinks_with_their_noise() -> None:
    few = leaderboard_of(dict(zip("ab", draws(0.0, 0.0, spread=2.0), strict=True))).columns[0].detectable
    many = leaderboard_of(dict(zip("ab", draws(0.0, 0.0, spread=0.2), strict=True))).columns[0].detectable
    assert few is not None and many is not None
    assert 0.5 < few / 2 < 3
    assert many == pytest.approx(few / 10, rel=0.01)


def test_order_and_shards_change_nothing() -> None:
    values = dict(zip("abc", draws(1.0, 0.9, 0.0), strict=True))
    turned = {name: values[name] for name in "cab"}
    assert leaderboard_of(values) == leaderboard_of(turned)


class TestContrast:
    def test_sets_are_compared_by_leaving_out_identities(self) -> None:
        names = [f"p{i}" for i in range(6)]
        units = {(name, 0): name for name in names}
        a = Evidence(identities=units, number=10.0, left_out={n: 10 + 0.1 * i for i, n in enumerate(names)})
        b = Evidence(identities=units, number=12.0, left_out={n: 12 + 0.1 * i for i, n in enumerate(names)})
        found = contrast(a, b, "lower")
        assert found.estimate is not None and found.estimate.interval is not None
        assert (found.estimate.value, found.estimate.error) == (2.0, pytest.approx(0, abs=1e-12))
        assert found.p == pytest.approx(0, abs=1e-9)
        assert contrast(a, b, "higher").estimate.value == -2.0
        other = Evidence(identities={("x", 0): "p0"}, number=12.0, left_out=b.left_out)
        assert "in one row only" in (contrast(a, other, "lower").reason or "")
        assert contrast(a, Evidence(), "lower").reason == "one of the rows has no value"

    def test_equal_infinities_are_no_difference(self) -> None:
        units = {("x", 0): "ann", ("y", 0): "bob"}
        a = Evidence(values=dict.fromkeys(units, math.inf), identities=units)
        found = contrast(a, a, "higher")
        assert found.estimate is not None
        assert (found.estimate.value, found.p, found.pairs) == (0.0, 1.0, 2)

    def test_nothing_in_common(self) -> None:
        a = Evidence(values={("x", 0): 1.0}, identities={("x", 0): "ann"})
        b = Evidence(values={("y", 0): 1.0}, identities={("y", 0): "ann"})
        found = contrast(a, b, "lower")
        assert (found.estimate, found.only_a, found.only_b) == (None, 1, 1)


def test_sets_get_ranks_and_kid_an_interval() -> None:
    kid = SetStatistic(kind="kid", extractor="e", reference="e", subsets="shrinking")
    plan = recipe(metrics={"kid": metric("kid", direction="lower", statistic=kid)})
    rng = np.random.default_rng(7)
    features = {
        f"{name}-{i}": (rng.normal(size=(8, 3)) + shift).astype(np.float32)
        for name, shift in ((GROUND_TRUTH, 0.0), ("a", 0.3), ("b", 2.0))
        for i in range(10)
    }
    records = [
        record(
            key, None, variant=key[:-2], clip=f"c{key[-1]}", identity=f"p{key[-1]}", recipe=plan.key, features={"e": 8}
        )
        for key in features
    ]
    board = aggregate(records, run_info(plan), features=lambda extractor, key: features[key])
    a, b = (board.row(name).cells["kid"] for name in "ab")
    assert (a.rank, b.rank) == (1, 2)
    assert a.method == "jackknife-t" and a.low < a.value < a.high < b.low < b.value < b.high


def test_every_format_shows_ranks() -> None:
    board = leaderboard_of(dict(zip("abc", draws(5.0, 5.0, 0.0), strict=True)))
    entries = [entry.rank for grid in lay_out(board, 6).grids for line in grid.lines for entry in line.entries]
    assert sorted(entries) == ["#1", "#1", "#3"]
    assert "24/24 \\#3" in to_markdown(board)
    assert "share one" in to_markdown(board) and "3 comparisons" in to_markdown(board)
    assert r"24/24 \#3" in to_latex(board)
    lines = to_csv(board).splitlines()
    column = lines[0].split(",").index("rank")
    assert [line.split(",")[column] for line in lines[1:]] == ["1", "1", "3"]


def test_a_leaderboard_of_version_1_is_still_read() -> None:
    board = json.loads(leaderboard_of(dict(zip("ab", draws(5.0, 0.0), strict=True))).model_dump_json())
    board["schema_version"] = 1
    del board["comparisons"]
    for column in board["columns"]:
        for name in ("detectable", "check", "check_note"):
            del column[name]
    for row in board["rows"]:
        for cell in row["cells"].values():
            del cell["rank"]
            cell["method"] = "t"
    old = Leaderboard.model_validate_json(json.dumps(board))
    assert old.schema_version == 1 and old.row("a").cells["psnr"].rank is None
    assert "#1" not in to_markdown(old)
