"""DAWN's networks for counting, on the meta device: frames that are denoised together, and their pictures."""

from __future__ import annotations

from functools import partial

import torch
from thbench_methods.dawn.config import MINI, PAPER, PAPER_256, Config
from thbench_methods.dawn.lfg.flow import Flow
from thbench_methods.dawn.lfg.generator import flow_generator
from thbench_methods.dawn.unet import Condition, UNet

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"mini": MINI, "paper": PAPER, "paper-256": PAPER_256}
"""Preset to sizes and settings."""
FRAMES = 200
"""As in the published evaluation."""
MAP_FACTOR = 4
"""Pixels of the picture along a side for one of the motion's maps."""
FACE_CHANNELS = 16
"""Of the face mask's feature; the portrait's has the other still channels."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"dawn has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset])


def offer_of(config: Config, frames: int = FRAMES) -> Offer:
    """Return the networks of a configuration, without guidance (the published scale is 1)."""
    sizes, side = config.unet, config.image_size // MAP_FACTOR
    with torch.device("meta"), torch.inference_mode():
        net = UNet(sizes).to("meta").eval()
        generator = flow_generator(config.lfg).generator.to("meta").eval()
        condition = Condition(
            torch.empty(1, sizes.still - FACE_CHANNELS, side, side),
            torch.empty(1, FACE_CHANNELS, side, side),
            torch.empty(1, frames, sizes.audio),
            torch.empty(1, frames, sizes.pose),
            torch.empty(1, frames, sizes.blink),
        )
        noise = torch.empty(1, sizes.motion, frames, side, side)
        image = torch.empty(1, 3, config.image_size, config.image_size)
        portrait = generator.encode(image)
        flow = Flow(torch.empty(1, side, side, 2), torch.empty(1, 1, side, side))
    return Offer(
        workload=f"{frames} frames at {config.image_size} px, {config.diffusion.steps} steps",
        frames=frames,
        parts=(
            Part("encoder", generator, partial(generator.encode, image), inputs=(image,)),
            Part(
                "decoder", generator, partial(generator.decode, portrait, flow), calls=frames, inputs=(portrait, flow)
            ),
        ),
        denoising=Denoising("a2v_fdm", net, net, noise, condition, config.diffusion.steps),
        uncounted=("speech encoder", "PBNet", "face mask"),
    )
