"""MEMO's rectified flow: straight paths from noise to latents, Euler steps.

Source: arXiv 2412.04448, section 3.4; FlowMatchEulerDiscreteScheduler of huggingface/diffusers 0.31 as memoavatar/memo
makes it (no shift).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

TRAIN_STEPS = 1000
"""Noise levels are told to the network times this."""


@dataclass(frozen=True, slots=True)
class EulerFlow:
    """Which times are visited, and how a latent moves from one to the next."""

    times: tuple[float, ...]
    """What the network is told: 1000 times the noise level, in the order visited (downwards)."""

    def step(self, index: int, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent after step `index`, moved along the velocity (noise less clean) to the next level."""
        return self.estimate(index, index + 1, latent, velocity)

    def estimate(self, index: int, later: int, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent that would enter step `later` if the velocity of step `index` stayed as predicted."""
        after = self.times[later] if later < len(self.times) else 0.0
        return latent + (after - self.times[index]) / TRAIN_STEPS * velocity


def sampler(steps: int) -> EulerFlow:
    """Return Euler steps whose levels fall in equal lengths from 1 to 0.001, and from there to 0.

    Raises:
        UsageError: There is no step.
    """
    if steps < 1:
        raise UsageError(f"{steps} denoising steps; at least 1 is allowed")
    span = (TRAIN_STEPS - 1) / max(steps - 1, 1)
    return EulerFlow(tuple(TRAIN_STEPS - index * span for index in range(steps)))
