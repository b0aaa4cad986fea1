"""DreamTalk's networks for counting, on the meta device: frames that are denoised together, and their pictures."""

from __future__ import annotations

from functools import partial

import torch
from thbench_methods.dreamtalk.config import PAPER, Config
from thbench_methods.dreamtalk.networks import Condition, DiffusionNet
from thbench_methods.nets.pirenderer.renderer import FaceGenerator

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"paper": PAPER}
"""Preset to sizes and settings."""
FRAMES = 100
"""Four seconds; a clip is denoised as a whole, so operations grow with it in proportion."""
RENDERED_MOTION = 73
"""Values that the renderer reads of a frame: expression, pose and crop."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"dreamtalk has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset])


def offer_of(config: Config, frames: int = FRAMES) -> Offer:
    """Return the networks of a configuration, without guidance of the style (a scale of 1 needs none)."""
    sizes = config.sizes
    with torch.device("meta"), torch.inference_mode():
        diffusion = DiffusionNet(config).to("meta").eval()
        renderer = FaceGenerator().to("meta").eval()
        speech = torch.empty(1, frames, sizes.window, sizes.audio)
        clip, lengths = torch.empty(1, sizes.style_length, sizes.motion), torch.empty(1, dtype=torch.int64)
        condition = Condition(diffusion.content(speech), diffusion.style(clip, lengths))
        noise = torch.empty(1, frames, sizes.motion)
        image = torch.empty(1, 3, config.portrait_size, config.portrait_size)
        window = torch.empty(1, RENDERED_MOTION, 2 * config.render_radius + 1)
    return Offer(
        workload=f"{frames} frames at {config.portrait_size} px, {config.diffusion.steps} steps",
        frames=frames,
        parts=(
            Part(
                "content_encoder", diffusion.net.content_encoder, partial(diffusion.content, speech), inputs=(speech,)
            ),
            Part("style_encoder", diffusion.net.style_encoder, partial(diffusion.style, clip, lengths), inputs=(clip,)),
            Part("renderer", renderer, partial(renderer, image, window), calls=frames, inputs=(image, window)),
        ),
        denoising=Denoising("decoder", diffusion.net, diffusion.net, noise, condition, config.diffusion.steps),
        uncounted=("wav2vec 2.0", "3-D face reconstruction"),
    )
