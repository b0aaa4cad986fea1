"""What a machine does to equal code: comparisons of one measurement with itself, and what is kept of them."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, ValidationError

from thbench.errors import NothingMeasuredError, UsageError
from thbench.gate.decide import decide
from thbench.gate.rules import Rule
from thbench.gate.timing import BLOCKS, Process, Samples, time_loss
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
SIZES = (4, 6, 8, 12, 20, 40, 80, 160)
"""Samples per side that are tried, as far as the recording goes."""


class Trial(NamedTuple):
    """One simulated comparison."""

    verdict: Verdict
    """After the confirmation, if one was needed."""
    first: Verdict
    """Of the first measurement."""
    log_ratio: float
    """Of the first measurement; NaN without one."""


class SizeNoise(Document):
    """What comparisons with so many samples per side said."""

    samples: int
    """On each side."""
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

    schema_version: Literal[1] = 1
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
    """Variant to cost to what was found, by samples per side."""

    def of(self, variant: str, cost: str, samples: int) -> float:
        """The logarithm of the ratio that equal code reaches.

        Args:
            variant: Which; 0 for one that was not calibrated.
            cost: Which.
            samples: Per side; the nearest smaller size that was tried counts.
        """
        known = self.sizes.get(variant, {}).get(cost, ())
        fitting = [size for size in known if size.samples <= samples]
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
            processes = costs.samples(variant, cost).processes
            found = [_of_size(processes, n, planted, smallest, comparisons, seed) for n in SIZES if fits(processes, n)]
            if found:
                sizes.setdefault(variant, {})[cost] = tuple(found)
    if not sizes:
        raise NothingMeasuredError(
            f"no cost has the {2 * SIZES[0] + 1} samples in one process that a comparison with itself needs; measure "
            "with thbench time --rounds 50"
        )
    return Noise(created=created, machine=machine_of(costs), planted=planted, smallest=smallest, sizes=sizes)


def fits(processes: Sequence[Process], samples: int) -> bool:
    """Whether one process has room for a comparison of so many samples per side and, elsewhere, its confirmation."""
    return any(len(process) > 2 * samples for process in processes) and sum(map(len, processes)) >= 4 * samples


def _of_size(
    processes: Sequence[Process], samples: int, planted: float, smallest: float, comparisons: int, seed: int
) -> SizeNoise:
    rule = Rule(metric="time/any", smallest=smallest)

    def trials(factor: float) -> list[Trial]:
        draws = (random.Random(f"{seed}/{i}") for i in range(comparisons))
        return [simulated(processes, samples, rule, draw, factor=factor) for draw in draws]

    equal, slower = trials(1.0), trials(1 + planted)
    away = sorted(abs(t.log_ratio) for t in equal if not math.isnan(t.log_ratio))
    return SizeNoise(
        samples=samples,
        comparisons=comparisons,
        spread=away[max(0, math.ceil(QUANTILE * len(away)) - 1)] if away else 0.0,
        first_alarms=sum(t.first == "regression" for t in equal) / comparisons,
        false_alarms=sum(t.verdict == "regression" for t in equal) / comparisons,
        found=sum(t.verdict == "regression" for t in slower) / comparisons,
    )


def simulated(
    processes: Sequence[Process],
    samples: int,
    rule: Rule,
    draw: random.Random,
    *,
    factor: float = 1.0,
    noise: float = 0.0,
    alternate: bool = True,
) -> Trial:
    """One comparison of recorded timings with themselves, with its confirmation.

    A stretch of neighbours of one process is dealt out, two by two in random order, as alternating measurements are.
    The confirmation takes another stretch.

    Args:
        processes: Recorded samples.
        samples: Per side.
        rule: What counts as a loss.
        draw: Where the stretch begins, and the order.
        factor: What the candidate's samples are multiplied by.
        noise: Of the machine, as a logarithm.
        alternate: Whether the comparison may use that neighbours were measured in turn.
    """

    def once() -> tuple[Verdict, float]:
        sides = _dealt(processes, samples, draw, factor, alternate=alternate)
        loss = time_loss(*sides, noise=noise).measured
        return ("undecided", math.nan) if loss is None else (decide(loss, rule)[0], math.log1p(loss.loss))

    first, ratio = once()
    return Trial(once()[0] if first == "regression" else first, first, ratio)


def _dealt(
    processes: Sequence[Process], samples: int, draw: random.Random, factor: float, *, alternate: bool
) -> tuple[Samples, Samples]:
    """Two sides from one stretch of neighbours."""
    long = [process for process in processes if len(process) >= 2 * samples]
    stretch = draw.choices(long, [len(process) - 2 * samples + 1 for process in long])[0]
    start = draw.randrange(len(stretch) - 2 * samples + 1)
    ours, theirs = [], []
    for i in range(start, start + 2 * samples, 2):
        pair = stretch[i : i + 2]
        order = draw.random() < 0.5
        ours.append(pair[order])
        theirs.append(pair[not order] * factor)
    if not alternate:
        return Samples((tuple(ours),)), Samples((tuple(theirs),))
    parts = min(samples, BLOCKS)
    cuts = [samples * i // parts for i in range(parts + 1)]

    def in_turn(side: Sequence[float], number: int) -> Samples:
        runs = tuple(tuple(side[a:b]) for a, b in pairwise(cuts))
        return Samples(runs, tuple(f"{turn:03}/{number}" for turn in range(parts)))

    return in_turn(ours, 0), in_turn(theirs, 1)
