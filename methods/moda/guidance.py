"""MoDA's denoiser under classifier-free guidance, as the sampler loop takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.moda.networks import Condition

if TYPE_CHECKING:
    from thbench_methods.moda.networks import TalkingHeadTransformer
    from torch import Tensor


class Guiding(NamedTuple):
    """What a window is generated from, and the same without speech and emotion."""

    led: Condition
    free: Condition

    def both(self) -> Condition:
        """Return a batch of the free and the led condition."""
        return Condition(*(torch.cat(pair) for pair in zip(self.free, self.led, strict=True)))


@dataclass(frozen=True, slots=True)
class Guided:
    """Predicts the velocity under guidance; a scale of 1 needs one pass instead of two."""

    network: TalkingHeadTransformer
    scale: float

    def full(self, z: Tensor, t: Tensor, condition: Guiding) -> tuple[Tensor, Tensor]:
        """Return the guided velocity of (N, frames, motion), and the input of the last block."""
        if self.scale == 1:
            return self.network.full(z, t, condition.led)
        velocity, deep = self.network.full(z.repeat(2, 1, 1), t.repeat(2), condition.both())
        return self._guided(velocity), deep

    def shallow(self, z: Tensor, t: Tensor, condition: Guiding, deep: Tensor) -> Tensor:
        """Return the guided velocity by the last block alone."""
        if self.scale == 1:
            return self.network.shallow(z, t, condition.led, deep)
        return self._guided(self.network.shallow(z.repeat(2, 1, 1), t.repeat(2), condition.both(), deep))

    def _guided(self, velocity: Tensor) -> Tensor:
        free, led = velocity.chunk(2)
        return torch.lerp(free, led, self.scale)
