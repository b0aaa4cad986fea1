"""Observes LPIPS: pairs of frames go through the network a few at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones import loaded
from thbench.backbones.batches import FixedBatches, batch_for
from thbench.backbones.mode_names import split_mode
from thbench.metrics.lpips import SMALLEST_SIDE, prepare
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.backbones.lpips import LPIPS
    from thbench.metrics.observer import ClipFacts, Moment, Values


class LpipsObserver:
    """Compares each generated frame with the reference frame of the same instant, at equal size only."""

    def __init__(self, wanted: frozenset[str]) -> None:
        asked = {name: split_mode(name.removeprefix("lpips/")) for name in wanted}
        self._networks = {name: loaded.lpips(trunk, mode) for name, (trunk, mode) in asked.items()}
        self._batches: dict[str, FixedBatches] = {}
        self._shape: tuple[int, ...] = ()
        self._frames = 0
        self._mismatch: str | None = None

    def observe(self, moment: Moment) -> None:
        """Compare the two frames of a moment; without a reference frame there is nothing to compare."""
        if moment.reference is None or self._mismatch:
            return
        ours, theirs = moment.generated.rgb, moment.reference.rgb
        self._mismatch = _problem(ours, theirs)
        if self._mismatch:
            return
        self._frames += 1
        # The distance of equal images is exactly 0.
        if ours is theirs or np.array_equal(ours, theirs):
            return
        pair = torch.cat((prepare(ours[None]), prepare(theirs[None])))[None]
        for name, network in self._networks.items():
            if name not in self._batches:
                self._batches[name] = FixedBatches(_Pairs(network), batch_for(*ours.shape[:2]))
            self._batches[name].add(pair)

    def values(self, clip: ClipFacts) -> Values:
        """Return the mean distances."""
        return {name: self._value(name) for name in self._networks}

    def _value(self, name: str) -> float | Missing:
        if self._mismatch or not self._frames:
            return Missing(self._mismatch or "no instant in common with the reference")
        total = math.fsum(self._batches[name].finish().tolist()) if name in self._batches else 0.0
        value = total / self._frames
        return value if math.isfinite(value) else Missing("the network's distances are not numbers")


class _Pairs:
    """LPIPS of pairs (N, 2, 3, H, W)."""

    def __init__(self, network: LPIPS) -> None:
        self._network = network

    def __call__(self, pairs: torch.Tensor) -> torch.Tensor:
        distances: torch.Tensor = self._network(pairs[:, 0], pairs[:, 1])
        return distances


def _problem(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> str | None:
    if ours.shape != theirs.shape:
        return (
            f"generated is {ours.shape[1]}x{ours.shape[0]}, reference {theirs.shape[1]}x{theirs.shape[0]}; LPIPS "
            "compares frames of equal size only: bring one of the videos to the size of the other"
        )
    if min(ours.shape[:2]) < SMALLEST_SIDE:
        return f"frames are {ours.shape[1]}x{ours.shape[0]}; LPIPS needs at least {SMALLEST_SIDE} pixels on each side"
    return None
