"""What this machine reaches: measured rates of matrix products and of copies, and the roofline that they make.

Source: Williams, Waterman & Patterson, "Roofline: an insightful visual performance model", CACM 2009.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from thbench.cost.counted import Bound, MachineRates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from thbench.cost.device import Device
    from thbench.cost.planned import Counted

SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
"""Sides of the square matrices; the best of them counts."""
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}
"""Bytes that are copied: far beyond any cache."""
SECONDS = 0.5
"""Least time for each size."""


def measured_rates(
    device: Device,
    dtype: torch.dtype,
    *,
    clock: Callable[[], float] = time.perf_counter,
    seconds: float = SECONDS,
) -> MachineRates:
    """Measure the best rates of a device.

    They are reached, not promised: convolutions of good shape can come close to them and rarely beyond. Products are
    as exact as torch makes them unless told otherwise; on a GPU it lets float32 convolutions, and not products, use
    TF32, and those can go beyond.

    Args:
        device: Where.
        dtype: Number format.
        clock: Host clock.
        seconds: Least time for each measurement.
    """
    kind = device.name.partition(":")[0]
    flops = 0.0
    for size in SIZES[kind]:
        a, b = (torch.full((size, size), 0.5, dtype=dtype, device=device.name) for _ in range(2))
        out = torch.empty_like(a)
        best = _best(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), device, clock, seconds)  # type: ignore[misc]
        flops = max(flops, 2 * size**3 / best)
    count = COPY_BYTES[kind] // torch.empty((), dtype=dtype).element_size()
    source = torch.full((count,), 0.5, dtype=dtype, device=device.name)
    target = torch.empty_like(source)
    best = _best(lambda: target.copy_(source), device, clock, seconds)
    return MachineRates(
        dtype=str(dtype).removeprefix("torch."),
        threads=torch.get_num_threads() if kind == "cpu" else None,
        flops_per_second=flops,
        bytes_per_second=2 * COPY_BYTES[kind] / best,
    )


def limits(counted: Mapping[str, Sequence[Counted]], device: Device, dtype: torch.dtype) -> dict[str, Bound]:
    """Measure a device once, and say the least time of some variants on it.

    Args:
        counted: Variant to its parts, from `thbench.cost.planned.count`.
        device: Where.
        dtype: Number format.
    """
    rates, title = measured_rates(device, dtype), device_title(device)
    found = {}
    for variant, parts in counted.items():
        fused, single = bound(parts, rates)
        found[variant] = Bound(rates=rates, device_name=title, fused=fused, single=single)
    return found


def bound(parts: Sequence[Counted], rates: MachineRates) -> tuple[float, float]:
    """Least seconds for a workload on a machine.

    Returns:
        With everything fused, so that only parameters, inputs and outputs move; and with each operation by itself. The
        first cannot be beaten at these rates, the second only by fusing operations or by caches.
    """
    fused = sum(
        c.part.calls * max(c.part.flops / rates.flops_per_second, c.part.least_bytes / rates.bytes_per_second)
        for c in parts
    )
    single = sum(c.part.calls * c.tally.least_seconds(rates.flops_per_second, rates.bytes_per_second) for c in parts)
    return fused, single


def _best(work: Callable[[], object], device: Device, clock: Callable[[], float], seconds: float) -> float:
    """Least seconds of one call, over calls for so long and at least three."""
    work()
    device.synchronise()
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < 3:
        start = clock()
        work()
        device.synchronise()
        taken.append(clock() - start)
    return min(taken)


def device_title(device: Device) -> str:
    """Model of the processor or GPU."""
    return device.title
