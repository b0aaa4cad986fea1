"""Methods whose faults can be planted: as they are, slower, out of step with the sound, with fewer steps, or too good.

The environment variable says which, so that fresh processes know as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from thbench.spec import MethodSpec
from thbench.types import Generation, OnStep, Request

VARIABLE = "THBENCH_TEST_PLANT"
STEPS = 10
"""Denoising steps where none are planted."""

WARPED = MethodSpec(
    name="planted",
    title="mouth-warp with a fault",
    kind="external",
    factory="planted_method:Warped",
    inputs=frozenset({"reference"}),
)
DIFFUSED = MethodSpec(
    name="planted-diffusion",
    title="KDTalker in ten denoising steps, with a fault",
    kind="external",
    factory="planted_method:Diffused",
    extra="torch",
)


class Warped:
    """mouth-warp; `shift3`, `sleep0.15` and `reference` are its faults."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        from thbench_methods.baselines.mouth_warp import MouthWarp

        self._inner = MouthWarp()

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        plant = os.environ.get(VARIABLE, "")
        if plant == "reference":
            assert request.reference is not None
            return Generation(frames=request.reference)
        if plant.startswith("shift"):
            return self._inner.generate(later(request, int(plant.removeprefix("shift"))), on_step)
        if plant.startswith("sleep"):
            start = time.perf_counter()
            return slowed(self._inner.generate(request, on_step), start, float(plant.removeprefix("sleep")))
        return self._inner.generate(request, on_step)


class Diffused:
    """KDTalker, small preset; `steps8` and `shift3` are its faults."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        from thbench_methods.kdtalker.pipeline import KDTalker

        self._inner = KDTalker("mini", device)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        plant = os.environ.get(VARIABLE, "")
        steps = int(plant.removeprefix("steps")) if plant.startswith("steps") else STEPS
        shift = int(plant.removeprefix("shift")) if plant.startswith("shift") else 0
        return self._inner.generate(replace(later(request, shift), controls={"steps": steps}), on_step)


def later(request: Request, frames: int) -> Request:
    """The sound comes some frames later than it should; its end is lost."""
    shift = round(frames * request.audio.rate / request.fps)
    samples = np.concatenate([np.zeros(shift, np.float32), request.audio.samples])[: len(request.audio.samples)]
    return replace(request, audio=replace(request.audio, samples=samples))


def slowed(generation: Generation, start: float, share: float) -> Generation:
    """The whole takes so much longer, asleep at the end."""
    return replace(generation, frames=_slow(generation.frames, start, share))


def _slow(frames: Any, start: float, share: float) -> Iterator[Any]:
    yield from frames
    time.sleep(share * (time.perf_counter() - start))
