"""Trains the mini latent flow generator: frames of a clip from another frame of it, through the flow between them.

First what makes pictures, by the flows that landmarks tell, which are also what A2V-FDM is taught, and once more with
an eye on lids that shut; then, beside it, what finds flows of pictures, which generation does not need and the
autoencoder does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.training import About
from thbench_methods.dawn.examples import (
    anchors_of,
    as_images,
    calm,
    draw_frames,
    draw_portrait,
    places_of,
    shutting,
    true_regions,
)
from thbench_methods.dawn.lfg.equivariance import equivariance, random_transform
from thbench_methods.dawn.true_flow import EYES, true_flow
from thbench_methods.nets.liveportrait.train_renderer import MOUTH, edge_l1, pixel_weight, pyramid_l1
from torch import nn

from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench_methods.dawn.lfg import Flow, LatentFlowGenerator, Regions
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

PAINTING = Recipe(
    steps=1600, learning_rate=2e-3, warm_up=30, last_rate=0.2, average=0.99, weight_decay=1e-3, bfloat16=False
)
LIDS = Recipe(
    steps=1000, learning_rate=1e-3, warm_up=30, last_rate=0.02, average=0.995, weight_decay=1e-3, bfloat16=False, seed=2
)
FINDING = Recipe(
    steps=300, learning_rate=2e-3, warm_up=20, last_rate=0.02, average=0.98, weight_decay=1e-3, bfloat16=False, seed=1
)
ABOUT = About(
    "DAWN mini: latent flow generator",
    "Siarohin et al., CVPR 2021; Ni et al., CVPR 2023; Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Generator: frames of a clip made from another frame of it, through the flow that landmarks tell, by L1 at three"
    " sizes and L1 of neighbour differences, weighted towards face and eyes, of which the mouth has half. Then flow"
    " predictor: that flow (L1) and occlusion (cross-entropy); region predictor: centres on landmarks, and their"
    " equivariance. Half of the clips are drawn once more with heads at rest, so that lips and lids are all that"
    f" moves. {PAINTING.steps} steps of the generator, {LIDS.steps} in which the eyes have as much of the error as the"
    f" mouth, then {FINDING.steps} of the predictors; this card's steps and curve are the last ones, its minutes are"
    " those of all.",
    (
        "No VGG: pictures are compared by their pixels and edges.",
        "The published regions and flows are found without labels, over 1000 epochs. Here regions are lips, lids, nose"
        " and jaw, round and all of one size, and flows are those of the truth: a small network that is to find them by"
        " making pictures moves heads after a thousand steps, and hardly lips.",
        "Lips, whose edges move within a cell of the flow, are partly painted, and open mouths wholly; so are eyes"
        " whose lids have moved. A third of the frames are drawn among those in which lids shut.",
    ),
)
CLIPS, DRIVERS = 4, 2
"""Portraits in a batch, and frames made of each."""
RESTING = 2
"""Portraits of a batch that are at rest."""
EDGES, FLOW, OCCLUSION, PLACES, SHIFT = 2.0, 20.0, 0.5, 0.5, 0.1
"""Weights of the losses of edges beside that of the picture, and of what the predictors find. Those of places and shift
move the region predictor alone; they are so small that its gradients do not take up the norm to which those of all
predictors together are clipped."""
AROUND = 3
"""Pixels around the mouth, and around each eye, that count as it."""


class Batch(NamedTuple):
    """Portraits, and frames of the same clips."""

    portrait: Tensor
    """Shape (N, 3, H, W), [0, 1]."""
    frames: Tensor
    """Shape (N M, 3, H, W), [0, 1]: M of each clip."""
    weight: Tensor
    """Shape (N M, 1, H, W): how much each pixel counts, mean about 1."""
    mouth: Tensor
    """Shape (N M, 1, H, W): one around the mouth."""
    eyes: Tensor
    """The same around the eyes."""
    anchors: Tensor
    """Shape (N + N M, K, 2): where the regions of the portraits, then of the frames, belong; from -1 to 1."""
    flow: Flow
    """From the portraits to their frames."""


@dataclass
class Draws:
    """Portraits and frames of a split."""

    pictures: Pictures
    resting: Pictures
    """The same clips with heads at rest."""

    def __post_init__(self) -> None:
        self.calm = calm(self.pictures)
        self.shutting = shutting(self.pictures)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        clips = rng.choice(len(self.pictures), CLIPS, replace=False)
        sources = [self.resting if number < RESTING else self.pictures for number in range(CLIPS)]
        rows = [self._clip(source, int(clip), rng) for source, clip in zip(sources, clips, strict=True)]
        images, weights, mouths, eyes, *places = (torch.stack(part) for part in zip(*rows, strict=True))
        portrait = images[:, 0].contiguous(memory_format=torch.channels_last)
        frames = images[:, 1:].flatten(0, 1).contiguous(memory_format=torch.channels_last)
        anchors, marks = (torch.cat((points[:, 0], points[:, 1:].flatten(0, 1))) for points in places)
        source, of_source = (x.repeat_interleave(DRIVERS, dim=0) for x in (portrait, marks[:CLIPS]))
        flow = true_flow(source, frames, (of_source, marks[CLIPS:]))
        weight, mouth, around_eyes = (part.flatten(0, 1) for part in (weights, mouths, eyes))
        return Batch(portrait, frames, weight, mouth, around_eyes, anchors, flow)

    def _clip(self, pictures: Pictures, clip: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        frames = draw_frames(self.shutting[clip], DRIVERS, rng)
        chosen = [draw_portrait(self.calm[clip], rng), *frames.tolist()]
        images = as_images(np.stack([pictures.frames[clip, frame] for frame in chosen]))
        size = images.shape[-1]
        marks = pictures.landmarks68[clip][chosen]
        masks = pictures.mask[clip][chosen]
        weights = [pixel_weight(mark, mask, size) for mark, mask in zip(marks[1:], masks[1:], strict=True)]
        masks_of = [[around(mark, parts, size) for mark in marks[1:]] for parts in ((slice(*MOUTH),), EYES)]
        near = (torch.stack(part) for part in masks_of)
        return images, torch.stack(weights), *near, anchors_of(marks, size), places_of(marks, size)


@dataclass
class PaintTask:
    """Pictures of frames, through their flow."""

    whole: LatentFlowGenerator
    draws: Draws
    lids: bool = False
    """Whether the eyes count as much as the mouth."""

    def __post_init__(self) -> None:
        generator = self.whole.generator
        self.network = nn.ModuleList(
            [generator.first, generator.down_blocks, generator.bottleneck, generator.up_blocks, generator.final]
        )

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        return self.draws.batch(rng)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Of pictures and their edges; the mouth counts as all else together does, and so may the eyes."""
        made = reconstructed(self.whole, batch.portrait, batch.flow)
        parts = {"mouth": batch.mouth, "eyes": batch.eyes} if self.lids else {"mouth": batch.mouth}
        elsewhere = batch.weight * (1 - torch.stack(list(parts.values())).amax(dim=0))

        def error(weight: Tensor) -> Tensor:
            return pyramid_l1(made, batch.frames, weight) + EDGES * edge_l1(made, batch.frames, weight)

        rest = error(elsewhere)
        near = {name: error(part / part.mean()) for name, part in parts.items()}
        alike = sum(rest.detach() / part.detach().clamp(min=1e-6) * part for part in near.values())
        return {"loss": rest + alike, "rest": rest, **near}


@dataclass
class FindTask:
    """Flow, occlusion and regions of pictures."""

    whole: LatentFlowGenerator
    draws: Draws

    def __post_init__(self) -> None:
        flow = self.whole.generator.pixelwise_flow_predictor
        self.network = nn.ModuleList([flow, self.whole.region_predictor, self.whole.bg_predictor])

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips."""
        return self.draws.batch(rng)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Of flow, occlusion, places of the regions, and their equivariance; weights above."""
        found = found_flow(self.whole, batch.portrait, batch.frames, batch.anchors)
        flow = (found.optical_flow - batch.flow.optical_flow).abs().mean()
        occlusion = F.binary_cross_entropy(found.occlusion_map, batch.flow.occlusion_map)
        regions: Regions = self.whole.region_predictor(torch.cat((batch.portrait, batch.frames)))
        places = (regions.shift - batch.anchors).abs().mean()
        transform = random_transform(len(batch.portrait))
        transformed: Regions = self.whole.region_predictor(transform.image(batch.portrait))
        own = type(regions)(*(part[: len(batch.portrait)] for part in regions))
        shift, _ = equivariance(own, transformed, transform)  # round regions have no axes of their own
        total = FLOW * flow + OCCLUSION * occlusion + PLACES * places + SHIFT * shift
        return {"loss": total, "flow": flow, "occlusion": occlusion, "places": places, "shift": shift}


def around(marks: np.ndarray, parts: Sequence[slice], size: int) -> Tensor:
    """Return (1, size, size): one in the boxes around parts of landmarks (68, 2), zero elsewhere."""
    there = torch.zeros(1, size, size)
    for part in parts:
        points = marks[part]
        low = np.clip(points.min(0).astype(int) - AROUND, 0, size)
        high = np.clip(points.max(0).astype(int) + AROUND + 1, 0, size)
        there[:, low[1] : high[1], low[0] : high[0]] = 1
    return there


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
