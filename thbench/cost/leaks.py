"""Whether memory grows from one repetition of the same generation to the next."""

from __future__ import annotations

from itertools import combinations, pairwise
from statistics import median
from typing import TYPE_CHECKING

from thbench.cost.record import LeakCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

REPEATS = 20
LIMIT_HOST = 2.0**18
"""Bytes per generation; a thousand of them then cost 256 MiB. Allocators and page tables move by less."""
LIMIT_DEVICE = 512.0
"""The smallest block of torch's allocator on a GPU: what it has handed out is known exactly."""
RISING = 0.6
"""Share of the steps of the second half that rise; growth by a single jump is no leak."""


def leak_check(variant: str, host: Sequence[int], allocated: Sequence[int] = ()) -> LeakCheck:
    """Judge memory after each of some repetitions.

    The first half is left out: caches and pools fill then. Growth of either kind is a leak: of resident memory on the
    host, or of what torch holds on a device, which is known exactly.

    Args:
        variant: Which variant.
        host: Resident bytes after each repetition.
        allocated: Bytes held on the device.
    """
    on_host = growth(host)
    leaks = on_host > LIMIT_HOST and _keeps_rising(host)
    if allocated:
        leaks = leaks or (growth(allocated) > LIMIT_DEVICE and _keeps_rising(allocated))
    return LeakCheck(
        variant=variant, host=tuple(host), allocated=tuple(allocated), growth=on_host, limit=LIMIT_HOST, leaks=leaks
    )


def growth(values: Sequence[int]) -> float:
    """Units per repetition: the median slope over all pairs of the second half (Theil 1950, Sen 1968).

    Example:
        >>> growth([0, 5, 10, 20, 30, 40])
        10.0
    """
    late = list(enumerate(values))[len(values) // 2 :]
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in combinations(late, 2)]
    return float(median(slopes)) if slopes else 0.0


def _keeps_rising(values: Sequence[int]) -> bool:
    late = values[len(values) // 2 :]
    steps = [b > a for a, b in pairwise(late)]
    return bool(steps) and sum(steps) >= RISING * len(steps)
