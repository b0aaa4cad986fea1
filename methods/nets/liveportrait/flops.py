"""LivePortrait's networks for counting, on the meta device."""

from __future__ import annotations

from functools import partial

import torch
from thbench_methods.nets.liveportrait.animate import LivePortrait
from thbench_methods.nets.liveportrait.appearance import AppearanceExtractor
from thbench_methods.nets.liveportrait.generator import SpadeGenerator
from thbench_methods.nets.liveportrait.mini import SIZE, Renderer, motion_extractor
from thbench_methods.nets.liveportrait.motion import MotionExtractor
from thbench_methods.nets.liveportrait.stitching import StitchingRetargeting
from thbench_methods.nets.liveportrait.warping import WarpingNetwork, moved_portrait

from thbench.cost.offer import Part

PUBLISHED_SIZE = 256
"""Side of the pictures that the published networks read."""
KEYPOINTS = 21


def published(*, stitching: bool) -> LivePortrait:
    """Return the published networks."""
    with torch.device("meta"):
        return LivePortrait(
            AppearanceExtractor().to("meta").eval(),
            MotionExtractor().to("meta").eval(),
            WarpingNetwork().to("meta").eval(),
            SpadeGenerator().to("meta").eval(),
            StitchingRetargeting().eval() if stitching else None,
        )


def mini() -> LivePortrait:
    """Return the small ones."""
    with torch.device("meta"):
        renderer, motion = Renderer().to("meta").eval(), motion_extractor().to("meta").eval()
    return LivePortrait(renderer.appearance, motion, renderer.warping, renderer.generator)


def parts(nets: LivePortrait, frames: int) -> tuple[Part, ...]:
    """Return what reads a portrait once and renders some frames, in the order in which it runs.

    Args:
        nets: From `published` or `mini`.
        frames: How many are rendered.
    """
    side = SIZE if nets.generator.refines else PUBLISHED_SIZE
    with torch.device("meta"), torch.inference_mode():
        image, points = torch.empty(1, 3, side, side), torch.empty(1, KEYPOINTS, 3)
        volume = nets.appearance(image)
        warped = nets.warping(volume, points, points)
        moved = moved_portrait(image, warped.deformation) if nets.generator.refines else None
    given = (volume, points)
    found = [
        Part("motion_extractor", nets.motion, partial(nets.motion, image), inputs=(image,)),
        Part("appearance_extractor", nets.appearance, partial(nets.appearance, image), inputs=(image,)),
        Part("warping", nets.warping, partial(nets.warping, volume, points, points), calls=frames, inputs=given),
        Part(
            "generator",
            nets.generator,
            partial(nets.generator, warped.feature, moved),
            calls=frames,
            inputs=(warped.feature, moved),
        ),
    ]
    if nets.stitching is not None:
        stitch = partial(nets.stitching.stitch, points, points)
        found.append(Part("stitching", nets.stitching, stitch, calls=frames, inputs=(points,)))
    return tuple(found)
