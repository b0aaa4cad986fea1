"""Zero-terminal-SNR DDIM with velocity prediction.

Source: Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", WACV 2024, algorithm 1; Salimans and
Ho, "Progressive Distillation", ICLR 2022, appendix D (velocity); DDIMScheduler of huggingface/diffusers 0.27.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.nets.ddim import linear_betas

from thbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

TRAIN_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Diffusion:
    """The noise that the networks were trained with."""

    beta_start: float = 0.00085
    """Noise variance of the first step."""
    beta_end: float = 0.012
    """Of the last, before the signal left at the end is taken away."""


@dataclass(frozen=True, slots=True)
class VelocityDDIM:
    """Which times are visited, and how a latent moves from one to the next."""

    times: tuple[int, ...]
    """What the network is told, in the order visited (downwards)."""
    signal: tuple[float, ...]
    """Cumulative alpha at each of `times`; exactly 0 at the first."""
    next_signal: tuple[float, ...]
    """Cumulative alpha after each step."""

    def step(self, index: int, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent after step `index`.

        Args:
            index: 0 for the first step.
            latent: Any shape.
            velocity: What the network made of it, same shape: sqrt(alpha) noise - sqrt(1 - alpha) clean.
        """
        return self.estimate(index, index + 1, latent, velocity)

    def estimate(self, index: int, later: int, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent that would enter a later step if clean latent and noise stayed as predicted.

        Also where no signal is left at step `index`: velocities stay finite there.

        Args:
            index: Step of the prediction.
            later: A step after it.
            latent: What entered step `index`.
            velocity: What the network made of it, same shape.
        """
        clean, noise = self.split(index, latent, velocity)
        after = self.next_signal[later - 1]
        return math.sqrt(after) * clean + math.sqrt(1 - after) * noise

    def split(self, index: int, latent: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Return the clean latent and the noise that a latent and its velocity stand for at step `index`."""
        kept, lost = math.sqrt(self.signal[index]), math.sqrt(1 - self.signal[index])
        return kept * latent - lost * velocity, kept * velocity + lost * latent


def alpha_bars(diffusion: Diffusion) -> Tensor:
    """Return (1000,) cumulative alphas, shifted and stretched so that the last is exactly 0; float32, as published."""
    alphas = 1 - linear_betas(TRAIN_STEPS, diffusion.beta_start, diffusion.beta_end)
    roots = alphas.cumprod(0).sqrt()
    stretched = ((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))).square()
    # The published code goes through the single steps' betas, which moves the last digits.
    single = torch.cat((stretched[:1], stretched[1:] / stretched[:-1]))
    return (1 - (1 - single)).cumprod(0)


def sampler(steps: int, diffusion: Diffusion) -> VelocityDDIM:
    """Return DDIM whose times trail: 999 first, then down in equal lengths, rounded.

    As published, a step from time t ends at t - 1000 // steps, which is the next time only where `steps` divides 1000.

    Args:
        steps: From 1 to 1000.
        diffusion: The noise schedule.

    Raises:
        UsageError: `steps` is out of range.
    """
    if not 1 <= steps <= TRAIN_STEPS:
        raise UsageError(f"{steps} denoising steps; allowed are 1 to {TRAIN_STEPS}")
    bars = alpha_bars(diffusion).tolist()
    # numpy's own accumulation, because it decides how halves are rounded; it may add a step at 0, which is dropped.
    falling = np.arange(TRAIN_STEPS, 0, -TRAIN_STEPS / steps)[:steps]
    times = tuple(int(time) - 1 for time in falling.round())
    after = (time - TRAIN_STEPS // steps for time in times)
    ends = tuple(bars[time] if time >= 0 else 1.0 for time in after)
    return VelocityDDIM(times, tuple(bars[time] for time in times), ends)
