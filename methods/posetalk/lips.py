"""What sound says of the lips: the coarse lip motion that the small RefineNet is given.

The paper's RefineNet finds how lips move by itself, from sound. One of small size is told how those of a mean head
would: a linear map from the speech around a frame to the expressions that speaking moves, fitted by ridge regression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.posetalk.video import around
from torch import Tensor, nn

from thbench.data.synth_heads.expression import EXPRESSIONS

if TYPE_CHECKING:
    from thbench_methods.posetalk.examples import Examples

SPOKEN = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft",
    "mouthPressRight", "mouthPucker", "mouthRollLower", "mouthShrugLower",
)  # fmt: skip
"""Expressions of which speech tells more than a fifth (explained variance, validation split); all others stay."""
PLACES = [EXPRESSIONS.index(name) for name in SPOKEN]
RIDGE = 1000.0
"""Added to the squares of each input; chosen on the validation split."""


class Lips(nn.Module):
    """Speech around frames to expressions; all numbers are buffers, as `measured_lips` finds them."""

    weight: Tensor
    """Shape (audio frames + 1, spoken); the last row is constant."""

    def __init__(self, audio: int, radius: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(audio * (2 * radius + 1) + 1, len(SPOKEN)))

    def forward(self, audio: Tensor, expression: Tensor) -> Tensor:
        """Return expressions (N, expressions) with those that are spoken in the place of the portrait's.

        Args:
            audio: Shape (N, audio, 2 radius + 1), around each frame.
            expression: Shape (N, expressions), of the portraits.
        """
        changed = expression.clone()
        changed[:, PLACES] = (audio.flatten(1) @ self.weight[:-1] + self.weight[-1]).clamp(0, UNIT)
        return changed


def measured_lips(examples: Examples, radius: int) -> Tensor:
    """Return the weights that fit all frames of clips best."""
    width = examples.audio.shape[2] * (2 * radius + 1) + 1
    squares, products = torch.zeros(width, width), torch.zeros(width, len(SPOKEN))
    for audio, expression in zip(examples.audio, examples.expression, strict=True):
        heard = around(audio[None], radius).flatten(1)
        known = torch.cat((heard, heard.new_ones(len(heard), 1)), dim=1)
        squares += known.T @ known
        products += known.T @ expression[:, PLACES]
    ridge = torch.full((width,), RIDGE)
    ridge[-1] = 0  # the constant is no input
    weight: Tensor = torch.linalg.solve(squares + ridge.diag(), products)
    return weight
