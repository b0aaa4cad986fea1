"""Baselines that play the reference video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.errors import MethodError
from thbench.types import Generation

if TYPE_CHECKING:
    from pathlib import Path

    from thbench.types import OnStep, Request


class GroundTruth:
    """The reference video itself."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        pass

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Return the reference file, untouched."""
        return Generation(frames=_reference(request, "ground-truth"))


class ShuffledAudio:
    """The reference video with another clip's sound."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        pass

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Return the reference file with the sound of another clip.

        Raises:
            MethodError: The dataset has no other clip with sound.
        """
        if request.other_audio is None:
            raise MethodError(
                "shuffled-audio needs a second clip with sound in the dataset; add one or leave the method out"
            )
        return Generation(frames=_reference(request, "shuffled-audio"), audio=request.other_audio)


def _reference(request: Request, name: str) -> Path:
    if request.reference is None:
        raise MethodError(f"{name} replays a reference video, but the request has none; give one in Request.reference")
    return request.reference
