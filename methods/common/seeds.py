"""Noise that depends on the seed and on what it is for, and on nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Noise:
    """Source of a clip's noise; the same seed and names give the same numbers, whatever was drawn before."""

    seed: int
    """Of the request."""

    def generator(self, *what: str | int) -> torch.Generator:
        """Return a CPU generator for one purpose, e.g. `("window", 3)`."""
        text = "/".join(str(part) for part in (self.seed, *what))
        digest = hashlib.sha256(text.encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)

    def normal(self, shape: tuple[int, ...], *what: str | int) -> torch.Tensor:
        """Return standard normal numbers for one purpose."""
        return torch.randn(shape, generator=self.generator(*what))
