"""Numbers of sets of videos: oracle, order, floor, interval, and sets that say nothing."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from report_helpers import metric, planned, recipe, record, run_info

from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import DegenerateSetError, moments
from thbench.report import sets
from thbench.report.aggregate import aggregate
from thbench.report.sets import Member, set_number
from thbench.spec import SetStatistic
from thbench.stats.student import student_quantile
from thbench.types import GROUND_TRUTH

FRECHET = SetStatistic(kind="frechet", extractor="e", reference="r", ddof=1)
KID = SetStatistic(kind="kid", extractor="e", reference="r", subsets="shrinking")
INFINITE = SetStatistic(kind="frechet-infinity", extractor="e", reference="r", ddof=1)
RECIPE = recipe(metrics={"fid": metric("fid", direction="lower", statistic=FRECHET, low=0)})
Rows = dict[tuple[str, str], Any]


def made(videos: int = 6, rows: int = 7, width: int = 4, seed: int = 0) -> tuple[list[Member], list[Member], Rows]:
    """Videos of half as many people, the row's ones with another mean."""
    random = np.random.default_rng(seed)
    features: Rows = {}
    ours, real = [], []
    for index in range(videos):
        who = f"p{index // 2}"
        features["e", f"o{index}"] = (random.normal(size=(rows, width)) + 1).astype(np.float32)
        features["r", f"r{index}"] = random.normal(size=(rows, width)).astype(np.float32)
        ours.append(Member(f"c{index}", who, f"o{index}", rows))
        real.append(Member(f"c{index}", who, f"r{index}", rows))
    return ours, real, features


def number(ours: list[Member], real: list[Member], features: Rows, statistic: SetStatistic = FRECHET) -> Any:
    return set_number(statistic, ours, real, lambda extractor, key: features.get((extractor, key)), level=0.95)


def together(members: list[Member], features: Rows, name: str) -> Any:
    return moments(np.concatenate([features[name, member.key] for member in members]))


@pytest.mark.parametrize("width", [6, 60])
def test_the_value_is_the_distance_of_all_features_together(width: int) -> None:
    ours, real, features = made(width=width)
    expected = frechet_distance(together(ours, features, "e"), together(real, features, "r"), ddof=1).value
    found = number(ours, real, features)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.identities == 3
    assert f"42 samples against 42 real ones; {'only ' if width == 60 else ''}42 samples" in found.remarks[0]


def test_the_order_changes_no_digit() -> None:
    ours, real, features = made()
    for statistic in (FRECHET, KID):
        first = number(ours, real, features, statistic)
        assert number(ours[::-1], real[3:] + real[:3], features, statistic) == first


def test_the_interval_is_the_jackknife_over_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, real, features = made()
    found = number(ours, real, features)
    left_out = []
    for who in ("p0", "p1", "p2"):
        kept = [[m for m in members if m.identity != who] for members in (ours, real)]
        first, second = together(kept[0], features, "e"), together(kept[1], features, "r")
        left_out.append(frechet_distance(first, second, ddof=1).value)
    reach = student_quantile(0.975, 2) * math.sqrt(2 / 3 * sum((v - sum(left_out) / 3) ** 2 for v in left_out))
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach), rel=1e-9)
    assert "each of 3 identities" in found.remarks[-1]
    monkeypatch.setattr(sets, "AFFORDABLE", 1.0)
    cheap = number(ours, real, features)
    assert cheap.low is None and "take too long" in cheap.note
    assert cheap.value == pytest.approx(found.value, rel=1e-9)
    assert cheap.remarks[1].partition(":")[0] == found.remarks[1].partition(":")[0]
    assert float(cheap.remarks[1].rpartition(" ")[2]) == float(found.remarks[1].rpartition(" ")[2])


def test_the_floor_is_that_of_the_real_set_and_grows_when_people_differ() -> None:
    ours, real, features = made(videos=12, rows=40)
    alike = float(number(ours, real, features).remarks[1].rpartition(" ")[2])
    for member in real:
        features["r", member.key] += 3 * int(member.identity[1:])
    assert float(number(ours, real, features).remarks[1].rpartition(" ")[2]) > 10 * alike > 0


def test_two_people_have_a_floor_and_no_interval_and_one_has_neither() -> None:
    ours, real, features = made(videos=4)
    two = number(ours, real, features)
    assert two.low is None and "one of 2 identities" in two.note and "halves of 14 and 14" in two.remarks[1]
    one = number(ours[:2], real[:2], features)
    assert one.low is None and "only one identity" in one.remarks[1]


def test_the_floor_of_a_kernel_distance_is_that_of_the_real_halves() -> None:
    ours, real, features = made(videos=12, rows=40)
    alike = number(ours, real, features, KID).remarks[1]
    assert "halves of 240 and 240 samples split by identity" in alike
    for member in real:
        features["r", member.key] += 3 * int(member.identity[1:])
    apart = number(ours, real, features, KID).remarks[1]
    assert float(apart.rpartition(" ")[2]) > 10 * abs(float(alike.rpartition(" ")[2]))
    assert "only one identity" in number(ours[:2], real[:2], features, KID).remarks[1]


def test_the_distance_at_infinitely_many_samples_has_no_bias() -> None:
    """With a mean that differs by 1 in each of 4 dimensions the distance is 4, whatever the number of samples."""
    ours, real, features = made(videos=4, rows=2600)
    found = number(ours, real, features, INFINITE)
    assert found.value == pytest.approx(4, rel=0.05)
    assert "10400 samples against 10400 real ones; the distance at N = 5000 is" in found.remarks[0]
    assert found.remarks[1].startswith("real against real, halves of 5200 and 5200")
    few = made(videos=4, rows=1255)
    assert "real against real: unknown, FID-infinity" in number(*few, INFINITE).remarks[1]
    with pytest.raises(DegenerateSetError, match="at least 5014 samples; there are 5012"):
        number(*made(videos=4, rows=1253), INFINITE)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: rows[:1], "needs at least 2"),
        (lambda rows: rows * 0 + 5, "are equal"),
        (lambda rows: rows * np.float32("nan"), "hold NaN or infinity"),
    ],
)
def test_sets_that_say_nothing_are_refused(spoil: Any, words: str) -> None:
    ours, real, features = made(videos=1)
    features["e", "o0"] = spoil(features["e", "o0"])
    ours = [ours[0]._replace(rows=len(features["e", "o0"]))]
    with pytest.raises(DegenerateSetError, match=words):
        number(ours, real, features)


def board(rows: int, real: int, load: Any, **changes: Any) -> Any:
    """Records of three planned videos of which some have features."""
    plans = [planned(f"o{i}", clip=f"c{i}", identity=f"p{i}", recipe=RECIPE.key) for i in range(3)]
    records = [
        record(f"o{i}", None, clip=f"c{i}", identity=f"p{i}", recipe=RECIPE.key, features={"e": 7}) for i in range(rows)
    ] + [
        record(
            f"r{i}", None, clip=f"c{i}", identity=f"p{i}", recipe=RECIPE.key, variant=GROUND_TRUTH, features={"r": 7}
        )
        for i in range(real)
    ]
    return aggregate(records, run_info(RECIPE, planned=plans, **changes), features=load)


def test_a_column_of_a_set_counts_what_has_no_features() -> None:
    _, _, features = made(videos=6)
    load = lambda extractor, key: features.get((extractor, key))  # noqa: E731
    cell = board(2, 3, load).row("v").cells["fid"]
    assert (cell.scored, cell.total, cell.missing) == (2, 3, {"not run": 1})
    assert cell.value > 0 and cell.remarks
    assert board(0, 3, load).row("v").cells["fid"].missing == {"not run": 3}
    alone = board(2, 0, load).row("v").cells["fid"]
    assert (alone.value, alone.scored) == (None, 0)
    assert alone.missing == {"no real video with features to compare with": 2, "not run": 1}
    unread = board(3, 3, None).row("v").cells["fid"]
    assert unread.missing == {"features were not read": 3}


def test_records_in_any_order_give_one_leaderboard() -> None:
    ours, real, features = made(videos=3)
    load = lambda extractor, key: features.get((extractor, key))  # noqa: E731
    records = [
        record(m.key, None, clip=m.clip, identity=m.identity, recipe=RECIPE.key, features={"e": m.rows}) for m in ours
    ] + [
        record(
            m.key, None, clip=m.clip, identity=m.identity, recipe=RECIPE.key, variant=GROUND_TRUTH,
            features={"r": m.rows, "e": m.rows},
        )
        for m in real
    ]  # fmt: skip
    texts = {
        aggregate(list(order), run_info(RECIPE), features=load).model_dump_json()
        for order in itertools.islice(itertools.permutations(records), 0, 720, 97)
    }
    assert len(texts) == 1
