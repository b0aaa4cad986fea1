"""Numbers that stand for costlier ones say by how much they differ, or how that can be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from report_helpers import metric, planned, recipe, record, run_info

from thbench.report.aggregate import aggregate
from thbench.spec import SetStatistic
from thbench.types import GROUND_TRUTH

FAST = metric("lpips", direction="lower", protocol="p/fast", approximates="lpips/alex")
EXACT = metric("lpips", direction="lower", protocol="p")


def remarks(cells: Any, name: str) -> tuple[str, ...]:
    return tuple(cells[name].remarks)


def scored(values: dict[str, dict[str, float]], **metrics: Any) -> Any:
    used = recipe(metrics=metrics)
    records = [
        record(clip, None, clip=clip, values=found, recipe=used.key, identity=clip) for clip, found in values.items()
    ]
    plan = tuple(planned(clip, clip=clip, recipe=used.key, identity=clip) for clip in values)
    (row,) = aggregate(records, run_info(used, planned=plan)).rows
    return row.cells


def test_the_difference_is_of_the_videos_that_have_both() -> None:
    cells = scored(
        {
            "a": {"lpips/alex": 0.10, "lpips/alex.fast": 0.12},
            "b": {"lpips/alex": 0.30, "lpips/alex.fast": 0.29},
            "c": {"lpips/alex.fast": 0.90},
        },
        **{"lpips/alex": EXACT, "lpips/alex.fast": FAST},
    )
    (said,) = remarks(cells, "lpips/alex.fast")
    assert said == "differs from lpips/alex by +0.005 (+2.50%) in the mean of 2 videos, by at most 0.02 in one"
    assert remarks(cells, "lpips/alex") == ()


def test_alone_it_says_how_to_measure_the_difference() -> None:
    (said,) = remarks(scored({"a": {"lpips/alex.fast": 0.1}}, **{"lpips/alex.fast": FAST}), "lpips/alex.fast")
    assert "--mode both measures by how much it differs from lpips/alex" in said
    shared = metric("lse", protocol="p", approximates="lse-c/joonson")
    (said,) = remarks(
        scored({"a": {"lse-c/shared-faces": 5.0}}, **{"lse-c/shared-faces": shared}), "lse-c/shared-faces"
    )
    assert said == "stands for lse-c/joonson; ask for that too to see by how much it differs"


def test_without_a_number_or_a_common_video_there_is_no_difference() -> None:
    cells = scored(
        {"a": {"lpips/alex": 0.10}, "b": {"lpips/alex.fast": 0.29}}, **{"lpips/alex": EXACT, "lpips/alex.fast": FAST}
    )
    assert "--mode both" in remarks(cells, "lpips/alex.fast")[0]
    none = scored({"a": {"lpips/alex": 0.10}}, **{"lpips/alex": EXACT, "lpips/alex.fast": FAST})
    assert remarks(none, "lpips/alex.fast") == ()


def test_metrics_of_sets_differ_by_their_numbers() -> None:
    metrics = {}
    for name, extractor, stands_for in (("fid/x", "e", None), ("fid/x.fast", "e.fast", "fid/x")):
        statistic = SetStatistic(kind="frechet", extractor=extractor, reference=extractor)
        metrics[name] = metric("fid", protocol=name, low=0, statistic=statistic, approximates=stands_for)
    used = recipe(metrics=metrics)
    random = np.random.default_rng(0)
    features = {}
    records = []
    for variant in (GROUND_TRUTH, "made"):
        for clip in ("a", "b"):
            key = f"{variant}-{clip}"
            rows = random.normal(size=(9, 3)).astype(np.float32) + (variant == "made")
            features |= {("e", key): rows, ("e.fast", key): np.float32(1.001) * rows}
            records.append(
                record(key, None, clip=clip, variant=variant, recipe=used.key, features={"e": 9, "e.fast": 9})
            )
    board = aggregate(records, run_info(used), features=lambda extractor, key: features.get((extractor, key)))
    cells = board.row("made").cells
    change = (cells["fid/x.fast"].value or 0) - (cells["fid/x"].value or 0)
    assert f"differs from fid/x by {change:+.3g} (+" in remarks(cells, "fid/x.fast")[-1]
