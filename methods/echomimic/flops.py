"""EchoMimic's networks for counting, on the meta device: one window of frames, as the sampler loop runs it."""

from __future__ import annotations

import torch
from thbench_methods.echomimic.config import ACCELERATED, PAPER, Config
from thbench_methods.echomimic.networks import Condition, EchoMimic
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.reference import split

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

VAE_FACTOR = 8
"""Pixels of the picture along a side for one of the latent."""
AUDIO_TOKENS = 50
"""Whisper's features of a frame: 10 time steps around it from each of its 5 layers."""
CONFIGS = {"paper": PAPER, "accelerated": ACCELERATED}
"""Preset to sizes and settings."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"echomimic has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset])


def offer_of(config: Config, dtype: str = "float16") -> Offer:
    """Return the networks of a configuration.

    Args:
        config: Sizes and settings.
        dtype: Number format of the published inference.
    """
    sampling, sizes = config.sampling, config.unet
    guided = is_guided(sampling.guidance)
    batch, frames, side = 1 + guided, sampling.window, config.size // VAE_FACTOR
    with torch.device("meta"), torch.inference_mode():
        net = EchoMimic(config).to("meta").eval()
        image = torch.empty(1, sizes.latent, side, side)
        mask = torch.empty(1, 1, 1, config.size, config.size)
        features = split(net.reference_unet(image, None), past=0).image
        condition = Condition(
            audio=torch.empty(batch, frames, AUDIO_TOKENS, sizes.tokens),
            locator=torch.empty(batch, sizes.channels[0], 1, side, side),
            reference={place: torch.cat([tokens] * batch) for place, tokens in features.items()},
            guided=guided,
        )
        noise = torch.empty(1, sizes.latent, frames, side, side)
    return Offer(
        workload=f"{frames} frames at {config.size} px, {sampling.steps} steps{', guided' if guided else ''}",
        frames=frames,
        parts=(
            Part("face_locator", net.face_locator, lambda: net.face_locator(mask), inputs=(mask,)),
            Part("reference_unet", net.reference_unet, lambda: net.reference_unet(image, None), inputs=(image,)),
        ),
        denoising=Denoising(
            "denoising_unet",
            net.denoising_unet,
            with_guidance(net.denoising_unet, sampling.guidance),
            noise,
            condition,
            sampling.steps,
        ),
        dtype=dtype,
        uncounted=("Whisper", "face detector", "VAE"),
    )
