"""Observes FID and KID: pool3 features of every frame, for each tool's preparation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones import loaded
from thbench.backbones.batches import FixedBatches
from thbench.backbones.mode_names import MODES, Mode, in_mode, split_mode
from thbench.metrics.fid import prepare
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Features, Moment


def extractor(tool: str, mode: Mode = "exact") -> str:
    """Return the name of the features of a tool's preparation."""
    return in_mode(f"inception-2015-12-05.{tool}", mode)


class FidObserver:
    """Runs the network once for each frame, preparation and mode."""

    def __init__(self, wanted: frozenset[str]) -> None:
        asked = {(name.split("/")[1], mode) for name, mode in map(split_mode, wanted)}
        networks = {mode: loaded.inception(mode) for mode in MODES if any(mode == of for _, of in asked)}
        self._batches: dict[str, dict[Mode, FixedBatches]] = {}
        for tool, mode in sorted(asked):
            self._batches.setdefault(tool, {})[mode] = FixedBatches(networks[mode])

    def observe(self, moment: Moment) -> None:
        """Take in the frame."""
        frame = torch.from_numpy(moment.generated.rgb)[None]
        for tool, each in self._batches.items():
            prepared = prepare(frame, tool)
            for batches in each.values():
                batches.add(prepared)

    def features(self, clip: ClipFacts) -> Features:
        """Return the features, one row for each frame."""
        return {
            extractor(tool, mode): checked(batches.finish().numpy())
            for tool, each in self._batches.items()
            for mode, batches in each.items()
        }


def checked(features: NDArray[np.floating]) -> NDArray[np.float32] | Missing:
    """Return features as float32, or why they cannot be used."""
    broken = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if broken:
        return Missing(f"{broken} of {len(features)} features hold NaN or infinity")
    return np.asarray(features, dtype=np.float32)
