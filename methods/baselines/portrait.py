"""The baseline that does not move."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

from thbench.types import Generation

if TYPE_CHECKING:
    from thbench.types import OnStep, Request


class StaticPortrait:
    """The portrait, once for each frame."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        pass

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Repeat the portrait."""
        return Generation(frames=repeat(request.portrait, request.frames))
