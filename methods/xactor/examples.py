"""What X-Actor is trained on: face crops of synth-heads, and their motion once it is encoded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.xactor.crop import boxes_of, crop_boxes, cropped
from thbench_methods.xactor.encoder import as_faces

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.xactor.encoder import MotionEncoder
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

    Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)
BATCH = 50
"""Frames that are encoded at once."""
STILL = 1e-3
"""Least deviation that is divided by; what never moves stays near 0."""


@dataclass(frozen=True)
class Faces:
    """Where the faces of a split are."""

    pictures: Pictures
    crops: Floats
    """Squares that are cropped, (clips, frames, 3)."""
    side: int
    """Of a crop, in its own pixels."""

    @classmethod
    def of(cls, pictures: Pictures, side: int) -> Faces:
        """Find the faces by the true landmarks."""
        size = pictures.frames.shape[2]
        crops = [crop_boxes(boxes_of(points), size) for points in pictures.landmarks68]
        return cls(pictures, np.stack(crops), side)

    def cut(self, clip: int, frames: NDArray[np.integer]) -> Tensor:
        """Return face crops (n, 3, side, side), range [-1, 1], of some frames of a clip."""
        own = [cropped(np.array(self.pictures.frames[clip, k]), self.crops[clip, k], self.side) for k in frames]
        return as_faces(np.stack(own))


@torch.inference_mode()
def encoded(faces: Faces, encoder: MotionEncoder) -> Tensor:
    """Return the motion (clips, frames, motion) of a split; the encoder is in evaluation mode."""
    count = faces.crops.shape[1]
    clips = []
    for clip in range(len(faces.crops)):
        parts = np.array_split(np.arange(count), -(-count // BATCH))
        clips.append(torch.cat([encoder(faces.cut(clip, part)) for part in parts]))
        if clip % 64 == 63:
            _log.info("motion of %d of %d clips", clip + 1, len(faces.crops))
    return torch.stack(clips).clone()


def statistics(motion: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation (motion,) of motion (clips, frames, motion)."""
    flat = motion.flatten(0, 1)
    return flat.mean(dim=0), flat.std(dim=0).clamp(min=STILL)
