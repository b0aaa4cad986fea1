"""Memory in passes of their own, so that looking at it disturbs no clock: peaks by stage, allocations, leaks."""

from __future__ import annotations

import gc
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thbench.cost.host import PeakSampler, tree_rss
from thbench.cost.record import Bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from thbench.cost.device import Device
    from thbench.types import Method, OnStep, Request

LOAD, GENERATE, REST = "load", "generate", "rest"
"""Stages that a method does not name: building it; generating without a word; what follows the last step."""


def generate_all(method: Method, request: Request, on_step: OnStep | None = None) -> None:
    """Generate and throw the frames away."""
    frames = method.generate(request, on_step).frames
    if not isinstance(frames, os.PathLike):
        for _ in frames:
            pass


def largest(peaks: Sequence[Bytes]) -> Bytes:
    """Return the highest of each kind; None where nothing is known of it."""

    def highest(kind: str) -> int | None:
        known = [value for peak in peaks if (value := getattr(peak, kind)) is not None]
        return max(known) if known else None

    return Bytes(**{kind: highest(kind) for kind in Bytes.model_fields})


class StagePeaks:
    """Peaks of one stage after another; each reading sets them back.

    Memory between two calls of `on_step` belongs to the stage of the later call: a step is reported when it is done.
    """

    def __init__(self, device: Device, sampler: PeakSampler) -> None:
        self._device = device
        self._sampler = sampler
        self.stages: dict[str, Bytes] = {}

    def start(self) -> None:
        """Begin the first stage."""
        self._device.reset_peaks()
        self._sampler.restart()

    def close(self, stage: str) -> None:
        """End a stage, or a part of it, and begin the next."""
        on_device = self._device.peaks()
        found = on_device.model_copy(update={"host": self._sampler.peak(), "device": self._sampler.device_peak()})
        before = self.stages.get(stage)
        self.stages[stage] = found if before is None else largest([before, found])
        self.start()

    def on_step(self, stage: str, step: int, steps: int) -> None:
        """Hook for a method."""
        self.close(stage)


def peaks_by_stage(build: Callable[[], Method], request: Request, device: Device) -> tuple[dict[str, Bytes], bool]:
    """Load a method and generate once.

    Returns:
        Stage to peaks, and whether the host's peaks are exact (see `PeakSampler`).
    """
    with PeakSampler(device.in_use) as sampler:
        stages = StagePeaks(device, sampler)
        stages.start()
        method = build()
        stages.close(LOAD)
        generate_all(method, request, stages.on_step)
        stages.close(REST if len(stages.stages) > 1 else GENERATE)
        return stages.stages, sampler.exact


def repeated(
    method: Method, request: Request, device: Device, repeats: int, *, rss: Callable[[], int] = tree_rss
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Memory after each of some generations of the same request: resident, and held on the device."""
    resident, held = [], []
    for _ in range(repeats):
        generate_all(method, request)
        gc.collect()
        device.synchronise()
        resident.append(rss())
        on_device = device.held()
        if on_device is not None:
            held.append(on_device)
    return tuple(resident), tuple(held)


def allocations_by_stage(build: Callable[[], Method], request: Request) -> dict[str, int] | None:
    """Peak of what torch's CPU allocator hands out while a method is loaded and generates, its weights included.

    Counted from the profiler's record of every allocation and release, so it is exact and repeats. It knows torch's own
    tensors only: not NumPy's arrays, memory-mapped weights, or what libraries allocate for themselves.

    Returns:
        Stage to bytes; None if the method does not use torch.
    """
    if "torch" not in sys.modules:
        return None
    from torch.autograd.profiler import profile

    ends: list[tuple[int, str]] = []

    def on_step(stage: str, step: int, steps: int) -> None:
        ends.append((time.time_ns(), stage))

    with _quiet(), profile(use_device=None, profile_memory=True) as record:
        method = build()
        ends.append((time.time_ns(), LOAD))
        generate_all(method, request, on_step)
        ends.append((time.time_ns(), REST if len(ends) > 1 else GENERATE))
    results = record.kineto_results
    events = [] if results is None else [e for e in results.events() if e.name() == "[memory]"]
    return allocation_peaks(sorted((event.start_ns(), event.nbytes()) for event in events), ends)


def allocation_peaks(events: Sequence[tuple[int, int]], ends: Sequence[tuple[int, str]]) -> dict[str, int]:
    """Peak of the running sum in each stage.

    Args:
        events: (time, bytes), releases negative, in order of time.
        ends: (time, stage) at which each part of a stage ended, in order of time; what was in use when it began counts.
    """
    peaks: dict[str, int] = {}
    total, position = 0, 0
    for end, stage in ends:
        highest = total
        while position < len(events) and events[position][0] <= end:
            total += events[position][1]
            highest = max(highest, total)
            position += 1
        peaks[stage] = max(peaks.get(stage, 0), highest)
    return peaks


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what native code prints nowhere: the profiler greets on the error stream."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
