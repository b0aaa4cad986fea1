"""The renderer's sampler: DDIM over predicted noise as X-NeMo publishes it, or over velocity with zero terminal SNR.

Source: bytedance/x-nemo-inference, configs/inference/inference_xnemo_stage2.yaml and
src/pipelines/pipeline_pose2vid_motenc_long.py; DDIMScheduler of huggingface/diffusers with steps_offset 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from thbench_methods.nets.ddim import DDIM, linear_betas
from thbench_methods.nets.unet3d.schedule import TRAIN_STEPS, Diffusion, alpha_bars
from thbench_methods.nets.unet3d.schedule import sampler as velocity_sampler

from thbench.errors import UsageError

if TYPE_CHECKING:
    from thbench_methods.xactor.config import Renderer
    from torch import Tensor

OFFSET = 1
"""Of the visited times."""


class Sampler(Protocol):
    """A schedule that tells how much signal its first step expects."""

    @property
    def times(self) -> tuple[int, ...]:
        """What the network is told, in the order visited."""
        ...

    @property
    def signal(self) -> tuple[float, ...]:
        """Cumulative alpha at each of `times`."""
        ...

    def step(self, index: int, latent: Tensor, prediction: Tensor, /) -> Tensor:
        """Return the latent after step `index`."""
        ...


def scaled_linear(start: float, end: float) -> Tensor:
    """Return (1000,) cumulative alphas of noise variances whose square roots rise linearly; float32, as published."""
    return (1 - linear_betas(TRAIN_STEPS, math.sqrt(start), math.sqrt(end)).square()).cumprod(0)


def training_signal(sizes: Renderer) -> Tensor:
    """Return the (1000,) cumulative alphas that the renderer is trained with."""
    if sizes.predicts_velocity:
        return alpha_bars(Diffusion(sizes.beta_start, sizes.beta_end))
    return scaled_linear(sizes.beta_start, sizes.beta_end)


def sampler(steps: int, sizes: Renderer) -> Sampler:
    """Return the sampler of some steps.

    Raises:
        UsageError: They are out of range.
    """
    if sizes.predicts_velocity:
        return velocity_sampler(steps, Diffusion(sizes.beta_start, sizes.beta_end))
    if not 1 <= steps < TRAIN_STEPS:
        raise UsageError(f"{steps} denoising steps; allowed are 1 to {TRAIN_STEPS - 1}")
    bars = scaled_linear(sizes.beta_start, sizes.beta_end).tolist()
    stride = TRAIN_STEPS // steps
    times = tuple(index * stride + OFFSET for index in reversed(range(steps)))
    ends = tuple(bars[time - stride] if time >= stride else 1.0 for time in times)
    return DDIM(times, tuple(bars[time] for time in times), ends, predicts="noise")


def start(portrait: Tensor, noise: Tensor, schedule: Sampler, sizes: Renderer) -> Tensor:
    """Return what sampling starts from: the portrait's blurred latent, noised to the first step.

    Nothing of the portrait is left where the first step has no signal.

    Args:
        portrait: Shape (1, latent, h, w).
        noise: Shape (1, latent, F, h, w).
        schedule: Of the clip.
        sizes: Says how much it is blurred.
    """
    kept = schedule.signal[0]
    return math.sqrt(kept) * blurred(portrait, *sizes.blur)[:, :, None] + math.sqrt(1 - kept) * noise


def blurred(latents: Tensor, kernel: int, deviation: float) -> Tensor:
    """Return latents (N, C, h, w) behind a Gaussian of `kernel` x `kernel` cells; their edges are mirrored.

    A picture that is smaller than the kernel reaches is blurred with its edges repeated.
    """
    line = torch.arange(kernel, dtype=torch.float32) - (kernel - 1) / 2
    weights = (-0.5 * (line / deviation).square()).exp()
    weights = (weights / weights.sum()).to(latents)
    reach = kernel // 2
    mode = "reflect" if min(latents.shape[-2:]) > reach else "replicate"
    padded = F.pad(latents, (reach, reach, reach, reach), mode=mode)
    channels = latents.shape[1]
    across = F.conv2d(padded, weights.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(across, weights.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
