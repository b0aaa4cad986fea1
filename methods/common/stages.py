"""Seconds by stage of a generation."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thbench.types import OnStep


class Stages:
    """Adds up wall seconds by stage, and passes progress on."""

    def __init__(self, on_step: OnStep | None = None) -> None:
        self.seconds: dict[str, float] = {}
        """Seconds by stage; complete once the frames are exhausted."""
        self._on_step = on_step

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def told(self, stage: str, index: int, count: int) -> None:
        """Tell of a step that is done."""
        if self._on_step is not None:
            self._on_step(stage, index, count)
