"""KDTalker's networks for counting, on the meta device: one window of motion and its frames."""

from __future__ import annotations

import torch
from thbench_methods.kdtalker.config import MINI, PAPER, Config
from thbench_methods.kdtalker.networks import Condition, SpatiotemporalTransformer
from thbench_methods.nets.liveportrait import flops as liveportrait
from thbench_methods.nets.wav2lip_audio import PUBLISHED_MEL, AudioEncoder

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings."""
POINTS = 63
"""Values of the canonical key-points."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"kdtalker has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset])


def offer_of(config: Config) -> Offer:
    """Return the networks of a configuration."""
    frames, sizes = config.window, config.sizes
    with torch.device("meta"):
        net = SpatiotemporalTransformer(sizes).to("meta").eval()
        audio = AudioEncoder(config.audio_widths).to("meta").eval()
        mel = torch.empty(1, 1, PUBLISHED_MEL.mels, PUBLISHED_MEL.window_columns)
        reference, canonical = torch.empty(1, sizes.motion), torch.empty(1, POINTS)
        condition = Condition(reference, canonical, torch.empty(1, frames, sizes.audio))
        noise = torch.empty(1, frames, sizes.motion)
    renderer = liveportrait.mini() if config is MINI else liveportrait.published(stitching=False)
    return Offer(
        workload=f"{frames} frames at {config.portrait_size} px, {config.diffusion.steps} steps",
        frames=frames,
        parts=(
            Part("audio_encoder", audio, lambda: audio(mel), calls=frames, inputs=(mel,)),
            *liveportrait.parts(renderer, frames),
        ),
        denoising=Denoising("denoiser", net, net, noise, condition, config.diffusion.steps),
        uncounted=("face detector",),
    )
