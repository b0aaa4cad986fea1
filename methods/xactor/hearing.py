"""Speech features of a sound of any length, encoded section by section as they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.sound import RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

SECTION, MARGIN = 250, 25
"""Frames that are encoded at once, and frames around them that are heard with them."""
KEPT = 3
"""Sections that are kept, the last ones that were encoded."""


@dataclass(slots=True)
class Hearing:
    """Hears around frames; holds no more of a long sound than of a short one.

    Sections lie at whole multiples of their length, so that what is heard at a frame does not depend on what was asked
    for before.
    """

    encode: Callable[[NDArray[np.float32], int, float], Tensor]
    """Samples at 16 kHz, frames and rate to hidden layers (frames, layers, channels)."""
    sound: NDArray[np.float32]
    """Shape (samples,), 16 kHz."""
    frames: int
    """Of the sound; before and behind them the first and the last one are heard on."""
    fps: float
    reach: int
    """Frames to either side that are heard beside those that are asked for."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Of the features."""
    _sections: dict[int, Tensor] = field(default_factory=dict)

    def __call__(self, first: int, frames: int) -> Tensor:
        """Return what is heard around frames: (frames + 2 reach, layers, channels)."""
        wanted = range(first - self.reach, first + frames + self.reach)
        places = [min(max(frame, 0), self.frames - 1) for frame in wanted]
        return torch.stack([self._section(place // SECTION)[place % SECTION] for place in places])

    @torch.inference_mode()
    def _section(self, number: int) -> Tensor:
        known = self._sections.get(number)
        if known is None:
            start = number * SECTION
            stop = min(start + SECTION, self.frames)
            low, high = max(start - MARGIN, 0), min(stop + MARGIN, self.frames)
            samples = self.sound[self._sample(low) : self._sample(high)]
            features = self.encode(samples, high - low, self.fps)[start - low : stop - low]
            known = self._sections[number] = features.to(self.device, torch.float32).clone()
            for old in list(self._sections)[:-KEPT]:
                del self._sections[old]
        return known

    def _sample(self, frame: int) -> int:
        return round(frame / self.fps * RATE)
