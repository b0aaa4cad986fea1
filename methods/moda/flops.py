"""MoDA's networks for counting, on the meta device: one window of motion and its frames."""

from __future__ import annotations

from functools import partial

import torch
from thbench_methods.moda.config import MINI, PAPER, Config
from thbench_methods.moda.guidance import Guided, Guiding
from thbench_methods.moda.networks import MotionDiffusion
from thbench_methods.nets.liveportrait import flops as liveportrait

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"moda has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset])


def offer_of(config: Config) -> Offer:
    """Return the networks of a configuration."""
    frames, sizes, sampling = config.sampling.window, config.sizes, config.sampling
    with torch.device("meta"), torch.inference_mode():
        diffusion = MotionDiffusion(sizes).to("meta").eval()
        net = diffusion.talking_head_dit
        given = (
            torch.empty(1, 1, sizes.motion),
            torch.empty(1, frames, sizes.audio_layers, sizes.audio),
            torch.empty(1, sizes.identity),
            torch.zeros(1, dtype=torch.int64),
        )
        led = net.condition(*given)
        noise = torch.empty(1, frames, sizes.motion)
        condition = Guiding(led, diffusion.unconditional(led))
    renderer = liveportrait.mini() if config is MINI else liveportrait.published(stitching=True)
    guided = "" if sampling.guidance == 1 else ", guided"
    return Offer(
        workload=f"{frames} frames at {config.portrait_size} px, {sampling.steps} steps{guided}",
        frames=frames,
        parts=(
            Part("condition", net, partial(net.condition, *given), inputs=given),
            *liveportrait.parts(renderer, frames),
        ),
        denoising=Denoising("talking_head_dit", net, Guided(net, sampling.guidance), noise, condition, sampling.steps),
        uncounted=("speech encoder", "face detector"),
    )
