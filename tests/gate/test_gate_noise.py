"""The gate on recorded timings of a real method on a real, busy machine: how often it cries wolf, and what it finds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from gate_helpers import FIXTURE

from thbench.gate.noise import fits, simulated
from thbench.gate.rules import Rule

COMPARISONS = 200
RULE = Rule(metric="time/any", smallest=0.05)
SIZES = (4, 6, 8, 12, 24, 48)
"""Samples per side; four is the smallest number that is allowed on both."""


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[tuple[float, ...]]]:
    """Measure to samples of each process, in the order measured."""
    content = json.loads(FIXTURE.read_text())
    return {name: [tuple(process) for process in processes] for name, processes in content["seconds"].items()}


def share(recorded: Any, measure: str, samples: int, verdict: str, **options: Any) -> float:
    processes = recorded[measure]
    assert fits(processes, samples)
    draws = (random.Random(f"{measure}/{samples}/{i}") for i in range(COMPARISONS))
    trials = [simulated(processes, samples, RULE, draw, **options) for draw in draws]
    return sum(trial.verdict == verdict for trial in trials) / COMPARISONS


def test_the_recording_says_what_it_is() -> None:
    content = json.loads(FIXTURE.read_text())
    assert content["machine"] and content["method"] == "mouth-warp" and content["workload"] and content["created"]
    assert sum(map(len, content["seconds"]["wall"])) >= 800


@pytest.mark.parametrize("alternate", [True, False])
@pytest.mark.parametrize("measure", ["wall", "processor"])
def test_equal_code_is_hardly_ever_red(recorded: Any, measure: str, alternate: bool) -> None:
    for samples in SIZES:
        assert share(recorded, measure, samples, "regression", alternate=alternate) <= 0.02, samples


def test_ten_times_slower_is_always_red(recorded: Any) -> None:
    for samples in SIZES:
        assert share(recorded, "processor", samples, "regression", factor=10.0) == 1.0, samples


def test_ten_times_slower_is_never_green_on_a_machine_whose_wall_times_vary_tenfold(recorded: Any) -> None:
    """Thirty busy processes shared two cores here, and single samples differ by more than the planted factor."""
    for samples in SIZES:
        assert share(recorded, "wall", samples, "fine", factor=10.0) == 0.0, samples
    assert share(recorded, "wall", 24, "regression", factor=10.0) == 1.0


def test_ten_percent_slower_is_found(recorded: Any) -> None:
    """With as many samples as one alternating measurement of twelve processes with four rounds gives."""
    assert share(recorded, "processor", 48, "regression", factor=1.1) >= 0.95


@pytest.mark.parametrize("measure", ["wall", "processor"])
def test_ten_percent_slower_is_hardly_ever_green(recorded: Any, measure: str) -> None:
    for samples in SIZES:
        assert share(recorded, measure, samples, "fine", factor=1.1) <= 0.03, samples
