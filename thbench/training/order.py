"""What `thbench train` tells a trainer. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Order:
    """What to train, on what, and where to keep what is on the way."""

    method: str
    """Registry name."""
    preset: str
    """One of its presets."""
    command: str
    """What was typed, for the card."""
    data: Path
    """Folder of the train split."""
    work: Path
    """Folder of checkpoints; a training that was interrupted goes on from there."""
    out: Path | None = None
    """Folder for weights and cards; None takes the method's own."""
    clips: int | None = None
    """How many clips, from the first; None takes all."""
    share: float = 1.0
    """Share of the published number of steps, for a trial; at 1 the recipe is the shipped one."""
    threads: int = 1
    """Of torch."""
