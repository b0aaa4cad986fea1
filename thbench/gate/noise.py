"""What a machine does to equal code: comparisons of one measurement with itself, and what is kept of them.

Two sides of a comparison are never measured in one process, and equal code differs from process to process: where its
memory lies, what the machine does at that moment. So whole processes of a recording are dealt out to the two sides, as
many as a real comparison has.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, ValidationError

from thbench.errors import NothingMeasuredError, UsageError
from thbench.gate.decide import decide
from thbench.gate.rules import Rule
from thbench.gate.timing import Process, Samples, time_loss
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thbench.gate.costs import Costs
    from thbench.gate.document import Verdict

COMPARISONS = 400
"""Comparisons of a calibration."""
QUANTILE = 0.975
"""Share of comparisons of equal code whose ratio is no farther from 1 than the noise that is kept."""
PROCESSES = (2, 3, 4, 6, 8, 12, 20, 40)
"""Processes per side that are tried, as far as the recording goes."""
STRETCHES = 4
"""Times as many processes as a side has are needed for a comparison and its confirmation."""


class Trial(NamedTuple):
    """One simulated comparison."""

    verdict: Verdict
    """After the confirmation, if one was needed."""
    first: Verdict
    """Of the first measurement."""
    log_ratio: float
    """Of the first measurement; NaN without one."""


class SizeNoise(Document):
    """What comparisons with so many processes per side said."""

    processes: int
    """On each side."""
    rounds: int
    """Samples of each process."""
    comparisons: int
    """How many were simulated."""
    spread: float
    """Logarithm of the ratio that equal code stays within in 97.5 % of them."""
    first_alarms: float
    """Share of comparisons of equal code that were red before the confirmation."""
    false_alarms: float
    """The same after it."""
    found: float
    """Share of true slowdowns by `planted` that were red after it."""


class Noise(Document):
    """The noise of one machine; the file that `thbench gate --calibrate` writes."""

    schema_version: Literal[2] = 2
    """Version of this layout."""
    created: str
    """When, ISO 8601, UTC."""
    machine: str
    """Processor and device it is about; timings of another machine get none of it."""
    planted: float
    """Slowdown that was planted to see whether it is found, as a share."""
    smallest: float
    """Smallest loss that mattered in these comparisons."""
    sizes: dict[str, dict[str, tuple[SizeNoise, ...]]] = Field(min_length=1)
    """Variant to cost to what was found, by processes per side."""

    def of(self, variant: str, cost: str, processes: int) -> float:
        """The logarithm of the ratio that equal code reaches.

        Args:
            variant: Which; 0 for one that was not calibrated.
            cost: Which.
            processes: Per side; the nearest smaller size that was tried counts.
        """
        known = self.sizes.get(variant, {}).get(cost, ())
        fitting = [size for size in known if size.processes <= processes]
        chosen = fitting[-1] if fitting else (known[0] if known else None)
        return chosen.spread if chosen is not None else 0.0


def read_noise(path: Path) -> Noise:
    """Read a calibration.

    Raises:
        UsageError: It is absent or no calibration.
    """
    try:
        return Noise.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); make it with thbench gate --calibrate") from error
    except ValidationError as error:
        raise UsageError(f"{path} is no calibration: {error.errors()[0]['msg']}; make it again") from error


def machine_of(costs: Costs) -> str:
    """Processor and device of the newest record, in words."""
    record = costs.records[-1]
    return f"{record.environment.cpu}, {record.environment.cores} cores; {record.conditions.device_name}"


def calibrate(
    costs: Costs,
    created: str,
    *,
    planted: float = 0.10,
    smallest: float = 0.05,
    comparisons: int = COMPARISONS,
    seed: int = 0,
) -> Noise:
    """Compare recorded timings of one code with themselves, as the gate would compare two.

    Raises:
        NothingMeasuredError: No cost has enough samples.
    """
    sizes: dict[str, dict[str, tuple[SizeNoise, ...]]] = {}
    for variant, names in sorted(costs.names.items()):
        for cost in sorted(name for name in names if name.startswith("time/") and not name.startswith("time/cold/")):
            recorded = costs.samples(variant, cost).processes
            sizes_that_fit = [size for size in PROCESSES if fits(recorded, size)]
            tried = [_of_size(recorded, size, planted, smallest, comparisons, seed) for size in sizes_that_fit]
            if found := tuple(size for size in tried if size is not None):
                sizes.setdefault(variant, {})[cost] = found
    if not sizes:
        raise NothingMeasuredError(
            f"no cost was measured in the {STRETCHES * PROCESSES[0]} processes that a comparison with itself needs; "
            "measure with thbench time METHOD --processes 50 --rounds 4"
        )
    return Noise(created=created, machine=machine_of(costs), planted=planted, smallest=smallest, sizes=sizes)


def fits(recorded: Sequence[Process], processes: int) -> bool:
    """Whether a comparison of so many processes per side, and its confirmation, can be drawn from a recording."""
    return len(recorded) >= STRETCHES * processes


def _of_size(
    recorded: Sequence[Process], processes: int, planted: float, smallest: float, comparisons: int, seed: int
) -> SizeNoise | None:
    """What comparisons of one size said; None where they are too small to say anything."""
    rule = Rule(metric="time/any", smallest=smallest)
    rounds = min(map(len, recorded))

    def trials(factor: float) -> list[Trial]:
        draws = (random.Random(f"{seed}/{i}") for i in range(comparisons))
        return [simulated(recorded, processes, rounds, rule, draw, factor=factor) for draw in draws]

    equal, slower = trials(1.0), trials(1 + planted)
    away = sorted(abs(t.log_ratio) for t in equal if not math.isnan(t.log_ratio))
    if not away:
        return None
    return SizeNoise(
        processes=processes,
        rounds=rounds,
        comparisons=comparisons,
        spread=away[math.ceil(QUANTILE * len(away)) - 1],
        first_alarms=sum(t.first == "regression" for t in equal) / comparisons,
        false_alarms=sum(t.verdict == "regression" for t in equal) / comparisons,
        found=sum(t.verdict == "regression" for t in slower) / comparisons,
    )


def simulated(
    recorded: Sequence[Process],
    processes: int,
    rounds: int,
    rule: Rule,
    draw: random.Random,
    *,
    factor: float = 1.0,
    noise: float = 0.0,
    alternate: bool = True,
) -> Trial:
    """One comparison of recorded timings with themselves, with its confirmation.

    A stretch of neighbouring processes is dealt out, two by two in random order, as measurements in turn are. The
    confirmation takes another stretch.

    Args:
        recorded: Samples of each process, in the order measured.
        processes: Per side.
        rounds: Samples of each process, neighbours.
        rule: What counts as a loss.
        draw: Where the stretches begin, and the order.
        factor: What the candidate's samples are multiplied by.
        noise: Of the machine, as a logarithm.
        alternate: Whether the comparison may use that neighbours were measured in turn.
    """

    def once(start: int) -> tuple[Verdict, float]:
        stretch = [_neighbours(process, rounds, draw) for process in recorded[start : start + 2 * processes]]
        loss = time_loss(*_dealt(stretch, draw, factor, alternate=alternate), noise=noise).measured
        return ("undecided", math.nan) if loss is None else (decide(loss, rule)[0], math.log1p(loss.loss))

    early = draw.randrange(len(recorded) - STRETCHES * processes + 1)
    late = draw.randrange(early + 2 * processes, len(recorded) - 2 * processes + 1)
    begins = draw.sample((early, late), 2)
    first, ratio = once(begins[0])
    return Trial(once(begins[1])[0] if first == "regression" else first, first, ratio)


def _neighbours(process: Process, count: int, draw: random.Random) -> Process:
    """Some samples of a process, one after the other."""
    start = draw.randrange(len(process) - count + 1)
    return process[start : start + count]


def _dealt(
    stretch: Sequence[Process], draw: random.Random, factor: float, *, alternate: bool
) -> tuple[Samples, Samples]:
    """Two sides from neighbouring processes."""
    ours, theirs = [], []
    for i in range(0, len(stretch), 2):
        order = draw.random() < 0.5
        ours.append(stretch[i + order])
        theirs.append(tuple(value * factor for value in stretch[i + (not order)]))
    if not alternate:
        return Samples(tuple(ours)), Samples(tuple(theirs))
    turns = [tuple(f"{turn:03}/{side}" for turn in range(len(ours))) for side in (0, 1)]
    return Samples(tuple(ours), turns[0]), Samples(tuple(theirs), turns[1])
