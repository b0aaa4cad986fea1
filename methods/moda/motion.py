"""MoDA's motion: its 70 values, their normalisation, the lip boost, and the key-points that they make.

Source: lixinyyang/MoDA, src/models/inference/moda_test.py and
src/datasets/preprocess/extract_features/motion_processer.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from thbench_methods.nets.liveportrait.keypoints import Motion, transform
from thbench_methods.nets.liveportrait.layout import Layout

from thbench.backbones.checkpoint import read_state_dict
from thbench.errors import WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from thbench_methods.nets.liveportrait.animate import Source
    from torch import Tensor

LAYOUT = Layout(("exp", "scale", "t", "pitch", "yaw", "roll"))
"""Order of the 70 values."""
EPSILON = 1e-5
"""Added to deviations and scales before dividing, and back when restoring."""
LIPS = (6, 12, 14, 17, 19, 20)
"""Key-points of the mouth."""
GENERATED = (1, 2, 6, *range(11, 21))
"""Key-points whose whole expression is generated."""
GENERATED_AXES = {3: (1,), 4: (1,), 5: (2,), 8: (2,), 9: (1, 2)}
"""Key-points of which only these axes are generated; everything else is the portrait's."""
EYE_SHIFT = {11: 0.0025, 15: 0.0025, 13: 0.00075, 16: 0.00075}
"""Downward shift that the published inference adds to the eyes."""
LIP_STEEPNESS, LIP_SHARE, LIP_OFFSET = 5.0, 0.1, 0.05


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and deviation of the training data, in the order of `LAYOUT`."""

    mean: Tensor
    """Shape (70,)."""
    std: Tensor
    """Shape (70,)."""

    def normalise(self, motion: Tensor) -> Tensor:
        """Return motion vectors (..., 70) with mean 0 and deviation about 1 over the training data."""
        return (motion - self.mean) / (self.std + EPSILON)

    def restore(self, normalised: Tensor) -> Tensor:
        """Return normalised vectors (..., 70) in their own units."""
        return normalised * (self.std + EPSILON) + self.mean

    @property
    def mean_scale(self) -> Tensor:
        """Shape (): scale of the average face."""
        return self.mean[LAYOUT.place("scale")][0]


def read_statistics(path: Path) -> Statistics:
    """Read the published `mean.pt`.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: It is another file.
    """
    tensors = {key: tensor.float().flatten() for key, tensor in read_state_dict(path).items()}
    for name in ("mean", "std"):
        if name not in tensors or len(tensors[name]) != LAYOUT.size:
            raise WeightsMismatchError(
                f"{path} holds no {name} of {LAYOUT.size} values; take src/datasets/mean.pt of the public repository"
            )
    return Statistics(tensors["mean"], tensors["std"])


def scale_ratio(source: Source, statistics: Statistics) -> Tensor:
    """Return (): how much larger the portrait's face is than the average one."""
    return (source.motion.scale[0] + EPSILON) / (statistics.mean_scale + EPSILON)


def previous_motion(source: Source, statistics: Statistics) -> Tensor:
    """Return (70,): the portrait's motion at the size of the average face, normalised; starts the first window."""
    flat = source.motion.translation * source.motion.translation.new_tensor([1, 1, 0])
    motion = rescaled(replace(source.motion, translation=flat), 1 / scale_ratio(source, statistics))
    return statistics.normalise(LAYOUT.pack(motion))[0]


def rescaled(motion: Motion, ratio: Tensor) -> Motion:
    """Return a motion whose scale and translation are multiplied."""
    return replace(motion, scale=motion.scale * ratio, translation=motion.translation * ratio)


def lip_boost(motion: Tensor, rest: Tensor) -> Tensor:
    """Enlarge the lips' departure from rest where it is large for its clip.

    Args:
        motion: Shape (frames, 70), normalised.
        rest: Shape (70,), a frame in which nobody speaks.

    Returns:
        Shape (frames, 70); depends on the whole clip.
    """
    if len(motion) == 0:
        return motion
    columns = torch.cat([torch.arange(3 * k, 3 * k + 3) for k in LIPS]) + LAYOUT.place("exp").start
    departure = motion[:, columns] - rest[columns]
    distance = departure.square().sum(dim=1, keepdim=True)
    weight = (torch.sigmoid(LIP_STEEPNESS * distance) - 0.5) / (LIP_SHARE * distance.max() + LIP_OFFSET)
    boosted = motion.clone()
    boosted[:, columns] = rest[columns] + departure * (1 + weight)
    return boosted


def mixed_expression(source: Tensor, generated: Tensor) -> Tensor:
    """Return the portrait's expression (1, 21, 3) with those parts of the generated one (frames, 21, 3) that count."""
    mask = torch.zeros(generated.shape[1:], dtype=torch.bool, device=generated.device)
    mask[list(GENERATED)] = True
    for point, axes in GENERATED_AXES.items():
        mask[point, list(axes)] = True
    return torch.where(mask, generated, source)


def driving_keypoints(source: Source, motion: Motion, *, eye_shift: bool = True) -> Tensor:
    """Return the key-points (frames, 21, 3) of generated motion of leading shape (frames,), before stitching.

    Rotation and translation are the generated ones, the scale is the portrait's.

    Args:
        source: The portrait.
        motion: Generated, at the size of the portrait's face.
        eye_shift: Whether to add the published constant to the eyes.
    """
    generated = motion.expression
    if eye_shift:
        shift = torch.zeros_like(generated[0])
        for point, amount in EYE_SHIFT.items():
            shift[point, 1] = amount
        generated = generated + shift
    expression = mixed_expression(source.motion.expression, generated)
    scale = source.motion.scale.expand_as(motion.scale)
    return transform(source.canonical, replace(motion, expression=expression, scale=scale))
