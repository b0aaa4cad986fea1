"""Trains the mini latent flow generator: frames of a clip from another frame of it, through the flow between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.training import About
from thbench_methods.dawn.examples import anchors_of, as_images, places_of, true_regions
from thbench_methods.dawn.lfg.equivariance import equivariance, random_transform
from thbench_methods.nets.liveportrait.train_renderer import edge_l1, pixel_weight, pyramid_l1

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg import Flow, LatentFlowGenerator, Regions
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

RECIPE = Recipe(
    steps=900, learning_rate=2e-3, warm_up=60, last_rate=0.01, average=0.995, weight_decay=1e-3, bfloat16=False
)
ABOUT = About(
    "DAWN mini: latent flow generator",
    "Siarohin et al., CVPR 2021; Ni et al., CVPR 2023; Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Frames of a clip made from another frame of it: L1 at three sizes and L1 of neighbour differences, weighted"
    " towards mouth and eyes, and L1 of the places to which the flow leads at landmarks. Half of the clips are drawn"
    " once more with heads at rest, so that lips and lids are all that moves. Beside it the region predictor: centres"
    " on landmarks, and their equivariance.",
    (
        "No VGG: pictures are compared by their pixels and edges.",
        "The published regions are found without labels, over 1000 epochs. These are lips, lids, nose and jaw, round"
        " and all of one size; the flow is learnt with them where the truth has them, for lips move by less than a"
        " small region predictor errs.",
    ),
)
CLIPS, DRIVERS = 4, 4
"""Portraits in a batch, and frames made of each; every second portrait is at rest."""
EDGES, READ, PLACES, SHIFT = 2.0, 20.0, 0.5, 0.1
"""Weights of the losses beside that of the picture. Those of places and shift move the region predictor alone; they are
so small that its gradients do not take up the norm to which those of all networks together are clipped."""


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
    marks: Tensor
    """Shape (N + N M, 68, 2): the landmarks of the same."""


@dataclass
class FlowTask:
    """Pictures of frames, through their flow."""

    network: LatentFlowGenerator
    pictures: Pictures
    resting: Pictures
    """The same clips with heads at rest."""

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        clips = rng.choice(len(self.pictures), CLIPS, replace=False)
        rows = [self._clip((self.pictures, self.resting)[n % 2], int(clip), rng) for n, clip in enumerate(clips)]
        images, weights, *places = (torch.stack(part) for part in zip(*rows, strict=True))
        return Batch(
            images[:, 0].contiguous(memory_format=torch.channels_last),
            images[:, 1:].flatten(0, 1).contiguous(memory_format=torch.channels_last),
            weights.flatten(0, 1),
            *(torch.cat((points[:, 0], points[:, 1:].flatten(0, 1))) for points in places),
        )

    @staticmethod
    def _clip(pictures: Pictures, clip: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        chosen = rng.choice(pictures.frames.shape[1], 1 + DRIVERS, replace=False)
        images = as_images(np.stack([pictures.frames[clip, frame] for frame in chosen]))
        size = images.shape[-1]
        marks = pictures.landmarks68[clip][chosen]
        masks = pictures.mask[clip][chosen]
        weights = [pixel_weight(mark, mask, size) for mark, mask in zip(marks[1:], masks[1:], strict=True)]
        return images, torch.stack(weights), anchors_of(marks, size), places_of(marks, size)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Of pictures, edges, the flow at landmarks, places of the regions, and their equivariance; weights above."""
        made, flow = reconstructed(self.network, batch.portrait, batch.frames, batch.anchors)
        read = read_off(flow, batch.marks)
        picture = pyramid_l1(made, batch.frames, batch.weight)
        edges = edge_l1(made, batch.frames, batch.weight)
        regions: Regions = self.network.region_predictor(torch.cat((batch.portrait, batch.frames)))
        places = (regions.shift - batch.anchors).abs().mean()
        transform = random_transform(len(batch.portrait))
        transformed: Regions = self.network.region_predictor(transform.image(batch.portrait))
        own = type(regions)(*(part[: len(batch.portrait)] for part in regions))
        shift, _ = equivariance(own, transformed, transform)  # round regions have no axes of their own
        total = picture + EDGES * edges + READ * read + PLACES * places + SHIFT * shift
        return {"loss": total, "picture": picture, "edges": edges, "read": read, "places": places, "shift": shift}


def read_off(flow: Flow, marks: Tensor) -> Tensor:
    """Return how far off the portraits' landmarks the frames' ones are read: a mean absolute difference.

    Args:
        flow: From N portraits to M frames of each.
        marks: Shape (N + N M, 68, 2): landmarks of the portraits, then of the frames.
    """
    frames = len(flow.optical_flow)
    of_portraits, of_frames = marks.split((len(marks) - frames, frames))
    read = F.grid_sample(flow.optical_flow.movedim(3, 1), of_frames[:, None], align_corners=False)[:, :, 0].mT
    return (read - of_portraits.repeat_interleave(frames // len(of_portraits), dim=0)).abs().mean()


def reconstructed(
    network: LatentFlowGenerator, portrait: Tensor, frames: Tensor, anchors: Tensor
) -> tuple[Tensor, Flow]:
    """Return M frames of each of N portraits as the flow autoencoder gives them with regions at their true places.

    Args:
        network: The networks.
        portrait: Shape (N, 3, H, W).
        frames: Shape (N M, 3, H, W).
        anchors: Shape (N + N M, K, 2), of the portraits, then of the frames.

    Returns:
        Shape (N M, 3, H, W), and their flow.
    """
    many = len(frames) // len(portrait)
    of_portrait, of_frames = anchors.split((len(portrait), len(frames)))
    source = true_regions(of_portrait.repeat_interleave(many, dim=0), network)
    again = portrait.repeat_interleave(many, dim=0)
    flow = network.flow(again, frames, (source, true_regions(of_frames, network)))
    return network.generator.decode(network.generator.encode(portrait).repeated(many), flow).prediction, flow
