"""Deterministic DDIM (Song et al., "Denoising Diffusion Implicit Models", ICLR 2021, equation 12 with σ = 0)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class DDIM:
    """Which times are visited, and how a latent moves from one to the next."""

    times: tuple[int, ...]
    """What the network is told, in the order visited (downwards)."""
    signal: tuple[float, ...]
    """Cumulative alpha at each of `times`."""
    next_signal: tuple[float, ...]
    """Cumulative alpha after each step; the last is 1, which means clean."""
    predicts: Literal["noise", "clean"]
    """What the network returns."""

    def step(self, index: int, latent: Tensor, prediction: Tensor) -> Tensor:
        """Return the latent after step `index`.

        Args:
            index: 0 for the first step.
            latent: Any shape.
            prediction: What the network made of it, same shape.
        """
        return self.estimate(index, index + 1, latent, prediction)

    def estimate(self, index: int, later: int, latent: Tensor, prediction: Tensor) -> Tensor:
        """Return the latent that would enter a later step if clean latent and noise stayed as predicted.

        Args:
            index: Step of the prediction.
            later: A step after it.
            latent: What entered step `index`.
            prediction: What the network made of it, same shape.
        """
        clean, noise = self.split(index, latent, prediction)
        after = self.next_signal[later - 1]
        return math.sqrt(after) * clean + math.sqrt(1 - after) * noise

    def split(self, index: int, latent: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Return the clean latent and the noise that a latent and its prediction stand for at step `index`."""
        alpha = self.signal[index]
        if self.predicts == "noise":
            return (latent - math.sqrt(1 - alpha) * prediction) / math.sqrt(alpha), prediction
        return prediction, (latent - math.sqrt(alpha) * prediction) / math.sqrt(1 - alpha)


def ddim(alpha_bars: Sequence[float], times: Sequence[int], predicts: Literal["noise", "clean"]) -> DDIM:
    """Return the sampler that visits some times.

    Args:
        alpha_bars: Cumulative alpha by time.
        times: Rising times; each is left for the one before it, the lowest for clean.
        predicts: What the network returns.
    """
    signal = [float(alpha_bars[time]) for time in times]
    down = tuple(reversed(times)), tuple(reversed(signal)), tuple(reversed([1.0, *signal[:-1]]))
    return DDIM(*down, predicts=predicts)


def linear_betas(steps: int, start: float, end: float) -> Tensor:
    """Return (steps,) noise variances, rising linearly."""
    return torch.linspace(start, end, steps, dtype=torch.float32)
