"""Numbers of lower precision, raised again where a network sums over many of them or hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

LOW = (torch.bfloat16, torch.float16)
"""Types in which an average over hundreds of values would be rounded to two or three digits."""


def at_least_float32(x: Tensor) -> Tensor:
    """Return values of 16 bits in float32, and others as they are."""
    return x.float() if x.dtype in LOW else x
