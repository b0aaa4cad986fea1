"""Pictures and key-points of synth-heads for training the mini LivePortrait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.nets.liveportrait.keypoints import as_points, transform
from thbench_methods.nets.liveportrait.layout import Layout
from thbench_methods.nets.liveportrait.truth_motion import truth_motion

from thbench.data.synth_heads.pictures import FOLDER, Pictures, open_pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

LAYOUT = Layout(("scale", "pitch", "yaw", "roll", "t", "exp"))
"""Order of the motion vectors here."""
_FILE = "liveportrait.npz"


@dataclass(frozen=True)
class Examples:
    """The first clips of a split with their motion."""

    pictures: Pictures
    canonical: NDArray[np.float32]
    """Shape (clips, 63)."""
    motion: NDArray[np.float32]
    """Shape (clips, frames, 70), in the order of `LAYOUT`."""

    def __len__(self) -> int:
        return len(self.motion)

    def keypoints(self, clip: int, frames: NDArray[np.int64]) -> torch.Tensor:
        """Return where the key-points (frames, K, 3) of some frames are."""
        canonical = as_points(torch.from_numpy(self.canonical[clip]))
        return transform(canonical, LAYOUT.unpack(torch.from_numpy(self.motion[clip, frames])))


def open_examples(
    folder: Path, count: int | None = None, on_clip: Callable[[int, int], None] | None = None
) -> Examples:
    """Open a split; the motion of clips that were never asked for is computed now and kept.

    Args:
        folder: Made by `thbench data make synth-heads`.
        count: How many clips, from the first; None takes all.
        on_clip: Called with how many are done and how many there are.
    """
    pictures = open_pictures(folder, count)
    place = folder / FOLDER / _FILE
    canonical, motion = _known(place)
    found = len(motion)
    for number, clip in enumerate(pictures.clips[found:], start=found):
        truth = truth_motion(clip)
        canonical.append(truth.canonical.flatten().numpy())
        motion.append(LAYOUT.pack(truth.motion).numpy())
        if on_clip:
            on_clip(number + 1, len(pictures))
    if len(motion) > found:
        part = place.with_suffix(".part.npz")
        np.savez(part, canonical=np.stack(canonical), motion=np.stack(motion))
        part.replace(place)
    return Examples(pictures, np.stack(canonical[: len(pictures)]), np.stack(motion[: len(pictures)]))


def _known(place: Path) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    if not place.exists():
        return [], []
    with np.load(place) as kept:
        return list(kept["canonical"]), list(kept["motion"])
