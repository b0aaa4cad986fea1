"""Head coefficients of the small preset: angles and named expressions of synth-heads in the groups of `Layout`.

In their own units: radians, and strengths from 0 to 1. What the networks know is standardised by the training data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from thbench.data.synth_heads.expression import EXPRESSIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.flap.config import Layout

EYES: tuple[str, ...] = tuple(name for name in EXPRESSIONS if name.startswith("eyeLook"))
JAW: tuple[str, ...] = tuple(name for name in EXPRESSIONS if name.startswith("jaw"))
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
REST: tuple[str, ...] = tuple(name for name in EXPRESSIONS if name not in {*EYES, *JAW, *LIDS})
ORDER: tuple[int, ...] = tuple(EXPRESSIONS.index(name) for name in (*EYES, *JAW, *LIDS, *REST))
"""Places of the expressions in the face's group."""
FLOOR = 0.05
"""Least deviation, radians or strength: some expressions never move in the training data, and what is read of a
portrait is off by about as much."""


def coefficients(degrees: NDArray[np.floating], expression: NDArray[np.floating]) -> Tensor:
    """Return coefficients (..., 56).

    Args:
        degrees: Yaw, pitch, roll, shape (..., 3).
        expression: Shape (..., 53), order of `EXPRESSIONS`.
    """
    both = np.concatenate((np.radians(degrees), np.asarray(expression)[..., list(ORDER)]), axis=-1)
    return torch.from_numpy(np.asarray(both, np.float32))


def expressions(values: Tensor, layout: Layout) -> Tensor:
    """Return the expressions (..., 53), order of `EXPRESSIONS`, of coefficients (..., 56)."""
    found = values.new_empty(*values.shape[:-1], len(ORDER))
    found[..., list(ORDER)] = values[..., layout.head :]
    return found


class Standard(nn.Module):
    """Mean and deviation of the training data."""

    mean: Tensor
    deviation: Tensor
    change: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(layout.total))
        self.register_buffer("deviation", torch.ones(layout.total))
        self.register_buffer("change", torch.ones(layout.total))

    def keep(self, values: Tensor) -> None:
        """Take over the statistics of clips (clips, frames, total), of which a frame may be the portrait.

        Deviations and changes are at least `FLOOR`.
        """
        rows = values.flatten(0, 1)
        self.mean.copy_(rows.mean(dim=0))
        self.deviation.copy_(rows.std(dim=0).clamp(min=FLOOR))
        self.change.copy_((values - values[:, :1]).flatten(0, 1).square().mean(dim=0).sqrt().clamp(min=FLOOR))

    def normal(self, values: Tensor) -> Tensor:
        """Return values (..., total) with mean 0 and deviation 1 over the training data, less where they rest."""
        return (values - self.mean) / self.deviation

    def restored(self, normal: Tensor) -> Tensor:
        """Return normal values (..., total) in their own units."""
        return normal * self.deviation + self.mean

    def differing(self, values: Tensor, own: Tensor) -> Tensor:
        """Return by how much values (..., total) differ from a portrait's (..., total), by the usual change."""
        return (values - own) / self.change
