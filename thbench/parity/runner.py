"""Runs fixtures through the adapters of their targets and compares.

An adapter is a callable that takes a `Fixture`, builds the network, fills it with the fixture's weights, feeds it the
inputs and returns whole outputs by name. Packages register theirs with an entry point of the group `thbench.parity`
that names a mapping from target to `module:callable`; the entry point's own name is free.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from thbench.errors import ThbenchError, UsageError
from thbench.parity.fixture import Fixture, cut, read_fixture
from thbench.spec import load
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

GROUP = "thbench.parity"
"""Entry-point group of the tables of targets."""
FAILURES = (ThbenchError, ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What a network that does not fit its fixture may raise; one such fixture must not hide the others."""

logger = logging.getLogger(__name__)

Adapter = Callable[[Fixture], Mapping[str, Any]]
"""Fixture to whole outputs by name: arrays, or anything that numpy can make one of."""


class Agreement(Document):
    """How far one output is from the expected one."""

    output: str
    """Name of the output."""
    error: float
    """max|ours - expected| / max|expected|; infinite when there is nothing to compare."""
    tolerance: float
    """Largest accepted error."""
    passed: bool
    """Whether the error is within the tolerance."""
    problem: str | None = None
    """Why there is nothing to compare: missing, another shape, not finite."""


class Outcome(Document):
    """What came of one fixture."""

    folder: str
    """Where the fixture lies."""
    target: str
    """Network or function."""
    status: Literal["passed", "failed", "no adapter"]
    """`no adapter` counts as failure."""
    message: str | None = None
    """Why nothing could be compared."""
    outputs: tuple[Agreement, ...] = ()
    """One for each expected output."""
    seconds: float = 0.0
    """Wall time of building, filling and running the network."""


class Report(Document):
    """Outcomes of several fixtures, for machines."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    fixtures: tuple[Outcome, ...]
    """In the order in which they ran."""


def find_targets(points: Iterable[EntryPoint] | None = None) -> dict[str, str]:
    """Collect the targets that installed packages can check.

    Args:
        points: Entry points to read; those of the group `thbench.parity` by default.

    Returns:
        Target name to `module:callable`, sorted by name.

    Raises:
        UsageError: An entry point cannot be read or is no such mapping, or a target is taken twice.
    """
    targets: dict[str, str] = {}
    for point in sorted(set(entry_points(group=GROUP) if points is None else points), key=lambda p: (p.name, p.value)):
        where = f"entry point {point.name!r} = {point.value!r} of group {GROUP!r}"
        try:
            table = point.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(f"{where} cannot be read: {error}; reinstall or remove that package") from error
        if not isinstance(table, Mapping) or not all(isinstance(text, str) for pair in table.items() for text in pair):
            raise UsageError(f"{where} is no mapping from target to 'module:callable'; correct or remove that package")
        taken = sorted(name for name in table if targets.get(name, table[name]) != table[name])
        if taken:
            raise UsageError(f"{where} takes {', '.join(taken)}, which another package has taken; remove one of them")
        targets.update(table)
    return dict(sorted(targets.items()))


def check(folder: Path, targets: Mapping[str, str]) -> Outcome:
    """Run one fixture.

    Args:
        folder: The fixture.
        targets: Target name to `module:callable` of its adapter.
    """
    try:
        fixture = read_fixture(folder)
    except ThbenchError as error:
        return Outcome(folder=str(folder), target=folder.name, status="failed", message=str(error))
    if fixture.target not in targets:
        return Outcome(
            folder=str(folder),
            target=fixture.target,
            status="no adapter",
            message=f"nothing installed can run {fixture.target!r}",
        )
    started = time.perf_counter()
    try:
        adapter: Adapter = load(targets[fixture.target], purpose=f"parity target {fixture.target!r}")
        outputs = adapter(fixture)
        agreements = tuple(compare(fixture, outputs))
    except FAILURES as error:
        logger.debug("%s", folder, exc_info=True)
        message = str(error) if isinstance(error, ThbenchError) else f"{type(error).__name__}: {error}"
        return Outcome(folder=str(folder), target=fixture.target, status="failed", message=message)
    return Outcome(
        folder=str(folder),
        target=fixture.target,
        status="passed" if agreements and all(agreement.passed for agreement in agreements) else "failed",
        message=None if agreements else "the fixture expects no output, so it shows nothing",
        outputs=agreements,
        seconds=time.perf_counter() - started,
    )


def compare(fixture: Fixture, outputs: Mapping[str, Any]) -> list[Agreement]:
    """Compare whole outputs with the slices that a fixture expects, in the fixture's order."""
    return [_agreement(fixture, name, outputs) for name in fixture.expected]


def _agreement(fixture: Fixture, name: str, outputs: Mapping[str, Any]) -> Agreement:
    entry = fixture.spec["outputs"][name]
    tolerance = fixture.tolerance(name)
    if name not in outputs:
        return _incomparable(name, tolerance, "no such output")
    ours = np.asarray(outputs[name])
    whole = tuple(entry.get("shape", ours.shape))
    if ours.shape != whole:
        return _incomparable(name, tolerance, f"shape {ours.shape} instead of {whole}")
    error, problem = difference(cut(ours, entry.get("slice", "")), fixture.expected[name])
    return Agreement(output=name, error=error, tolerance=tolerance, passed=error <= tolerance, problem=problem)


def _incomparable(name: str, tolerance: float, problem: str) -> Agreement:
    return Agreement(output=name, error=float("inf"), tolerance=tolerance, passed=False, problem=problem)


def difference(ours: NDArray[Any], expected: NDArray[Any]) -> tuple[float, str | None]:
    """Return max|ours - expected| / max|expected| (divided by one where all of `expected` is zero), and what is wrong.

    Differences are taken in float64. The first value is infinite where the two cannot be compared; the second then says
    why.
    """
    if ours.shape != expected.shape:
        return float("inf"), f"slice of shape {ours.shape} instead of {expected.shape}"
    ours, expected = ours.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(ours).all():
        return float("inf"), f"{np.count_nonzero(~np.isfinite(ours))} of {ours.size} values are not finite"
    if expected.size == 0:
        return 0.0, None
    scale = float(np.abs(expected).max())
    return float(np.abs(ours - expected).max() / (scale or 1.0)), None
