"""KDTalker's motion: its 70 values, their normalisation, smoothing, and the key-points that they make.

Source: chaolongy/KDTalker, inference.py and dataset_process/norm.npz.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.nets.liveportrait.keypoints import Motion, transform
from thbench_methods.nets.liveportrait.layout import Layout

from thbench.errors import MissingWeightsError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.nets.liveportrait.animate import Source
    from torch import Tensor

LAYOUT = Layout(("scale", "yaw", "pitch", "roll", "t", "exp"))
"""Order of the 70 values."""
PROCESS_VARIANCE, OBSERVATION_VARIANCE = 0.05, 0.001
"""Of the published smoothing."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and deviation of the training data; motion and canonical key-points are normalised by them."""

    motion_mean: Tensor
    """Shape (70,), in the order of `LAYOUT`."""
    motion_std: Tensor
    """Shape (70,), positive."""
    canonical_mean: Tensor
    """Shape (63,)."""
    canonical_std: Tensor
    """Shape (63,), positive."""

    def normalise(self, motion: Tensor) -> Tensor:
        """Return motion vectors (..., 70) with mean 0 and deviation 1 over the training data."""
        return (motion - self.motion_mean) / self.motion_std

    def restore(self, normalised: Tensor) -> Tensor:
        """Return normalised vectors (..., 70) in their own units."""
        return normalised * self.motion_std + self.motion_mean

    def normalise_canonical(self, canonical: Tensor) -> Tensor:
        """Return canonical key-points (..., 21, 3) as the network reads them, (..., 63)."""
        return (canonical.flatten(-2) - self.canonical_mean) / self.canonical_std


def read_statistics(path: Path) -> Statistics:
    """Read the published `norm.npz`.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: It lacks a parameter or holds one of another size.
    """
    if not path.is_file():
        raise MissingWeightsError(
            f"{path} does not exist; it is dataset_process/norm.npz of the public KDTalker repository"
        )
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: torch.from_numpy(file[key].astype(np.float32).ravel()) for key in file.files}
    sizes = {**LAYOUT.sizes, "kp": LAYOUT.sizes["exp"]}
    for name, size in sizes.items():
        for key in (f"{name}_mean", f"{name}_std"):
            if key not in arrays or len(arrays[key]) != size:
                found = f"{len(arrays[key])} values" if key in arrays else "nothing"
                raise WeightsMismatchError(f"{path} holds {found} as {key} instead of {size}; get the published file")
    mean, std = (torch.cat([arrays[f"{name}_{what}"] for name in LAYOUT.order]) for what in ("mean", "std"))
    return Statistics(mean, _positive(std), arrays["kp_mean"], _positive(arrays["kp_std"]))


def _positive(std: Tensor) -> Tensor:
    return torch.where(std == 0, 1.0, std)


def smooth(
    values: NDArray[np.floating],
    process: float = PROCESS_VARIANCE,
    observation: float = OBSERVATION_VARIANCE,
) -> NDArray[np.float64]:
    """Smooth a random walk seen through noise (Kalman filter, then Rauch-Tung-Striebel smoother).

    Every column is a walk of its own with the same variances, so that one gain serves all. The first sample is the mean
    of the prior, whose variance is 1, as in pykalman.

    Args:
        values: Shape (frames, columns).
        process: Variance of a step of the walk.
        observation: Variance of the noise.

    Returns:
        Shape (frames, columns).
    """
    filtered = np.array(values, dtype=np.float64)
    predicted_variance = np.ones(len(filtered))
    variance = np.empty(len(filtered))
    for n in range(len(filtered)):
        if n:
            predicted_variance[n] = variance[n - 1] + process
        gain = predicted_variance[n] / (predicted_variance[n] + observation)
        before = filtered[max(n - 1, 0)]
        filtered[n] = before + gain * (filtered[n] - before)
        variance[n] = (1 - gain) * predicted_variance[n]
    for n in reversed(range(len(filtered) - 1)):
        filtered[n] += variance[n] / predicted_variance[n + 1] * (filtered[n + 1] - filtered[n])
    return filtered


def smooth_motion(motion: Tensor) -> Tensor:
    """Smooth motion vectors (frames, 70) in their own units; the scale stays as generated."""
    scale = LAYOUT.place("scale")
    smoothed = torch.from_numpy(smooth(motion.cpu().numpy())).to(motion)
    smoothed[:, scale] = motion[:, scale]
    return smoothed


def driving_keypoints(source: Source, motion: Motion, *, use_generated_scale: bool = False) -> Tensor:
    """Return the key-points (frames, 21, 3) of generated motion of leading shape (frames,).

    Rotation, expression and translation are the generated ones.

    Args:
        source: The portrait.
        motion: Generated.
        use_generated_scale: The published inference keeps the portrait's scale; True takes the generated one.
    """
    if not use_generated_scale:
        motion = replace(motion, scale=source.motion.scale.expand_as(motion.scale))
    return transform(source.canonical, motion)
