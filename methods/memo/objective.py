"""What MEMO minimises: rectified flow, robust against clips that are not what they say.

Source: arXiv 2412.04448, section 3.4; memoavatar/memo at a5aee30, finetune.py and configs/finetune.yaml; times as in
Esser et al., "Scaling Rectified Flow Transformers", ICML 2024, section 3.1 (logit-normal, mean 0 and deviation 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.memo.schedule import TRAIN_STEPS
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping


class Noisy(NamedTuple):
    """Latents on their straight way from noise."""

    latents: Tensor
    """Shape (B, C, F, h, w)."""
    velocity: Tensor
    """Noise less clean latents, of the same shape: what is predicted."""
    level: Tensor
    """Shape (B, 1, 1, 1, 1): share of noise, above 0 and up to 1."""

    @property
    def times(self) -> Tensor:
        """What the network is told, (B,)."""
        return TRAIN_STEPS * self.level.flatten()


def noisy(clean: Tensor) -> Noisy:
    """Draw a level for each row, one of a thousand, and noise for each number of clean latents (B, C, F, h, w)."""
    steps = (torch.randn(len(clean)).sigmoid() * TRAIN_STEPS).floor()
    level = (1 - steps / TRAIN_STEPS).view(-1, 1, 1, 1, 1)
    noise = torch.randn_like(clean)
    return Noisy(level * noise + (1 - level) * clean, noise - clean, level)


def losses(
    predicted: Tensor, noisy: Noisy, weight: Tensor, most: float | None = None, lips: Tensor | None = None
) -> Mapping[str, Tensor]:
    """Return the weighted squared error of the clean latents that a velocity stands for.

    Args:
        predicted: Velocity, (B, C, F, h, w).
        noisy: What it was predicted of.
        weight: Shape (B, 1, F, h, w), mean about 1.
        most: Rows with a larger error are left out (robust training); None leaves none out.
        lips: What counts as lips for the curve, as `weight`, 1 inside; None leaves them out.
    """
    velocity_error = (predicted.float() - noisy.velocity).square()
    rows = (noisy.level.square() * velocity_error * weight).flatten(1).mean(dim=1)
    kept = torch.ones_like(rows) if most is None else (rows.detach() <= most).to(rows)
    found = {
        "loss": (rows * kept).sum() / kept.sum().clamp(min=1),
        "plain": velocity_error.detach().mean(),
        "kept": kept.mean(),
    }
    if lips is not None:
        found["lips"] = (velocity_error.detach() * lips).sum() / (lips.sum() * velocity_error.shape[1]).clamp(min=1)
    return found
