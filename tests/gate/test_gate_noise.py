"""The gate on recorded timings of a real method: how often it cries wolf, and what it finds.

Three machines: one with nothing else to do (`record_timings.py`), the same with one of its two cores at work on
something else, and one whose two cores thirty processes shared. On the first every promise has to hold; on the others
only that the gate is never wrong, and what it can still find is printed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import chain

import pytest
import record_timings
from gate_helpers import TIMINGS

from thbench.gate.noise import fits, simulated
from thbench.gate.rules import Rule
from thbench.gate.timing import Process

COMPARISONS = 200
RULE = Rule(metric="time/any", smallest=0.05)
MEASURES = ("wall", "processor")
SIZES = ((2, 2), (2, 3), (2, 4), (2, 6), (3, 3), (4, 1), (4, 4), (5, 1), (6, 1), (6, 2), (8, 4), (12, 4), (20, 4))
"""Processes per side and samples of each. Four samples are the fewest that are allowed, in two processes or in four."""
RECOMMENDED = (20, 4)
"""As examples/ci/measure.sh measures."""
Share = Callable[..., float]


def recorded(machine: str) -> dict[str, list[Process]]:
    """Measure to samples of each process. The long processes of the busy machine are cut into short ones."""
    content = json.loads((TIMINGS / f"{machine}.json").read_text())["seconds"]
    cut = {
        name: [[tuple(process[i : i + 6]) for i in range(0, len(process) - 5, 6)] for process in processes]
        for name, processes in content.items()
    }
    return {name: list(chain.from_iterable(pieces)) for name, pieces in cut.items()}


@pytest.fixture(params=["quiet", "half-busy", "busy"])
def machine(request: pytest.FixtureRequest) -> str:
    """Which recording."""
    return str(request.param)


def share(
    timings: dict[str, list[Process]], measure: str, size: tuple[int, int], verdict: str, **options: float | bool
) -> float:
    """How many of 200 simulated comparisons end with a verdict."""
    processes = timings[measure]
    assert fits(processes, size[0])
    draws = (random.Random(f"{measure}/{size}/{i}") for i in range(COMPARISONS))
    trials = [simulated(processes, *size, RULE, draw, **options) for draw in draws]
    return sum(trial.verdict == verdict for trial in trials) / COMPARISONS


def test_the_recordings_say_what_they_are(machine: str) -> None:
    content = json.loads((TIMINGS / f"{machine}.json").read_text())
    assert all(content[name] for name in ("method", "command", "workload", "machine", "created"))
    assert sum(map(len, content["seconds"]["wall"])) >= 800
    if machine != "busy":
        assert content["command"] == f"thbench {record_timings.COMMAND}"
        assert (content["other_work"] < 0.1) == (machine == "quiet")


@pytest.mark.parametrize("alternate", [True, False])
@pytest.mark.parametrize("measure", MEASURES)
def test_equal_code_is_hardly_ever_red(machine: str, measure: str, alternate: bool) -> None:
    timings = recorded(machine)
    found = {size: share(timings, measure, size, "regression", alternate=alternate) for size in SIZES}
    print(f"\n{machine}, {measure}, {'in turn' if alternate else 'one after the other'}: false alarms {found}")
    assert max(found.values()) <= 0.02


@pytest.mark.parametrize("measure", MEASURES)
def test_ten_times_slower_is_always_red(measure: str) -> None:
    timings = recorded("quiet")
    for size in SIZES:
        assert share(timings, measure, size, "regression", factor=10.0) == 1.0, size


@pytest.mark.parametrize("measure", MEASURES)
def test_ten_times_slower_is_never_green(machine: str, measure: str) -> None:
    """Single wall times of the busy machine differ by more than the planted factor; it may then say it cannot tell."""
    timings = recorded(machine)
    found = {size: share(timings, measure, size, "regression", factor=10.0) for size in SIZES}
    print(f"\n{machine}, {measure}: ten times slower is found {found}")
    for size in SIZES:
        assert share(timings, measure, size, "fine", factor=10.0) == 0.0, size
    assert found[RECOMMENDED] == 1.0


@pytest.mark.parametrize("measure", MEASURES)
def test_ten_percent_slower_is_found(machine: str, measure: str) -> None:
    timings = recorded(machine)
    found = {size: share(timings, measure, size, "regression", factor=1.1) for size in SIZES}
    print(f"\n{machine}, {measure}: ten percent slower is found {found}")
    if machine == "quiet":
        assert found[RECOMMENDED] >= 0.95


@pytest.mark.parametrize("measure", MEASURES)
def test_ten_percent_slower_is_hardly_ever_green(machine: str, measure: str) -> None:
    timings = recorded(machine)
    for size in SIZES:
        assert share(timings, measure, size, "fine", factor=1.1) <= 0.03, size
