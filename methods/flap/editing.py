"""Edits of head coefficients: every control changes its own coefficients and no others.

Source: arXiv 2502.19455, section on controls: rotation is set or added to, blink frequency is an edit of the lids,
expression is replaced as a group. Curves of presets and of a blink are the project's choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.flap.spec import AS_MADE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.flap.config import Layout
    from torch import Tensor

BLINK_SECONDS = 0.28
"""Length of a blink, 7 frames at 25 per second."""
JITTER = 0.3
"""By how much of its length the time between two blinks differs at most."""
CURVES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "turn": ((20.0, 4.0), (0.0, 1.0), (0.0, 1.0)),
    "nod": ((0.0, 1.0), (10.0, 1.6), (0.0, 1.0)),
    "tilt": ((0.0, 1.0), (0.0, 1.0), (12.0, 3.0)),
    "look-around": ((20.0, 6.0), (8.0, 3.0), (0.0, 1.0)),
}
"""Preset to amplitude (degrees) and period (seconds) of the sine of yaw, pitch and roll."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What is changed of generated coefficients; all tracks are in the coefficients' own units."""

    rotation: Tensor | None = None
    """In the place of the generated one, (frames, 3); None keeps it."""
    turned: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Degrees that are added to yaw, pitch and roll."""
    lids: Tensor | None = None
    """Curve of blinks, (frames,), range [0, 1]; None keeps the generated lids."""
    face: Tensor | None = None
    """In the place of the generated face, (frames, face); its lids are not taken. None keeps it."""
    scale: float = 1.0
    """Of the difference of jaw and expression from the portrait's."""

    def applied(self, track: Tensor, own: Tensor, layout: Layout) -> Tensor:
        """Return edited coefficients (frames, total) of generated ones.

        Args:
            track: Shape (frames, total).
            own: The portrait's, (total,).
            layout: Which are which.
        """
        made, rotation, lids = track.clone(), slice(0, layout.rotation), layout.lid_places
        if self.rotation is not None:
            made[:, rotation] = self.rotation
        made[:, rotation] += torch.tensor(self.turned).deg2rad().to(made)
        if self.face is not None:
            made[:, layout.head :] = self.face
            made[:, lids] = track[:, lids]
        moved = [*range(layout.head + layout.eyes, lids.start), *range(lids.stop, layout.total)]
        # Exactly what was made at a scale of 1.
        made[:, moved] = torch.lerp(own[moved], made[:, moved], self.scale)
        if self.lids is not None:
            made[:, lids] = blinking(made[:, lids], self.lids)
        return made


def blinking(lids: Tensor, curve: Tensor) -> Tensor:
    """Return lids (frames, n) that blink by a curve (frames,) and by nothing else.

    What was made is kept below its median, so that its own blinks go and how wide the eyes are open stays.
    """
    rest = torch.minimum(lids, lids.median(dim=0).values)
    return torch.maximum(rest, curve[:, None].to(rest))


def blink_curve(frames: int, fps: float, per_minute: float, generator: torch.Generator) -> Tensor:
    """Return closure (frames,) of blinks, raised cosines whose times apart differ at random.

    Args:
        frames: Of the clip.
        fps: Frames per second.
        per_minute: Blinks; 0 gives none.
        generator: Of the times.
    """
    times = torch.arange(frames, dtype=torch.float64) / fps
    curve = torch.zeros(frames, dtype=torch.float64)
    if per_minute <= 0:
        return curve.float()
    apart = 60 / per_minute
    # The first one comes half a time apart from the start, so that short clips have as many as long ones by the minute.
    middle = apart * (0.5 + JITTER * _uniform(generator) / 2)
    while middle < frames / fps:
        inside = (times - middle).abs() < BLINK_SECONDS / 2
        wave = 0.5 + 0.5 * torch.cos((times - middle) / BLINK_SECONDS * 2 * math.pi)
        curve = torch.maximum(curve, torch.where(inside, wave, 0.0))
        middle += apart * (1 + JITTER * _uniform(generator))
    return curve.float()


def preset_track(name: str, own: Tensor, frames: int, fps: float) -> Tensor:
    """Return rotation (frames, 3), radians, of a movement with a name that begins at the portrait's rotation (3,)."""
    times = torch.arange(frames) / fps
    waves = [amplitude * torch.sin(2 * math.pi * times / period) for amplitude, period in CURVES[name]]
    return own + torch.stack(waves, dim=1).deg2rad().to(own)


def asked_turn(controls: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the degrees that controls add to yaw, pitch and roll."""
    return controls["yaw"], controls["pitch"], controls["roll"]


def asked_blinks(controls: Mapping[str, Any], frames: int, fps: float, generator: torch.Generator) -> Tensor | None:
    """Return the curve of the blinks that controls ask for; None where they are left to speech."""
    rate = controls["blinks"]
    return None if rate == AS_MADE else blink_curve(frames, fps, rate, generator)


def _uniform(generator: torch.Generator) -> float:
    """A number from -1 to 1."""
    return float(2 * torch.rand((), generator=generator, dtype=torch.float64) - 1)
