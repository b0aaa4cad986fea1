"""Choices of the pass; light, since suites and records name them."""

from __future__ import annotations

from typing import Literal

from thbench.types import Document

MissingFace = Literal["skip", "fail", "hold"]
"""What to do in a frame without a face: leave it out, give up the clip's face metrics, or take the last face."""


class Settings(Document):
    """Choices of the pass that every number depends on."""

    fps: float = 25.0
    """Instants per second; every video is brought to this rate by its timestamps."""
    missing_face: MissingFace = "skip"
    """Policy for frames without a face."""
