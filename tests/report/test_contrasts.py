"""All pairs of a column at once give what two rows at a time give, to the last bit."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_helpers import cell

from thbench.report.cells import Scored
from thbench.report.contrast import Evidence, contrast
from thbench.report.contrasts import contrasts_of
from thbench.report.outcomes import Videos
from thbench.stats import detectable


def rows_of(values: np.ndarray, people: list[str], real: np.ndarray | None = None) -> list[Scored]:
    units = tuple((f"c{i:03}", 0) for i in range(values.shape[1]))
    known = {} if real is None else {f"c{i:03}": v for i, v in enumerate(real.tolist()) if not math.isnan(v)}
    return [
        Scored(
            cell(1.0),
            Videos(units, tuple(people), row, dict.fromkeys(np.flatnonzero(np.isnan(row)).tolist(), "lost")),
            known,
        )
        for row in values
    ]


def check(rows: list[Scored], direction: str) -> None:
    found = contrasts_of(rows, direction)  # type: ignore[arg-type]
    effects = []
    for i, (a, b) in enumerate(itertools.combinations(rows, 2)):
        one = contrast(a.evidence, b.evidence, direction, resamples=0)  # type: ignore[arg-type]
        ours = float(found.p[i])
        assert (ours == one.p) or (one.p is None and math.isnan(ours)), (i, ours, one)
        if one.p is not None and one.estimate is not None:
            assert found.value[i] == one.estimate.value
            if one.estimate.error is not None:
                assert found.error[i] == one.estimate.error
        if one.estimate is not None and (effect := detectable(one.estimate)) is not None:
            effects.append(effect)
    assert found.detectable() == max(effects, default=None)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["higher", "lower", "closer-to-real"]), st.integers(2, 9), st.integers(1, 40), st.integers(1, 12),
    st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.5]), st.sampled_from([0.0, 0.02, 0.6]),
    st.sampled_from(["normal", "whole", "same", "nearly"]),
)  # fmt: skip
def test_pairs_are_those_of_single_comparisons(
    direction: str, rows: int, clips: int, people: int, seed: int, gaps: float, infinite: float, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=clips)
    values = (
        5 + hard + rng.normal(size=(rows, clips)) * {"normal": 1.0, "whole": 1.0, "same": 0.0, "nearly": 1e-13}[kind]
    )
    if kind == "whole":
        values = np.round(values)
    real = np.round(5 + hard + rng.normal(size=clips), 1)
    for several in (values, real):
        several[rng.random(several.shape) < infinite] = np.inf
        several[rng.random(several.shape) < infinite / 4] = -np.inf
        several[rng.random(several.shape) < gaps] = np.nan
    check(rows_of(values, [f"p{rng.integers(people)}" for _ in range(clips)], real), direction)


def test_a_video_that_is_said_to_be_of_two_people_is_still_compared() -> None:
    rng = np.random.default_rng(1)
    rows = rows_of(rng.normal(size=(3, 12)), [f"p{i // 2}" for i in range(12)])
    other = rows_of(rng.normal(size=(1, 12)), [f"q{i // 3}" for i in range(12)])
    check([*rows, *other], "lower")


def test_rows_of_different_videos_are_compared_over_what_they_share() -> None:
    rng = np.random.default_rng(2)
    rows = rows_of(rng.normal(size=(3, 12)), [f"p{i // 2}" for i in range(12)])
    fewer = rows_of(rng.normal(size=(2, 8)), [f"p{i // 2}" for i in range(8)])
    check([*rows, *fewer], "higher")


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_sets_are_compared_one_by_one(direction: str) -> None:
    rng = np.random.default_rng(3)
    names = [f"p{i}" for i in range(7)]
    rows = [
        Scored(
            cell(number),
            of_set=Evidence(
                identities={(name, 0): name for name in names},
                number=number,
                left_out=dict(zip(names, (number + rng.normal(size=7)).tolist(), strict=True)),
            ),
        )
        for number in (10.0, 12.0, 12.0)
    ]
    check([*rows, Scored(cell(None), of_set=Evidence())], direction)
