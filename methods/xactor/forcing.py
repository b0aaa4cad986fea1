"""Diffusion forcing: noise levels of chunks, how they fall in sampling, and the denoiser that is told them.

A sampler is a table of noise levels with a row for each moment and a column for each chunk that is being denoised.
Levels fall from row to row, and within a row towards the past. One column denoises chunk by chunk; several roll through
a pyramid: each time the oldest is clean it leaves, and a new one of pure noise enters.

Source: X-Actor, arXiv 2508.02944 (asynchronous noise levels, decreasing schedule over the history); Chen et al.,
"Diffusion Forcing", NeurIPS 2024, section 3 and algorithm 2; Song et al., DDIM, ICLR 2021, equation 12 with σ = 0;
Nichol and Dhariwal, ICML 2021, equation 17 (cosine schedule).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from thbench.errors import UsageError

if TYPE_CHECKING:
    from thbench_methods.xactor.actor import ActorTransformer, Condition
    from torch import Tensor

TOP = 1000
"""Noise level of pure noise; 0 is clean."""
COSINE_SHIFT = 0.008

Row = tuple[int, ...]
"""Noise level of each chunk, the oldest first."""


def signals() -> Tensor:
    """Return (1001,) cumulative alphas by noise level, float64: 1 at level 0, 0 at the top."""
    share = torch.arange(TOP + 1, dtype=torch.float64) / TOP
    curve = ((share + COSINE_SHIFT) / (1 + COSINE_SHIFT) * (math.pi / 2)).cos().square()
    kept = curve / curve[0]
    kept[TOP] = 0.0
    return kept


def noised(clean: Tensor, levels: Tensor, noise: Tensor) -> Tensor:
    """Return motion (B, frames, m) at the noise levels (B, n) of n equal parts of the frames."""
    kept = signals().to(levels.device)[levels].repeat_interleave(clean.shape[1] // levels.shape[1], dim=1)[..., None]
    return kept.sqrt().to(clean) * clean + (1 - kept).sqrt().to(clean) * noise


def ladder(steps: int) -> tuple[int, ...]:
    """Return steps + 1 noise levels from the top to 0, in equal lengths."""
    return tuple(round(TOP * (1 - rung / steps)) for rung in range(steps + 1))


def opening(steps: int, in_flight: int) -> tuple[Row, ...]:
    """Return the rows that make the first chunk clean; each later one starts as many steps after the one before.

    Raises:
        UsageError: The steps cannot be shared out among the chunks.
    """
    lag, rungs = _lag(steps, in_flight), ladder(steps)
    return tuple(
        tuple(rungs[max(moment - chunk * lag, 0)] for chunk in range(in_flight)) for moment in range(steps + 1)
    )


def following(steps: int, in_flight: int) -> tuple[Row, ...]:
    """Return the rows that make the oldest chunk clean, once the one before has left and a new one has entered.

    Raises:
        UsageError: The steps cannot be shared out among the chunks.
    """
    lag, rungs = _lag(steps, in_flight), ladder(steps)
    return tuple(
        tuple(rungs[steps - (chunk + 1) * lag + moment] for chunk in range(in_flight)) for moment in range(lag + 1)
    )


def _lag(steps: int, in_flight: int) -> int:
    if in_flight < 1 or steps < 1 or steps % in_flight:
        raise UsageError(
            f"{steps} denoising steps for {in_flight} chunks at once; the chunks must be 1 or more and divide the steps"
        )
    return steps // in_flight


@dataclass(frozen=True, slots=True)
class LevelDDIM:
    """Moves each chunk from its noise level in one row of a table to that in the next; for predictions of the clean."""

    rows: tuple[Row, ...]
    """One more than there are steps."""

    @property
    def times(self) -> tuple[int, ...]:
        """Numbers of the rows, in the order visited; the denoiser looks the levels up."""
        return tuple(range(len(self.rows) - 1))

    def step(self, index: int, latent: Tensor, clean: Tensor) -> Tensor:
        """Return the motion after step `index`.

        Args:
            index: 0 for the first step.
            latent: Shape (B, chunks L, m).
            clean: What the network made of it, same shape.
        """
        before, after = (
            self._kept(row, latent.shape[1]).to(latent.device) for row in (self.rows[index], self.rows[index + 1])
        )
        rest = (1 - before).sqrt().to(latent)
        noise = (latent - before.sqrt().to(latent) * clean) / rest.clamp(min=torch.finfo(latent.dtype).tiny)
        moved = after.sqrt().to(latent) * clean + (1 - after).sqrt().to(latent) * noise
        return torch.where(before == after, latent, moved)

    def _kept(self, row: Row, frames: int) -> Tensor:
        """Return the cumulative alphas of a row by frame, (frames, 1), float64."""
        return signals()[list(row)].repeat_interleave(frames // len(row))[:, None]


@dataclass(frozen=True, slots=True)
class Forced:
    """The transformer as the sampler loop takes it: told the number of a row, under guidance by sound.

    Under guidance the condition is of the pair [silent | heard]; both see the same history, each as it heard it.
    """

    network: ActorTransformer
    rows: tuple[Row, ...]
    scale: float
    """1 is no guidance, in one pass."""

    def full(self, z: Tensor, t: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Return the clean motion (B, chunks L, m), and the input of the last block."""
        clean, deep = self.network.full(*self._given(z, t), condition)
        return self._joined(clean), deep

    def shallow(self, z: Tensor, t: Tensor, condition: Condition, deep: Tensor) -> Tensor:
        """Return the clean motion by the last block alone."""
        return self._joined(self.network.shallow(*self._given(z, t), condition, deep))

    def _given(self, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        levels = torch.tensor(self.rows, device=z.device)[t.long()]
        return (z, levels) if self.scale == 1 else (z.repeat(2, 1, 1), levels.repeat(2, 1))

    def _joined(self, clean: Tensor) -> Tensor:
        if self.scale == 1:
            return clean
        silent, heard = clean.chunk(2)
        return silent + self.scale * (heard - silent)
