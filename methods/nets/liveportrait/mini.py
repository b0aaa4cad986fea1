"""The mini LivePortrait: the published classes in small sizes, for pictures of 128 x 128."""

from __future__ import annotations

from pathlib import Path

from thbench_methods.nets.liveportrait.animate import LivePortrait
from thbench_methods.nets.liveportrait.appearance import AppearanceExtractor
from thbench_methods.nets.liveportrait.generator import SpadeGenerator
from thbench_methods.nets.liveportrait.motion import MotionExtractor
from thbench_methods.nets.liveportrait.warping import WarpingNetwork, moved_portrait
from torch import Tensor, nn

from thbench.training.weights import load_weights

SIZE = 128
"""Side of the pictures that it reads and makes."""
RENDERER_FILE = Path(__file__).parent / "mini_renderer.safetensors"
MOTION_FILE = Path(__file__).parent / "mini_motion.safetensors"
CHANNELS, DEPTH = 64, 1
"""Of the feature volume, which is one plane of 32 x 32: the published ratio to the picture."""
WIDTH = 8


class Renderer(nn.Module):
    """Appearance, warping and generator: what makes a picture of a portrait and two sets of key-points."""

    def __init__(self) -> None:
        super().__init__()
        self.appearance = AppearanceExtractor(
            block_expansion=16, max_features=96, reshape_channel=CHANNELS, reshape_depth=DEPTH, num_resblocks=2
        )
        self.warping = WarpingNetwork(
            block_expansion=WIDTH,
            reshape_channel=CHANNELS,
            dense_motion_params={
                "block_expansion": 8,
                "max_features": 64,
                "num_blocks": 3,
                "reshape_depth": DEPTH,
                "compress": 1,
                "mask_kernel": 3,
            },
            shows_motion=True,
        )
        self.generator = SpadeGenerator(
            upscale=4, block_expansion=WIDTH, middle_blocks=2, up_blocks=0, shared_width=16, refines=True
        )

    def forward(self, portrait: Tensor, kp_source: Tensor, kp_driving: Tensor) -> tuple[Tensor, Tensor]:
        """Return pictures and where they were read.

        Args:
            portrait: Shape (N, 3, 128, 128), RGB in [0, 1].
            kp_source: Shape (N, K, 3), of the portraits.
            kp_driving: Shape (N, M, K, 3): M pictures of each.

        Returns:
            Shapes (N M, 3, 128, 128) and (N M, D, 32, 32, 3), as `Warped.deformation`.
        """
        many = kp_driving.shape[1]
        volume, image = (x.repeat_interleave(many, dim=0) for x in (self.appearance(portrait), portrait))
        warped = self.warping(volume, kp_source.repeat_interleave(many, dim=0), kp_driving.flatten(0, 1))
        moved = moved_portrait(image, warped.deformation.float())
        return self.generator(warped.feature, moved), warped.deformation


def motion_extractor() -> MotionExtractor:
    """Return the mini motion extractor with random weights."""
    return MotionExtractor(depths=(1, 1, 3, 1), widths=(24, 48, 96, 160))


def load_mini() -> LivePortrait:
    """Load the shipped weights, strictly; there is no stitching network.

    Raises:
        WeightsMismatchError: A file is damaged or of another network.
    """
    renderer, motion = Renderer(), motion_extractor()
    load_weights(RENDERER_FILE, renderer)
    load_weights(MOTION_FILE, motion)
    return LivePortrait(renderer.appearance, motion, renderer.warping, renderer.generator)
