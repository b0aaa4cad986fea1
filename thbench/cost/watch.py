"""One generation under the clock."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from thbench.cost.device import Device
    from thbench.types import Method, Request


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where times come from; tests give their own."""

    wall: Callable[[], float] = time.perf_counter
    """Seconds on the wall."""
    processor: Callable[[], float] = time.process_time
    """Processor seconds of this process, all threads together."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one generation took; the fields are those of a `Trial`."""

    seconds: Mapping[str, float]
    device_seconds: Mapping[str, float]
    samples: Mapping[str, tuple[float, ...]]


@dataclass(slots=True)
class _Steps:
    """Marks at the calls of `on_step`."""

    device: Device
    marks: list[tuple[str, int, Any]] = field(default_factory=list)

    def __call__(self, stage: str, step: int, steps: int) -> None:
        self.marks.append((stage, step, self.device.mark()))

    def seconds(self) -> dict[str, tuple[float, ...]]:
        """Stage to the times between its successive steps.

        Whether a method calls before a step or after it, the time between two calls is that of one step. The first step
        of a stage (after it) or the last one (before it) has no second call and is not known.
        """
        found: dict[str, list[float]] = {}
        for (stage, step, start), (next_stage, next_step, end) in itertools.pairwise(self.marks):
            if stage == next_stage and next_step == step + 1:
                found.setdefault(stage, []).append(self.device.between(start, end))
        return {stage: tuple(times) for stage, times in found.items()}


def watch(
    method: Method,
    request: Request,
    device: Device,
    clocks: Clocks = Clocks(),
    *,
    since: float | None = None,
) -> Taken:
    """Generate once and take the time of everything that can be told apart from outside.

    Frames are looked at one by one as they come and thrown away: nothing is stored or encoded meanwhile.

    Args:
        method: What generates.
        request: What it is given.
        device: Where it computes.
        clocks: Where times come from.
        since: Wall time from which `first-frame` and `end-to-end` count, for a cold start; None is the call itself.

    Raises:
        MethodError: The method gave another number of frames than asked for.
    """
    steps = _Steps(device)
    device.synchronise()
    first_mark, busy, called = device.mark(), clocks.processor(), clocks.wall()
    generation = method.generate(request, steps)
    frames = generation.frames
    stamps = [] if isinstance(frames, Path) else _stamps(frames, clocks.wall, request.frames)
    last_mark = device.mark()
    device.synchronise()
    end, busy = clocks.wall(), clocks.processor() - busy
    start = called if since is None else since
    inner = steps.seconds()
    seconds = {
        "end-to-end": end - start,
        "first-frame": (stamps[0] if stamps else end) - start,
        "real-time-factor": (end - start) * request.fps / request.frames,
        "processor": busy,
        **({"frame": (stamps[-1] - stamps[0]) / (len(stamps) - 1)} if len(stamps) > 1 else {}),
        **{f"stage/{name}": float(value) for name, value in generation.seconds.items()},
        **{f"step/{name}": sum(times) / len(times) for name, times in inner.items()},
    }
    samples = {f"step/{name}": times for name, times in inner.items()}
    if len(stamps) > 1:
        samples["frame"] = tuple(b - a for a, b in itertools.pairwise(stamps))
    on_device = {"end-to-end": device.between(first_mark, last_mark)} if device.has_events else {}
    return Taken(seconds, on_device, samples)


def _stamps(frames: Iterable[Any], clock: Callable[[], float], expected: int) -> Sequence[float]:
    """Wall time at which each frame was there."""
    stamps = []
    for _ in frames:
        stamps.append(clock())
        if len(stamps) > expected:
            break
    if len(stamps) != expected:
        more = "more than " if len(stamps) > expected else ""
        raise MethodError(
            f"the method gave {more}{min(len(stamps), expected)} frames; the request asked for {expected}"
        )
    return stamps
