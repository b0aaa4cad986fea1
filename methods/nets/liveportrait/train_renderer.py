"""Trains the mini renderer: appearance, warping and generator together.

Source and driving frame are of one clip, as in the paper; key-points come from the truth of synth-heads instead of
from a motion extractor that is trained along, so that no prior on key-points is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.nets.liveportrait.examples import Examples
    from thbench_methods.nets.liveportrait.mini import Renderer
    from torch import Tensor

RECIPE = Recipe(
    steps=2400, learning_rate=2e-3, warm_up=60, last_rate=0.02, average=0.995, weight_decay=1e-3, bfloat16=False
)
CLIPS, DRIVERS = 2, 5
"""Portraits in a batch, and frames made of each."""
SHARED_NOISE, OWN_NOISE = 0.01, 0.002
"""Deviation of key-point errors that source and driving frame have in common, and that they do not."""
MOUTH, EYES = (48, 68), (36, 48)
SCALES = 3
PLACES_WEIGHT = 5.0


class Batch(NamedTuple):
    """Portraits, and the frames to be made of them."""

    portrait: Tensor
    """Shape (N, 3, H, W), [0, 1]."""
    kp_source: Tensor
    """Shape (N, K, 3)."""
    kp_driving: Tensor
    """Shape (N, M, K, 3)."""
    frames: Tensor
    """Shape (N M, 3, H, W), [0, 1]."""
    weight: Tensor
    """Shape (N M, 1, H, W): how much each pixel counts, mean about 1."""


@dataclass
class RendererTask:
    """Pictures of frames by key-points."""

    network: Renderer
    examples: Examples

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        return draw(self.examples, rng)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L1 at three sizes, L1 of differences between neighbours, and where key-points are read from."""
        made, deformation = self.network(batch.portrait, batch.kp_source, batch.kp_driving)
        made = made.float()
        picture = pyramid_l1(made, batch.frames, batch.weight)
        edges = edge_l1(made, batch.frames, batch.weight)
        places = places_l1(deformation.float(), batch.kp_source, batch.kp_driving)
        return {
            "loss": picture + 2 * edges + PLACES_WEIGHT * places,
            "picture": picture,
            "edges": edges,
            "places": places,
        }


def draw(examples: Examples, rng: np.random.Generator) -> Batch:
    """Draw a batch."""
    portraits, sources, drivings, frames, weights = [], [], [], [], []
    for clip in rng.integers(len(examples), size=CLIPS):
        chosen = rng.choice(examples.motion.shape[1], 1 + DRIVERS, replace=False)
        points = noisy(examples.keypoints(int(clip), chosen), rng)
        pictures = np.stack([examples.pictures.frames[clip, frame] for frame in chosen])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        portraits.append(images[0])
        sources.append(points[0])
        drivings.append(points[1:])
        frames.append(images[1:])
        for frame in chosen[1:]:
            marks, face = examples.pictures.landmarks68[clip, frame], examples.pictures.mask[clip, frame]
            weights.append(pixel_weight(marks, face, images.shape[-1]))
    return Batch(
        torch.stack(portraits), torch.stack(sources), torch.stack(drivings), torch.cat(frames), torch.stack(weights)
    )


def noisy(points: Tensor, rng: np.random.Generator) -> Tensor:
    """Add the errors of a motion extractor to key-points (frames, K, 3) of one clip."""
    shared = SHARED_NOISE * rng.standard_normal(points.shape[1:])
    own = OWN_NOISE * rng.standard_normal(points.shape)
    return points + torch.from_numpy((shared + own).astype(np.float32))


def pixel_weight(landmarks: np.ndarray, face: np.ndarray, size: int) -> Tensor:
    """Return (1, size, size): 0.6, more on the face, most on mouth and eyes."""
    weight = np.full((size, size), 0.6, np.float32)
    weight += 0.8 * face.repeat(size // len(face), 0).repeat(size // len(face), 1)
    for (first, last), extra, margin in ((MOUTH, 12.0, 3), (EYES, 4.0, 2)):
        low = np.clip(landmarks[first:last].min(0).astype(int) - margin, 0, size)
        high = np.clip(landmarks[first:last].max(0).astype(int) + margin + 1, 0, size)
        weight[low[1] : high[1], low[0] : high[0]] += extra
    return torch.from_numpy(weight)[None]


def pyramid_l1(made: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Return the mean absolute difference, weighted, at full size and its halvings."""
    total = made.new_zeros(())
    for level in range(SCALES):
        if level:
            made, wanted, weight = (F.avg_pool2d(x, 2) for x in (made, wanted, weight))
        total = total + (weight * (made - wanted).abs()).mean()
    return total


def edge_l1(made: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Return the mean absolute difference, weighted, of the differences between neighbouring pixels."""
    error = made - wanted
    across = (weight[..., 1:] * error.diff(dim=-1).abs()).mean()
    down = (weight[..., 1:, :] * error.diff(dim=-2).abs()).mean()
    return across + down


def places_l1(deformation: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
    """Return how far from the source key-points the driving ones are read, in the image plane."""
    where = deformation[..., :2].mean(dim=1).permute(0, 3, 1, 2)
    driving = kp_driving.flatten(0, 1)[..., :2]
    read = F.grid_sample(where, driving[:, :, None], align_corners=True, padding_mode="border")[..., 0]
    source = kp_source.repeat_interleave(kp_driving.shape[1], dim=0)[..., :2]
    return (read.transpose(1, 2) - source).abs().mean()
