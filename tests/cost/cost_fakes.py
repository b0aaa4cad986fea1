"""Methods, a clock and a device whose behaviour is known, importable by fresh processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thbench.cost.record import Bytes, Protocol, Trial
from thbench.errors import MethodError
from thbench.types import Audio, Generation, Request


@dataclass
class FakeClock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


CLOCK = FakeClock()
"""Of the methods below that do not really work."""


@dataclass
class FakeDevice:
    """A device with events whose time runs three times slower than the host's."""

    clock: FakeClock
    name: str = "fake:0"
    has_events: bool = True
    log: list[str] = field(default_factory=list)
    peak: int = 0
    title: str = "a made device"
    versions: dict[str, str] = field(default_factory=lambda: {"cuda": "99.9"})

    def synchronise(self) -> None:
        self.log.append("synchronise")

    def mark(self) -> float:
        return self.clock.now * 3

    def between(self, start: float, end: float) -> float:
        return end - start

    def reset_peaks(self) -> None:
        self.peak = 0

    def peaks(self) -> Bytes:
        return Bytes(allocated=self.peak, reserved=2 * self.peak)

    def in_use(self) -> int | None:
        return 3 * self.peak

    def held(self) -> int | None:
        return self.peak


def request(frames: int = 5, fps: float = 25.0) -> Request:
    audio = Audio(np.zeros(int(16000 * frames / fps), np.float32), 16000)
    return Request(np.zeros((8, 6, 3), np.uint8), audio, fps, frames)


FRAME = np.zeros((8, 6, 3), np.uint8)


class Scripted:
    """Takes 1 s before anything, 0.5 s per step for three steps after which it reports, then 0.25 s per frame."""

    load_seconds = 4.0
    factor = 1.0

    def __init__(self, preset: str = "default", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        CLOCK.advance(self.load_seconds)
        self.factor = 0.5 if accelerations else 1.0

    def generate(self, request: Request, on_step: Any = None) -> Generation:
        CLOCK.advance(1.0 * self.factor)
        for index in range(3):
            CLOCK.advance(0.5 * self.factor)
            if on_step:
                on_step("denoise", index, 3)

        def frames() -> Any:
            for _ in range(request.frames):
                CLOCK.advance(0.25 * self.factor)
                yield FRAME

        return Generation(frames(), seconds={"audio": 0.75})


class TooFew(Scripted):
    def generate(self, request: Request, on_step: Any = None) -> Generation:
        return Generation([FRAME] * (request.frames - 1))


class Refuses(Scripted):
    def generate(self, request: Request, on_step: Any = None) -> Generation:
        raise MethodError("this one refuses; ask another")


class Sleepy:
    """Really takes time: 4 ms per frame, or less when accelerated."""

    seconds = 0.004

    def __init__(self, preset: str = "default", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        self.seconds = self.seconds / 2 if accelerations else self.seconds

    def generate(self, request: Request, on_step: Any = None) -> Generation:
        return Generation(self._frames(request.frames))

    def _frames(self, count: int) -> Any:
        for _ in range(count):
            time.sleep(self.seconds)
            yield FRAME


class Hungry(Sleepy):
    """Holds 60 MiB from its loading on, and needs 100 MiB more for a moment."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        self.kept = np.ones(60 * 2**20, np.uint8)

    def generate(self, request: Request, on_step: Any = None) -> Generation:
        for index in range(2):
            moment = np.ones(100 * 2**20 if index else 2**10, np.uint8)
            del moment
            if on_step:
                on_step("small" if index == 0 else "large", 0, 1)
        return Generation([FRAME] * request.frames)


class Leaky(Sleepy):
    """Keeps 2 MiB of each generation."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        self.kept: list[Any] = []

    def generate(self, request: Request, on_step: Any = None) -> Generation:
        self.kept.append(np.ones(2 * 2**20, np.uint8))
        return Generation([FRAME] * request.frames)


class Crashes(Sleepy):
    def generate(self, request: Request, on_step: Any = None) -> Generation:
        import os

        os._exit(7)


class Torchy(Sleepy):
    """Weights of 4 MB, and 40 MB for a moment."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        import torch

        self.weights = torch.ones(1_000_000)

    def generate(self, request: Request, on_step: Any = None) -> Generation:
        import torch

        moment = torch.empty(10_000_000)
        del moment
        if on_step:
            on_step("denoise", 0, 1)
        return Generation([FRAME] * request.frames)


def protocol(**changes: Any) -> Protocol:
    given = {"processes": 2, "cold_starts": 1, "warm_ups": 1, "min_rounds": 2, "min_seconds": 0.0, "max_rounds": 5}
    return Protocol(**(given | changes))


def trials(values: dict[str, list[list[float]]], measure: str = "end-to-end") -> list[Trial]:
    """Measured trials: variant to processes to rounds to value."""
    return [
        Trial(variant=variant, kind="measured", process=p, round=r, position=0, seconds={measure: value})
        for variant, processes in values.items()
        for p, rounds in enumerate(processes)
        for r, value in enumerate(rounds)
    ]
