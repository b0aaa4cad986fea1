"""Trains the mini latent flow generator: frames of a clip from another frame of it, through the flow between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.training import About
from thbench_methods.dawn.examples import as_images
from thbench_methods.dawn.lfg.equivariance import equivariance, random_transform
from thbench_methods.dawn.lfg.generator import Portrait
from thbench_methods.nets.liveportrait.train_renderer import edge_l1, pixel_weight, pyramid_l1

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg import LatentFlowGenerator, Regions
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

RECIPE = Recipe(
    steps=1500, learning_rate=2e-3, warm_up=60, last_rate=0.01, average=0.995, weight_decay=1e-3, bfloat16=False
)
ABOUT = About(
    "DAWN mini: latent flow generator",
    "Siarohin et al., CVPR 2021; Ni et al., CVPR 2023; Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Frames of a clip made from another frame of it: L1 at three sizes and L1 of neighbour differences, weighted"
    " towards mouth and eyes; equivariance of the regions' centres and axes; the regions' centres on landmarks.",
    (
        "No VGG: pictures are compared by their pixels and edges.",
        "The published regions are found without labels, over 1000 epochs; these are drawn to lips, lids, nose and jaw"
        " of the truth, so that they are there after a hundred steps.",
    ),
)
CLIPS, DRIVERS = 4, 5
"""Portraits in a batch, and frames made of each."""
EDGES, PLACES, SHIFT, AXES = 2.0, 5.0, 1.0, 0.1
"""Weights of the losses beside that of the picture; the published ones of shift and axes are those of the picture's."""
ANCHORS = ((8,), (48,), (54,), (51, 62), (57, 66), (37, 38), (43, 44), (30,), (3,), (13,))
"""Landmarks of the 68 whose mean is the centre of each region: chin, lips, lids, nose and jaw."""


class Batch(NamedTuple):
    """Portraits, and frames of the same clips."""

    portrait: Tensor
    """Shape (N, 3, H, W), [0, 1]."""
    frames: Tensor
    """Shape (N M, 3, H, W), [0, 1]: M of each clip."""
    weight: Tensor
    """Shape (N M, 1, H, W): how much each pixel counts, mean about 1."""
    anchors: Tensor
    """Shape (N + N M, K, 2): where the regions of the portraits, then of the frames, belong; from -1 to 1."""


@dataclass
class FlowTask:
    """Pictures of frames, through their flow."""

    network: LatentFlowGenerator
    pictures: Pictures

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        rows = [self._clip(int(clip), rng) for clip in rng.choice(len(self.pictures), CLIPS, replace=False)]
        images, weights, anchors = (torch.stack(part) for part in zip(*rows, strict=True))
        return Batch(
            images[:, 0].contiguous(memory_format=torch.channels_last),
            images[:, 1:].flatten(0, 1).contiguous(memory_format=torch.channels_last),
            weights.flatten(0, 1),
            torch.cat((anchors[:, 0], anchors[:, 1:].flatten(0, 1))),
        )

    def _clip(self, clip: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        chosen = rng.choice(self.pictures.frames.shape[1], 1 + DRIVERS, replace=False)
        images = as_images(np.stack([self.pictures.frames[clip, frame] for frame in chosen]))
        size = images.shape[-1]
        marks = self.pictures.landmarks68[clip][chosen]
        masks = self.pictures.mask[clip][chosen]
        weights = [pixel_weight(mark, mask, size) for mark, mask in zip(marks[1:], masks[1:], strict=True)]
        return images, torch.stack(weights), anchors_of(marks, size)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Of pictures, edges, places of the regions, and their equivariance; weights above."""
        made, regions = reconstructed(self.network, batch.portrait, batch.frames)
        picture = pyramid_l1(made, batch.frames, batch.weight)
        edges = edge_l1(made, batch.frames, batch.weight)
        places = (regions.shift - batch.anchors).abs().mean()
        transform = random_transform(len(batch.portrait))
        transformed: Regions = self.network.region_predictor(transform.image(batch.portrait))
        own = type(regions)(*(part[: len(batch.portrait)] for part in regions))
        shift, axes = equivariance(own, transformed, transform)
        total = picture + EDGES * edges + PLACES * places + SHIFT * shift + AXES * axes
        return {"loss": total, "picture": picture, "edges": edges, "places": places, "shift": shift, "axes": axes}


def anchors_of(landmarks: np.ndarray, size: int) -> Tensor:
    """Return where regions belong (frames, K, 2), x and y from -1 to 1, of landmarks (frames, 68, 2) in pixels."""
    means = np.stack([landmarks[:, list(points)].mean(axis=1) for points in ANCHORS], axis=1)
    return torch.from_numpy((means * (2 / size) - 1).astype(np.float32))


def reconstructed(network: LatentFlowGenerator, portrait: Tensor, frames: Tensor) -> tuple[Tensor, Regions]:
    """Return M frames of each of N portraits as the flow autoencoder gives them, and all regions.

    Args:
        network: The networks.
        portrait: Shape (N, 3, H, W).
        frames: Shape (N M, 3, H, W).

    Returns:
        Shape (N M, 3, H, W); and regions of the portraits, then of the frames.
    """
    many = len(frames) // len(portrait)
    regions: Regions = network.region_predictor(torch.cat((portrait, frames)))
    source = type(regions)(*(part[: len(portrait)].repeat_interleave(many, dim=0) for part in regions))
    driving = type(regions)(*(part[len(portrait) :] for part in regions))
    encoded = network.generator.encode(portrait)
    again = portrait.repeat_interleave(many, dim=0)
    background = network.bg_predictor(again, frames)
    flow = network.generator.pixelwise_flow_predictor(again, source, driving, background)
    repeated = Portrait(again, tuple(each.repeat_interleave(many, dim=0) for each in encoded.maps))
    return network.generator.decode(repeated, flow).prediction, regions
