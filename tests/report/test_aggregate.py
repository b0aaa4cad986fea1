from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_helpers import MACHINE, RECIPE, metric, planned, recipe, record, run_info

from thbench.errors import UsageError
from thbench.report import Leaderboard, aggregate
from thbench.report.write import leaderboard_of
from thbench.run.info import RunInfo, join
from thbench.run.store import RunStore, merge
from thbench.types import GROUND_TRUTH, Record

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run-v1"
TWO = recipe("psnr", "ssim")
OTHER = recipe("psnr", "ssim", fps=30)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@st.composite
def runs(draw: st.DrawFn) -> tuple[RunInfo, list[Record]]:
    """A run with several variants, recipes, identities and seeds, and every way to have no value."""
    number = st.floats(-1e6, 1e6) | st.just(math.inf) | st.just(math.nan)
    records, plan = [], []
    for i in range(draw(st.integers(1, 24))):
        chosen = draw(st.sampled_from([TWO, OTHER]))
        where = {
            "variant": draw(st.sampled_from([GROUND_TRUTH, "a", "b"])),
            "clip": f"c{draw(st.integers(0, 9))}",
            "identity": draw(st.sampled_from("xyz")),
            "seed": draw(st.integers(0, 1)),
            "recipe": chosen.key,
        }
        if draw(st.booleans()):
            plan.append(planned(f"k{i}", **where))
        if draw(st.integers(0, 4)):
            values = draw(st.dictionaries(st.sampled_from(["psnr", "ssim"]), number))
            records.append(
                record(
                    f"k{i}",
                    **where,
                    status=draw(st.sampled_from(["ok", "ok", "failed"])),
                    error="e",
                    values=values,
                    missing={
                        name: draw(st.sampled_from(["r1", "r2"])) for name in ("psnr", "ssim") if name not in values
                    },
                    counts={"frames": draw(st.integers(1, 10_000))},
                    warnings=draw(st.sampled_from([(), ("w1",), ("w1", "w2")])),
                    attempt=draw(st.integers(0, 2)),
                )
            )
    return run_info(TWO, OTHER, planned=plan), records


def text(leaderboard: Leaderboard) -> str:
    return leaderboard.model_dump_json(indent=1)


@given(runs(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_order_of_records_and_plan_does_not_matter(run: tuple[RunInfo, list[Record]], shuffle: random.Random) -> None:
    info, records = run
    entries, turned = list(info.planned), list(records)
    shuffle.shuffle(entries)
    shuffle.shuffle(turned)
    shuffled = info.model_copy(update={"planned": tuple(entries), "recipes": dict(reversed(info.recipes.items()))})
    assert text(aggregate(turned, shuffled, resamples=99)) == text(aggregate(records, info, resamples=99))


@given(runs(), st.lists(st.integers(0, 3), min_size=24, max_size=24), st.permutations(range(4)))
@settings(max_examples=15, deadline=None)
def test_sharding_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, run: tuple[RunInfo, list[Record]], shard_of: list[int], order: list[int]
) -> None:
    """Through the run folders: any split of plan and records over several runs, merged in any order."""
    info, records = run
    folders = [tmp_path_factory.mktemp("shards") / f"s{i}" for i in range(4)]
    by_key = dict(zip(sorted({r.key for r in records} | {p.key for p in info.planned}), shard_of, strict=False))
    for i, folder in enumerate(folders):
        mine = tuple(entry for entry in info.planned if by_key[entry.key] == i)
        with RunStore.create(folder, info.model_copy(update={"planned": mine})) as store:
            for one in records:
                if by_key[one.key] == i:
                    store.append(one)
    merged = merge([folders[i] for i in order])
    parts = aggregate(merged.records, merged.info, resamples=99)
    assert text(parts) == text(aggregate(records, join([info]), resamples=99))


@given(runs())
@settings(max_examples=60, deadline=None)
def test_every_video_is_accounted_for(run: tuple[RunInfo, list[Record]]) -> None:
    info, records = run
    leaderboard = aggregate(records, info, resamples=99)
    for row in leaderboard.rows:
        for cell in row.cells.values():
            assert cell.scored + sum(cell.missing.values()) == cell.total
            assert (cell.value is None) == (cell.scored == 0)
            assert cell.value is None or not math.isnan(cell.value)
    assert len(leaderboard.failures) == sum(one.status == "failed" for one in records)
    assert Leaderboard.model_validate_json(leaderboard.model_dump_json()) == leaderboard


class TestDenominator:
    def test_what_has_no_value_stays_in_it_with_its_reason(self) -> None:
        records = [
            record("a", 10.0),
            record("b", 20.0),
            record("c", None, status="failed", error="no frames"),
            record("d", None, missing={"psnr": "no reference"}),
            record("e", math.nan),
            record("f", None),
            record("g", 99.0, status="failed", error="died at the end"),
        ]
        cell = aggregate(records, run_info(planned=[planned(k) for k in "abcdefgh"])).row("v").cells["psnr"]
        assert (cell.value, cell.scored, cell.total) == (15.0, 2, 8)
        assert cell.missing == {"failed": 2, "no reference": 1, "not a number": 1, "not recorded": 1, "not run": 1}

    def test_a_run_that_was_killed_at_once_has_a_row_without_numbers(self) -> None:
        leaderboard = aggregate([], run_info(planned=[planned("a"), planned("b")]))
        cell = leaderboard.row("v").cells["psnr"]
        assert (cell.value, cell.scored, cell.total, leaderboard.not_run) == (None, 0, 2, 2)

    def test_length_of_a_clip_has_no_weight(self) -> None:
        records = [record("a", 0.0, counts={"frames": 10_000}), record("b", 1.0, counts={"frames": 10})]
        assert aggregate(records, run_info()).row("v").cells["psnr"].value == 0.5

    def test_a_video_scored_under_two_recipes_of_one_column_counts_once(self) -> None:
        """As when a metric was added and the run repeated: the old metric is the same number."""
        records = [
            record("a1", 1.0, clip="a", recipe=RECIPE.key),
            record("a2", 1.0, clip="a", recipe=TWO.key, values={"psnr": 1.0, "ssim": 0.5}),
            record("b2", None, clip="b", recipe=TWO.key, values={"psnr": 3.0, "ssim": 0.7}),
            record("b1", None, clip="b", status="failed"),
        ]
        leaderboard = aggregate(records, run_info(RECIPE, TWO))
        psnr, ssim = leaderboard.row("v").cells["psnr"], leaderboard.row("v").cells["ssim"]
        assert (psnr.value, psnr.scored, psnr.total) == (2.0, 2, 2)
        assert (ssim.value, ssim.scored, ssim.total) == (0.6, 2, 2)

    def test_seeds_are_videos_of_their_own(self) -> None:
        records = [record(f"a{seed}", float(seed), clip="a", identity="i", seed=seed) for seed in range(3)]
        cell = aggregate(records, run_info()).row("v").cells["psnr"]
        assert (cell.value, cell.scored, cell.identities, cell.note) == (1.0, 3, 1, "only one identity")


class TestColumns:
    @pytest.mark.parametrize(
        "other",
        [
            recipe(metrics={"psnr": metric(protocol="psnr/y")}),
            recipe(metrics={"psnr": metric(version=2)}),
            recipe(metrics={"psnr": metric(unit="1")}),
            recipe(metrics={"psnr": metric(direction="lower")}),
            recipe(fps=30),
            recipe(faces="g"),
            recipe(decoder="e"),
            recipe(resampler="s"),
            recipe(missing_face="fail"),
        ],
    )
    def test_other_protocols_never_share_a_column(self, other) -> None:
        records = [record("a", 1.0), record("b", 3.0, recipe=other.key)]
        leaderboard = aggregate(records, run_info(RECIPE, other))
        assert len(leaderboard.columns) == 2
        assert {one.metric for one in leaderboard.columns} == {"psnr"}
        assert all(one.id.startswith("psnr@") for one in leaderboard.columns)
        assert sorted(cell.value for cell in leaderboard.row("v").cells.values()) == [1.0, 3.0]

    def test_words_for_people_make_no_other_column(self) -> None:
        other = recipe(metrics={"psnr": metric(title="PSNR!", source="better source", low=0)})
        leaderboard = aggregate([record("a", 1.0), record("b", 3.0, recipe=other.key)], run_info(RECIPE, other))
        assert [one.id for one in leaderboard.columns] == ["psnr"]

    def test_a_row_has_cells_only_where_it_was_to_be_scored(self) -> None:
        other = recipe("ssim")
        records = [record("a"), record("b", variant="w", recipe=other.key, values={"ssim": 1.0})]
        leaderboard = aggregate(records, run_info(RECIPE, other))
        assert set(leaderboard.row("v").cells) == {"psnr"}
        assert set(leaderboard.row("w").cells) == {"ssim"}

    def test_recipes_that_nothing_refers_to_make_no_column(self) -> None:
        assert len(aggregate([record("a")], run_info(RECIPE, OTHER)).columns) == 1

    def test_metrics_keep_the_order_of_the_recipe(self) -> None:
        names = ("z", "a", "m")
        chosen = recipe(*names)
        leaderboard = aggregate([record("a", recipe=chosen.key)], run_info(chosen))
        assert tuple(one.id for one in leaderboard.columns) == names

    def test_an_unknown_recipe_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="refers to the recipe 'nope'"):
            aggregate([record("a", recipe="nope")], run_info())

    def test_a_record_without_recipe_takes_that_of_the_plan_or_the_only_one(self) -> None:
        failed = record("a", None, status="failed", recipe="")
        assert aggregate([failed], run_info()).row("v").cells["psnr"].total == 1
        entry = planned("a", recipe=OTHER.key)
        leaderboard = aggregate([failed], run_info(RECIPE, OTHER, planned=[entry]))
        assert set(leaderboard.row("v").cells) == {"psnr", "ssim"}
        with pytest.raises(UsageError, match="refers to the recipe ''"):
            aggregate([failed], run_info(RECIPE, OTHER))


class TestRows:
    def test_ground_truth_first_then_baselines_then_methods(self) -> None:
        names = ["zeta", "static-portrait", GROUND_TRUTH, "alpha", "mouth-warp"]
        info = run_info(kinds={"static-portrait": "baseline", "mouth-warp": "baseline"})
        leaderboard = aggregate([record(name, variant=name) for name in names], info)
        assert [row.variant for row in leaderboard.rows] == [
            GROUND_TRUTH, "mouth-warp", "static-portrait", "alpha", "zeta",
        ]  # fmt: skip
        assert [row.kind for row in leaderboard.rows] == ["ground-truth", "baseline", "baseline", "method", "method"]

    def test_failures_are_listed_with_their_error(self) -> None:
        (failure,) = aggregate([record("a", None, status="failed", error="no frames", seed=3)], run_info()).failures
        assert (failure.variant, failure.clip, failure.seed, failure.error) == ("v", "a", 3, "no frames")


class TestNumbers:
    def test_ground_truth_that_equals_itself(self) -> None:
        cell = aggregate([record(k, math.inf) for k in "abc"], run_info()).row("v").cells["psnr"]
        assert (cell.value, cell.low, cell.high) == (math.inf, math.inf, math.inf)

    def test_intervals_stay_in_the_range_of_the_metric(self) -> None:
        bounded = recipe(metrics={"psnr": metric(low=0, high=1)})
        records = [record(k, v, recipe=bounded.key) for k, v in zip("abcd", [1.0, 0.99, 1.0, 0.4], strict=True)]
        cell = aggregate(records, run_info(bounded)).row("v").cells["psnr"]
        assert cell.high == 1
        assert cell.low is not None
        assert cell.low >= 0

    def test_infinities_of_both_signs_have_no_mean(self) -> None:
        cell = aggregate([record("a", math.inf), record("b", -math.inf)], run_info()).row("v").cells["psnr"]
        assert (cell.value, cell.scored) == (None, 2)
        assert cell.note


class TestWarnings:
    def test_warnings_of_videos_are_counted(self) -> None:
        records = [record("a", warnings=("w",)), record("b", warnings=("w",)), record("c")]
        assert aggregate(records, run_info(), warnings=["file x"]).warnings == ("file x", "w (2 videos)")

    def test_values_without_a_column_are_named(self) -> None:
        (warning,) = aggregate([record("a", values={"psnr": 1.0, "new": 1.0})], run_info()).warnings
        assert "'new'" in warning

    def test_other_installations_are_named(self) -> None:
        other = MACHINE.model_copy(update={"thbench": "2.0", "packages": {"numpy": "3"}})
        joined = join([run_info(), run_info(environment=other, attempts=[])])
        info = joined.begun(workers=1, started=NOON, on=MACHINE).begun(workers=1, started=NOON, on=other)
        text = " ".join(aggregate([record("a")], info).warnings)
        assert "1.0, 2.0" in text
        assert "versions of packages" in text


def test_two_records_of_one_key_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="two records have the key 'a'"):
        aggregate([record("a"), record("a")], run_info())


def test_time_of_all_starts_is_added_and_unknown_if_one_was_killed() -> None:
    info = run_info()
    for seconds in (10.0, 5.0):
        info = info.begun(workers=1, started=NOON, on=MACHINE).ended("success", ended=NOON, seconds=seconds)
    assert aggregate([], info).seconds == 15
    killed = info.begun(workers=1, started=NOON, on=MACHINE)
    assert (aggregate([], killed).seconds, aggregate([], killed).attempts) == (None, 3)


def test_a_run_folder_of_schema_version_1_still_gives_its_numbers() -> None:
    expected = json.loads((FIXTURE / "expected.json").read_text(encoding="utf-8"))
    leaderboard = json.loads(leaderboard_of(RunStore.open(FIXTURE).read()).model_dump_json())
    assert leaderboard["failures"] == expected["failures"]
    assert leaderboard["not_run"] == expected["not_run"] == 1
    assert [row["variant"] for row in leaderboard["rows"]] == [row["variant"] for row in expected["rows"]]
    for row, known in zip(leaderboard["rows"], expected["rows"], strict=True):
        for name, cell in known["cells"].items():
            for field, value in cell.items():
                same = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
                assert row["cells"][name][field] == same, (row["variant"], name, field)
