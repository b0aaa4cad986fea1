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
from thbench_methods.dawn.true_flow import true_flow
from thbench_methods.nets.liveportrait.train_renderer import edge_l1, pixel_weight, pyramid_l1
from torch import nn

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg import Flow, LatentFlowGenerator, Regions
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

RECIPE = Recipe(
    steps=350, learning_rate=2e-3, warm_up=30, last_rate=0.01, average=0.99, weight_decay=1e-3, bfloat16=False
)
PAINTER = Recipe(
    steps=300, learning_rate=2e-3, warm_up=20, last_rate=0.02, average=0.99, weight_decay=1e-3, bfloat16=False, seed=1
)
"""Of what comes behind the encoder, once flows are known; features that A2V-FDM is told stay as they are."""
ABOUT = About(
    "DAWN mini: latent flow generator",
    "Siarohin et al., CVPR 2021; Ni et al., CVPR 2023; Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Generator: frames of a clip made from another frame of it, through the flow that landmarks tell, by L1 at three"
    " sizes and L1 of neighbour differences, weighted towards mouth and eyes. Flow predictor: that flow (L1) and"
    " occlusion (cross-entropy). Region predictor: centres on landmarks, and their equivariance. Half of the clips are"
    " drawn once more with heads at rest, so that lips and lids are all that moves."
    f" {RECIPE.steps} steps of all networks, then {PAINTER.steps} of what paints behind the encoder; this card's steps"
    " and curve are the last ones, its minutes are those of both.",
    (
        "No VGG: pictures are compared by their pixels and edges.",
        "The published regions and flows are found without labels, over 1000 epochs. Here regions are lips, lids, nose"
        " and jaw, round and all of one size, and flows are those of the truth: a small network that is to find them by"
        " making pictures moves heads after a thousand steps, and hardly lips.",
    ),
)
CLIPS, DRIVERS = 4, 4
"""Portraits in a batch, and frames made of each; every second portrait is at rest."""
EDGES, FLOW, OCCLUSION, PLACES, SHIFT = 2.0, 20.0, 0.5, 0.5, 0.1
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
    flow: Flow
    """From the portraits to their frames."""


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
        portrait = images[:, 0].contiguous(memory_format=torch.channels_last)
        frames = images[:, 1:].flatten(0, 1).contiguous(memory_format=torch.channels_last)
        anchors, marks = (torch.cat((points[:, 0], points[:, 1:].flatten(0, 1))) for points in places)
        source, of_source = (x.repeat_interleave(DRIVERS, dim=0) for x in (portrait, marks[:CLIPS]))
        flow = true_flow(source, frames, (of_source, marks[CLIPS:]))
        return Batch(portrait, frames, weights.flatten(0, 1), anchors, flow)

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
        """Of pictures, edges, flow, occlusion, places of the regions, and their equivariance; weights above."""
        made = reconstructed(self.network, batch.portrait, batch.flow)
        picture = pyramid_l1(made, batch.frames, batch.weight)
        edges = edge_l1(made, batch.frames, batch.weight)
        found = found_flow(self.network, batch.portrait, batch.frames, batch.anchors)
        flow = (found.optical_flow - batch.flow.optical_flow).abs().mean()
        occlusion = F.binary_cross_entropy(found.occlusion_map, batch.flow.occlusion_map)
        regions: Regions = self.network.region_predictor(torch.cat((batch.portrait, batch.frames)))
        places = (regions.shift - batch.anchors).abs().mean()
        transform = random_transform(len(batch.portrait))
        transformed: Regions = self.network.region_predictor(transform.image(batch.portrait))
        own = type(regions)(*(part[: len(batch.portrait)] for part in regions))
        shift, _ = equivariance(own, transformed, transform)  # round regions have no axes of their own
        total = picture + EDGES * edges + FLOW * flow + OCCLUSION * occlusion + PLACES * places + SHIFT * shift
        told = {"picture": picture, "edges": edges, "flow": flow, "occlusion": occlusion}
        return {"loss": total, **told, "places": places, "shift": shift}


@dataclass
class PaintTask:
    """Pictures of frames, through their flow, by what comes behind the encoder alone."""

    whole: LatentFlowGenerator
    """In evaluation mode."""
    drawing: FlowTask
    """Whose batches are drawn."""

    def __post_init__(self) -> None:
        generator = self.whole.generator
        self.network = nn.ModuleList([generator.bottleneck, generator.up_blocks, generator.final])

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        return self.drawing.batch(rng)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Of pictures and edges."""
        generator = self.whole.generator
        with torch.no_grad():
            encoded = generator.encode(batch.portrait).repeated(DRIVERS)
        made = generator.decode(encoded, batch.flow).prediction
        picture = pyramid_l1(made, batch.frames, batch.weight)
        edges = edge_l1(made, batch.frames, batch.weight)
        return {"loss": picture + EDGES * edges, "picture": picture, "edges": edges}


def reconstructed(network: LatentFlowGenerator, portrait: Tensor, flow: Flow) -> Tensor:
    """Return M frames (N M, 3, H, W) of each of N portraits (N, 3, H, W), given their flow."""
    many = len(flow.optical_flow) // len(portrait)
    return network.generator.decode(network.generator.encode(portrait).repeated(many), flow).prediction


def found_flow(network: LatentFlowGenerator, portrait: Tensor, frames: Tensor, anchors: Tensor) -> Flow:
    """Return the flow from N portraits to M frames of each, as the network finds it with regions at their true places.

    Args:
        network: The networks.
        portrait: Shape (N, 3, H, W).
        frames: Shape (N M, 3, H, W).
        anchors: Shape (N + N M, K, 2), of the portraits, then of the frames.
    """
    many = len(frames) // len(portrait)
    of_portrait, of_frames = anchors[: len(portrait)], anchors[len(portrait) :]
    source = true_regions(of_portrait.repeat_interleave(many, dim=0), network)
    return network.flow(portrait.repeat_interleave(many, dim=0), frames, (source, true_regions(of_frames, network)))
