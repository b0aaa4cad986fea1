"""Intervals of numbers of sets, by simulation: how often they hold what such a set is worth on average."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thbench.metrics.kid import KID_KERNEL, squared_mmd, squared_mmd_without_each
from thbench.report.contrast import Evidence, contrast
from thbench.report.sets import Member, SetNumber, set_number
from thbench.spec import SetStatistic
from thbench.stats import jackknife

FRECHET = SetStatistic(kind="frechet", extractor="e", reference="r", ddof=1)
PEOPLE, ROWS, WIDTH, TRIALS = 16, 12, 3, 150


def drawn(rng: np.random.Generator, shift: float) -> dict[str, Any]:
    """Features of each person; frames of one person are alike."""
    return {
        f"p{i:02}": (shift + 0.5 * rng.normal(size=WIDTH) + rng.normal(size=(ROWS, WIDTH))).astype(np.float32)
        for i in range(PEOPLE)
    }


def number(ours: dict[str, Any], real: dict[str, Any]) -> SetNumber:
    members = [Member(f"c{name}", name, name, ROWS) for name in ours]
    return set_number(FRECHET, members, members, lambda kind, key: (ours if kind == "e" else real)[key], level=0.95)


def evidence(found: SetNumber) -> Evidence:
    units = {(name, 0): name for name in found.left_out}
    return Evidence(identities=units, number=found.value, left_out=found.left_out)


def test_differences_of_frechet_distances_hold_their_level() -> None:
    rng = np.random.default_rng(0)
    values, ends = [], []
    for _ in range(TRIALS):
        real = drawn(rng, 0.0)
        a, b = (evidence(number(drawn(rng, shift), real)) for shift in (0.4, 0.7))
        loss = contrast(a, b, "lower").estimate
        assert loss is not None and loss.interval is not None
        values.append(loss.value)
        ends.append((loss.interval.low, loss.interval.high))
    truth = np.mean(values)
    held = np.mean([low <= truth <= high for low, high in ends])
    assert 0.91 <= held <= 0.99, held


def test_equal_rows_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(1)
    apart = 0
    for _ in range(TRIALS):
        real = drawn(rng, 0.0)
        a, b = (evidence(number(drawn(rng, 0.4), real)) for _ in range(2))
        p = contrast(a, b, "lower").p
        assert p is not None
        apart += p < 0.05
    assert apart / TRIALS <= 0.09, apart


def test_kernel_distances_without_each_person_are_those_of_the_others() -> None:
    rng = np.random.default_rng(2)
    ours, real = drawn(rng, 0.3), drawn(rng, 0.0)
    del ours["p03"]
    found = squared_mmd_without_each(ours, real)
    assert sorted(found) == sorted(real)
    for out in ("p00", "p03", "p07"):
        x, y = (np.concatenate([rows for name, rows in side.items() if name != out]) for side in (ours, real))
        assert found[out] == pytest.approx(squared_mmd(x, y, KID_KERNEL), rel=1e-9, abs=1e-12)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=9)
    left_out = {str(i): float(np.delete(values, i).mean()) for i in range(9)}
    found = jackknife(float(values.mean()), left_out)
    assert found.error == pytest.approx(values.std(ddof=1) / 3)
    assert jackknife(1.0, {"a": 1.0, "b": 2.0}).interval is None
    with pytest.raises(ValueError, match="not finite"):
        jackknife(1.0, {"a": 1.0, "b": float("nan"), "c": 1.0})
