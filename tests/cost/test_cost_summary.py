"""Summaries, comparisons and warnings against numbers worked out by hand and by simulation."""

from __future__ import annotations

import math
from statistics import mean, median

import numpy as np
import pytest
from cost_fakes import protocol, trials

from thbench.cost.record import Trial
from thbench.cost.summary import compare, outliers, summarise, warnings_of


def test_a_summary_has_the_plain_numbers() -> None:
    values = [[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]]
    found = summarise(trials({"a": values}), "a")["end-to-end"]
    flat = [v for rounds in values for v in rounds]
    assert (found.n, found.processes) == (6, 2)
    assert (found.mean, found.median) == (pytest.approx(mean(flat)), median(flat))
    assert (found.least, found.largest) == (1.0, 5.0)
    assert found.p90 == pytest.approx(np.percentile(flat, 90))
    assert found.low is not None and 0 <= found.low < found.mean < found.high


def test_warm_up_and_cold_trials_are_apart() -> None:
    cold = Trial(variant="a", kind="cold", process=0, seconds={"load": 9.0, "end-to-end": 10.0})
    warm_up = Trial(variant="a", kind="warm-up", process=0, seconds={"end-to-end": 99.0})
    found = summarise([cold, warm_up, *trials({"a": [[1.0], [1.0]]})], "a")
    assert found["end-to-end"].largest == 1.0
    assert found["cold/load"].mean == 9.0
    assert found["cold/load"].reason == "only one process"
    assert "load" not in found


def test_p90_of_frames_is_over_single_frames() -> None:
    trial = Trial(
        variant="a", kind="measured", process=0, seconds={"frame": 0.2}, samples={"frame": (0.1,) * 8 + (1.0,) * 2}
    )
    assert summarise([trial], "a")["frame"].p90 == pytest.approx(1.0)


def test_pairs_take_the_drift_of_the_machine_out() -> None:
    drift = [1.0, 1.5, 3.0, 2.0]
    base = [[2.0 * d for d in drift] for _ in range(3)]
    fast = [[1.0 * d for d in drift] for _ in range(3)]
    (found,) = compare(trials({"a": base, "b": fast}), "a", "b")
    assert found.ratio == pytest.approx(2.0)
    assert (found.low, found.high) == (pytest.approx(2.0), pytest.approx(2.0))
    assert found.pairs == 12


def test_a_round_that_only_one_has_is_no_pair_and_zero_has_no_ratio() -> None:
    (found,) = compare(trials({"a": [[2.0, 4.0, 0.0]], "b": [[1.0, 1.0, 1.0, 1.0]]}), "a", "b")
    assert found.pairs == 2
    assert found.ratio == pytest.approx(math.sqrt(8))
    assert found.reason == "only one process"


def test_a_tenfold_slowdown_is_seen_at_every_number_of_processes() -> None:
    rng = np.random.default_rng(0)
    for processes in range(2, 12):
        noise = rng.normal(0, 0.02, (2, processes, 3))
        base, slow = np.exp(noise[0]), 10 * np.exp(noise[1])
        (found,) = compare(trials({"a": base.tolist(), "b": slow.tolist()}), "a", "b")
        assert found.high is not None and found.high < 1, processes


def test_the_interval_of_a_ratio_holds_its_level_when_processes_differ() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        of_process = rng.normal(0, 0.05, (5, 1))
        base = np.exp(rng.normal(0, 0.02, (5, 4)))
        other = np.exp(of_process + rng.normal(0, 0.02, (5, 4)))
        (found,) = compare(trials({"a": base.tolist(), "b": other.tolist()}), "a", "b")
        hits += found.low <= 1 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_outliers_are_found_and_small_spread_has_none() -> None:
    rng = np.random.default_rng(2)
    steady = np.exp(rng.normal(0, 0.01, 50)).tolist()
    assert outliers(steady) == 0
    assert outliers([*steady, 1.5, 0.5]) == 2
    assert outliers([1.0] * 20) == 0
    assert outliers([1.0] * 20 + [1.04]) == 0
    assert outliers([1.0, 99.0]) == 0


def kinds(**given: object) -> list[str]:
    defaults = {"values": [[1.0] * 4] * 4, "protocol": protocol(), "other_work": 0.0, "resolution": 1e-9}
    d = defaults | given
    found = warnings_of(
        trials({"a": d["values"]}), ["a"], d["protocol"], other_work=d["other_work"], resolution=d["resolution"]
    )
    return [warning.kind for warning in found]


def test_a_good_measurement_has_no_warning() -> None:
    assert kinds() == []


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"other_work": 0.5}, "busy-machine"),
        ({"values": [[1.0] * 4]}, "too-few-samples"),
        ({"values": [[1.0]] * 4}, "too-few-samples"),
        ({"protocol": protocol(min_seconds=5.0)}, "too-short"),
        ({"resolution": 0.01}, "coarse-clock"),
        ({"values": [[1.0] * 4] * 3 + [[1.0, 1.0, 1.0, 2.0]]}, "outliers"),
        ({"values": [[1.0, 1.0, 1.2, 1.2]] * 3 + [[1.01, 1.0, 1.2, 1.2]]}, "drift"),
    ],
)
def test_each_trouble_has_its_warning(given: dict[str, object], kind: str) -> None:
    assert kind in kinds(**given)


def test_stage_times_that_did_not_wait_for_the_device_are_told() -> None:
    plain = trials({"a": [[1.0] * 4] * 4})
    staged = [t.model_copy(update={"seconds": {**t.seconds, "stage/motion": 0.5}}) for t in plain]
    on_device = [t.model_copy(update={"device_seconds": {"end-to-end": 1.0}}) for t in staged]
    assert [(w.kind, w.measure) for w in warnings_of(on_device, ["a"], protocol())] == [("not-exact", "stage")]
    assert warnings_of(staged, ["a"], protocol()) == ()


def test_an_effect_of_the_order_is_told() -> None:
    made = [
        t.model_copy(
            update={
                "position": (t.process + t.round) % 2,
                "seconds": {"end-to-end": 1 + 0.1 * ((t.process + t.round) % 2)},
            }
        )
        for t in trials({"a": [[1.0] * 6] * 4})
    ]
    found = {w.kind: w for w in warnings_of(made, ["a"], protocol())}
    assert found["order-effect"].value == pytest.approx(0.1)
    assert "drift" not in found
