"""MoDA's rectified flow: straight paths from noise to motion, Euler steps.

Source: lixinyyang/MoDA, src/models/schedulers/flow_matching.py (without time shifting, which the public code names and
does not apply).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

TRAIN_STEPS = 1000
"""Noise levels are told to the network times this."""
LOWEST = 1 / TRAIN_STEPS
"""Lowest noise level that the network has seen."""


@dataclass(frozen=True, slots=True)
class EulerFlow:
    """Which times are visited, and how a latent moves from one to the next."""

    times: tuple[float, ...]
    """What the network is told: 1000 times the noise level, in the order visited (downwards)."""
    lengths: tuple[float, ...]
    """How much the noise level falls in each step."""

    def step(self, index: int, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent after step `index`, moved against the velocity (noise less clean)."""
        return self.estimate(index, index + 1, latent, velocity)

    def estimate(self, index: int, later: int, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent that would enter step `later` if the velocity of step `index` stayed as predicted."""
        return latent - sum(self.lengths[index:later]) * velocity


def sampler(steps: int) -> EulerFlow:
    """Return Euler steps from noise level 1 to 0.001 in equal lengths, then down to 0.

    As published, the last of `steps` evaluations moves by 0.001 only.
    """
    times = torch.linspace(TRAIN_STEPS, 1, steps, dtype=torch.float64).tolist()
    length = (1 - LOWEST) / (steps - 1) if steps > 1 else 1.0
    return EulerFlow(tuple(times), tuple(min(length, time / TRAIN_STEPS) for time in times))


def training_sigmas() -> Tensor:
    """Return the (1000,) noise levels of training, 0.001 ... 1."""
    return torch.arange(1, TRAIN_STEPS + 1) / TRAIN_STEPS
