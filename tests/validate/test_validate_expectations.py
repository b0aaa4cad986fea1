"""Every metric says what it must respond to."""

from __future__ import annotations

import math

import pytest

from thbench.registry import METRICS
from thbench.spec import MetricSpec
from thbench.validate.catalogue import BY_NAME, CHANGES, DEGRADATIONS, UNCHANGED
from thbench.validate.expectations import EXPECTATIONS, NOT_MOVED, expectation_of
from thbench.validate.judge import verdict_of


def moves(metric: str) -> set[str]:
    return {name for name, e in EXPECTATIONS[metric].items() if e.response != "ignores"}


def test_every_metric_has_expectations() -> None:
    lacking = sorted(set(METRICS) - set(EXPECTATIONS))
    assert not lacking, f"say in thbench/validate/expectations.py what these must respond to: {lacking}"


def test_expectations_are_about_what_exists() -> None:
    assert not set(EXPECTATIONS) - set(METRICS)
    assert not {name for row in EXPECTATIONS.values() for name in row} - set(BY_NAME)


@pytest.mark.parametrize("metric", sorted(EXPECTATIONS))
def test_a_metric_must_move_for_something_or_say_why_not(metric: str) -> None:
    assert EXPECTATIONS[metric]
    assert bool(moves(metric)) != (metric in NOT_MOVED)


def test_tolerances_are_finite_and_only_where_something_is_ignored() -> None:
    for row in EXPECTATIONS.values():
        for e in row.values():
            assert 0 <= e.within < math.inf
            assert e.response == "ignores" or not e.within


def test_deaf_metrics_must_ignore_sound_to_the_bit() -> None:
    for name, spec in METRICS.items():
        if "audio" not in spec.needs and spec.observer.partition(":")[0] != "thbench.metrics.duration":
            assert expectation_of(name, "wrong-sound").within == 0.0, name


def test_a_metric_without_expectations_is_never_taken_for_valid() -> None:
    fields = {"title": "t", "direction": "higher", "unit": "1", "protocol": "p", "source": "s", "observer": "m:o"}
    verdict = verdict_of(MetricSpec(name="brand-new", **fields), [])
    assert verdict.verdict == "not measured"
    assert "no expectation" in verdict.reasons[0]


@pytest.mark.parametrize("degradation", DEGRADATIONS, ids=lambda d: d.name)
def test_doses_rise_and_one_of_them_changes_nothing(degradation) -> None:
    assert list(degradation.doses) == sorted(set(degradation.doses))
    assert len(degradation.amounts) == len(degradation.doses) >= 4
    assert degradation.change in CHANGES
    assert degradation.variants().count(UNCHANGED) == 1
    assert degradation.variants()[degradation.origin] == UNCHANGED
