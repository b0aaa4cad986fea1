"""Trains the mini motion extractor on the truth of synth-heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.nets.liveportrait.examples import LAYOUT
from thbench_methods.nets.liveportrait.keypoints import Motion, as_points, extracted_motion, transform

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.nets.liveportrait.examples import Examples
    from thbench_methods.nets.liveportrait.motion import MotionExtractor
    from torch import Tensor

RECIPE = Recipe(
    steps=1400, learning_rate=2e-3, warm_up=100, last_rate=0.01, average=0.995, weight_decay=0.02, bfloat16=False
)
BATCH = 32
DEGREES = 30.0
"""An error of so many degrees weighs as much as one of a whole unit."""
FINE = (6, 11, 12, 13, 14, 15, 16, 17, 19, 20)
"""Key-points of mouth and eyes, which count three times."""


class Batch(NamedTuple):
    """Pictures and their motion."""

    pictures: Tensor
    """Shape (N, 3, H, W), [0, 1]."""
    canonical: Tensor
    """Shape (N, K, 3)."""
    motion: Motion
    """Of leading shape (N,)."""


@dataclass
class MotionTask:
    """Motion parameters of single frames."""

    network: MotionExtractor
    examples: Examples

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw frames of all clips, each lighter or darker and with more or less contrast."""
        clips = rng.integers(len(self.examples), size=BATCH)
        frames = rng.integers(self.examples.motion.shape[1], size=BATCH)
        pictures = np.stack([self.examples.pictures.frames[c, f] for c, f in zip(clips, frames, strict=True)])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        gain, shift = (
            torch.from_numpy(rng.normal(mean, deviation, (BATCH, 3, 1, 1)).astype(np.float32))
            for mean, deviation in ((1.0, 0.08), (0.0, 0.04))
        )
        return Batch(
            (images * gain + shift).clamp(0, 1),
            as_points(torch.from_numpy(self.examples.canonical[clips])),
            LAYOUT.unpack(torch.from_numpy(self.examples.motion[clips, frames])),
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L1 of where key-points are, and of each parameter that places them."""
        raw = {name: value.float() for name, value in self.network(batch.pictures).items()}
        found, canonical = extracted_motion(raw), as_points(raw["kp"])
        weight = torch.ones(len(canonical[0]), 1)
        weight[list(FINE)] = 3
        places = (weight * (transform(canonical, found) - transform(batch.canonical, batch.motion)).abs()).mean()
        shape = (canonical - batch.canonical).abs().mean()
        expression = (weight * (found.expression - batch.motion.expression).abs()).mean()
        pose = torch.stack([(a - b).abs().mean() for a, b in zip(found.pose, batch.motion.pose, strict=True)]).sum()
        rest = (found.scale - batch.motion.scale).abs().mean()
        rest = rest + (found.translation - batch.motion.translation).abs().mean()
        loss = 3 * places + shape + 2 * expression + pose / DEGREES + rest
        return {"loss": loss, "places": places, "shape": shape, "expression": expression, "degrees": pose / 3}
