"""PoseTalk's networks for counting, on the meta device: pose of a window, and the three video networks."""

from __future__ import annotations

from functools import partial

import torch
from thbench_methods.posetalk.config import MINI, PAPER, Config
from thbench_methods.posetalk.pose_denoiser import Guided, PoseCondition, PoseDenoiser
from thbench_methods.posetalk.pose_vae import PoseVAE
from thbench_methods.posetalk.video import CoarseNet, Guess, PortraitEnhancer, RefineNet

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings; `paper` has no weights and is there for counting."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(
            f"posetalk has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}; it has: mini, paper"
        )
    return offer_of(CONFIGS[preset])


def offer_of(config: Config) -> Offer:
    """Return the networks of a configuration; a clip is one window of pose."""
    pose, video, side = config.pose, config.video, config.image_size
    frames = pose.window
    with torch.device("meta"), torch.inference_mode():
        vae, denoiser = PoseVAE(pose).eval(), PoseDenoiser(pose).eval()
        coarse, refine, enhance = CoarseNet(video).eval(), RefineNet(video).eval(), PortraitEnhancer(video).eval()
        lengths, yes = torch.full((1,), frames), torch.ones(1, dtype=torch.bool)
        condition = PoseCondition(torch.empty(1, frames, pose.audio), lengths, torch.empty(1, pose.text), yes, yes)
        latent = torch.empty(1, *pose.latent_shape)
        image = torch.empty(1, 3, side, side)
        driving = torch.empty(1, video.track + video.audio, 2 * video.radius + 1)
        maps = torch.empty(1, 2, side // 4, side // 4)
        guess = Guess(maps, maps) if video.places else None
    inputs = (image, driving) if guess is None else (image, driving, *guess)
    return Offer(
        workload=f"{frames} frames at {side} px, {config.diffusion.steps} steps of pose under two-scale guidance",
        frames=frames,
        parts=(
            Part("pose decoder", vae, partial(vae.decode, latent, lengths, frames), inputs=(latent,)),
            Part("coarse", coarse, partial(coarse, image, driving, guess), calls=frames, inputs=inputs),
            Part("refine", refine, partial(refine, image, driving, guess), calls=frames, inputs=inputs),
            Part("enhance", enhance, partial(enhance, image, image), calls=frames, inputs=(image, image)),
        ),
        denoising=Denoising(
            "pose denoiser", denoiser, Guided(denoiser, config.diffusion), latent, condition, config.diffusion.steps
        ),
        uncounted=("speech encoder", "text encoder", "flow of the mean head"),
    )
