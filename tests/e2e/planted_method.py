"""A method whose faults can be planted: mouth-warp as it is, slower, out of step with the sound, or too good.

The environment variable says which, so that fresh processes know as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from thbench_methods.baselines.mouth_warp import MouthWarp

from thbench.spec import MethodSpec
from thbench.types import Generation, OnStep, Request

VARIABLE = "THBENCH_TEST_PLANT"

SPEC = MethodSpec(
    name="planted",
    title="mouth-warp with a fault",
    kind="external",
    factory="planted_method:Planted",
    inputs=frozenset({"reference"}),
)


class Planted:
    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        self._inner = MouthWarp()

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        plant = os.environ.get(VARIABLE, "")
        if plant == "reference":
            assert request.reference is not None
            return Generation(frames=request.reference)
        if plant.startswith("shift"):
            return self._inner.generate(later(request, int(plant.removeprefix("shift"))), on_step)
        if plant.startswith("sleep"):
            return replace_frames(self._inner.generate(request, on_step), float(plant.removeprefix("sleep")))
        return self._inner.generate(request, on_step)


def later(request: Request, frames: int) -> Request:
    """The sound comes some frames later than it should; its end is lost."""
    shift = round(frames * request.audio.rate / request.fps)
    samples = np.concatenate([np.zeros(shift, np.float32), request.audio.samples])[: len(request.audio.samples)]
    return replace(request, audio=replace(request.audio, samples=samples))


def replace_frames(generation: Generation, share: float) -> Generation:
    """Every frame takes so much longer, asleep."""
    return replace(generation, frames=_slow(generation.frames, share))


def _slow(frames: Any, share: float) -> Iterator[Any]:
    iterator = iter(frames)
    while True:
        start = time.perf_counter()
        frame = next(iterator, None)
        if frame is None:
            return
        time.sleep(share * (time.perf_counter() - start))
        yield frame
