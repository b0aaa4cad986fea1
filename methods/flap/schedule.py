"""Noise and sampler of the video: noise prediction as the paper states it, or velocity with zero terminal SNR.

Source: arXiv 2502.19455 (the loss); Stable Diffusion 1.5's scaled-linear schedule is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.nets.ddim import ddim
from thbench_methods.nets.unet3d.schedule import TRAIN_STEPS, Diffusion
from thbench_methods.nets.unet3d.schedule import alpha_bars as velocity_bars
from thbench_methods.nets.unet3d.schedule import sampler as velocity_sampler

from thbench.errors import UsageError

if TYPE_CHECKING:
    from thbench_methods.flap.config import Config
    from thbench_methods.nets.ddim import DDIM
    from thbench_methods.nets.unet3d.schedule import VelocityDDIM
    from torch import Tensor


def scaled_linear_bars(diffusion: Diffusion) -> Tensor:
    """Return (1000,): signal power by time, for noise variances whose square root rises linearly."""
    roots = torch.linspace(diffusion.beta_start**0.5, diffusion.beta_end**0.5, TRAIN_STEPS, dtype=torch.float64)
    return (1 - roots.square()).cumprod(0)


def sampler(config: Config, steps: int) -> DDIM | VelocityDDIM:
    """Return the sampler of a preset.

    Args:
        config: Says what is predicted.
        steps: From 1 to 1000.

    Raises:
        UsageError: `steps` is out of range.
    """
    if config.predicts == "velocity":
        return velocity_sampler(steps, Diffusion())
    if not 1 <= steps <= TRAIN_STEPS:
        raise UsageError(f"{steps} denoising steps; allowed are 1 to {TRAIN_STEPS}")
    stride = TRAIN_STEPS // steps
    return ddim(scaled_linear_bars(Diffusion()).tolist(), range(0, stride * steps, stride), "noise")


def signal(config: Config) -> Tensor:
    """Return (1000,): signal power by time in training."""
    return velocity_bars(Diffusion()) if config.predicts == "velocity" else scaled_linear_bars(Diffusion()).float()


def target(config: Config, clean: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """Return what the denoiser is to predict.

    Args:
        config: Says what that is.
        clean: Any shape.
        noise: Of the same shape.
        kept: Signal power, broadcast to them.
    """
    return noise if config.predicts == "noise" else kept.sqrt() * noise - (1 - kept).sqrt() * clean
