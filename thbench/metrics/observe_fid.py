"""Observes FID and KID: pool3 features of every frame, for each tool's preparation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones import loaded
from thbench.backbones.batches import FixedBatches
from thbench.metrics.fid import prepare
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Features, Moment


def extractor(tool: str) -> str:
    """Return the name of the features of a tool's preparation."""
    return f"inception-2015-12-05.{tool}"


class FidObserver:
    """Runs the network once for each frame and preparation."""

    def __init__(self, wanted: frozenset[str]) -> None:
        network = loaded.inception()
        self._batches = {tool: FixedBatches(network) for tool in sorted({name.split("/")[1] for name in wanted})}

    def observe(self, moment: Moment) -> None:
        """Take in the frame."""
        frame = torch.from_numpy(moment.generated.rgb)[None]
        for tool, batches in self._batches.items():
            batches.add(prepare(frame, tool))

    def features(self, clip: ClipFacts) -> Features:
        """Return the features, one row for each frame."""
        return {extractor(tool): checked(batches.finish().numpy()) for tool, batches in self._batches.items()}


def checked(features: NDArray[np.floating]) -> NDArray[np.float32] | Missing:
    """Return features as float32, or why they cannot be used."""
    broken = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if broken:
        return Missing(f"{broken} of {len(features)} features hold NaN or infinity")
    return np.asarray(features, dtype=np.float32)
