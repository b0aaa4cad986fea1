"""The noise schedule of A2V-FDM and how it is sampled.

Source: DAWN, section 3.3; Hanbo-Cheng/DAWN-pytorch, DynamicNfGaussianDiffusion; Nichol and Dhariwal, "Improved
Denoising Diffusion Probabilistic Models" (2021), for the schedule; Song et al., "DDIM" (2021), equation 12; Saharia et
al., "Imagen" (2022), section 2.3, for dynamic thresholding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.dawn.config import Diffusion
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """Tables by diffusion time, each of shape (steps,) and float32, in the names of the published checkpoint."""

    betas: Tensor
    """Variance that each step adds."""
    alphas_cumprod: Tensor
    """Signal power left after each step."""
    alphas_cumprod_prev: Tensor
    """The same before each step."""
    sqrt_alphas_cumprod: Tensor
    """Weight of the clean motion in the noisy one."""
    sqrt_one_minus_alphas_cumprod: Tensor
    """Weight of the noise in it."""
    log_one_minus_alphas_cumprod: Tensor
    """Logarithm of the noise's power."""
    sqrt_recip_alphas_cumprod: Tensor
    """Weight of the noisy motion in the clean one."""
    sqrt_recipm1_alphas_cumprod: Tensor
    """Weight of the noise that is taken off it."""
    posterior_variance: Tensor
    """Of the step before, given this step and the clean motion."""
    posterior_log_variance_clipped: Tensor
    """Its logarithm, finite at time 0."""
    posterior_mean_coef1: Tensor
    """Weight of the clean motion in the mean of that distribution."""
    posterior_mean_coef2: Tensor
    """Weight of the noisy motion in it."""

    def noisy(self, clean: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """Return clean motion (N, ...) with the noise of times (N,)."""
        signal, spread = (
            _at(self.sqrt_alphas_cumprod, time, clean),
            _at(self.sqrt_one_minus_alphas_cumprod, time, clean),
        )
        return signal * clean + spread * noise

    def clean(self, noisy: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """Return what motion (N, ...) of times (N,) is without its noise."""
        gain, part = (
            _at(self.sqrt_recip_alphas_cumprod, time, noisy),
            _at(self.sqrt_recipm1_alphas_cumprod, time, noisy),
        )
        return gain * noisy - part * noise

    def noise(self, noisy: Tensor, time: Tensor, clean: Tensor) -> Tensor:
        """Return the noise in motion (N, ...) of times (N,), given what it is without."""
        gain, part = (
            _at(self.sqrt_recip_alphas_cumprod, time, noisy),
            _at(self.sqrt_recipm1_alphas_cumprod, time, noisy),
        )
        return (gain * noisy - clean) / part


def _at(table: Tensor, time: Tensor, like: Tensor) -> Tensor:
    return table.to(time.device)[time].view(-1, *[1] * (like.ndim - 1))


def cosine_schedule(steps: int = 1000, offset: float = 0.008, largest_beta: float = 0.9999) -> NoiseSchedule:
    """Return the cosine schedule, computed in float64 and kept in float32."""
    turn = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) + offset) / (1 + offset)
    power = torch.cos(turn * math.pi / 2).square()
    betas = (1 - power[1:] / power[:-1]).clamp(0, largest_beta)
    left = torch.cumprod(1 - betas, dim=0)
    before = F.pad(left[:-1], (1, 0), value=1.0)
    variance = betas * (1 - before) / (1 - left)
    tables = NoiseSchedule(
        betas=betas,
        alphas_cumprod=left,
        alphas_cumprod_prev=before,
        sqrt_alphas_cumprod=left.sqrt(),
        sqrt_one_minus_alphas_cumprod=(1 - left).sqrt(),
        log_one_minus_alphas_cumprod=(1 - left).log(),
        sqrt_recip_alphas_cumprod=(1 / left).sqrt(),
        sqrt_recipm1_alphas_cumprod=(1 / left - 1).sqrt(),
        posterior_variance=variance,
        posterior_log_variance_clipped=variance.clamp(min=1e-20).log(),
        posterior_mean_coef1=betas * before.sqrt() / (1 - left),
        posterior_mean_coef2=(1 - before) * (1 - betas).sqrt() / (1 - left),
    )
    return NoiseSchedule(**{name: getattr(tables, name).float() for name in NoiseSchedule.__slots__})


def dynamic_threshold(clean: Tensor, quantile: float) -> Tensor:
    """Return motion (N, ...) whose largest values are cut off and the rest scaled into [-1, 1].

    The limit of each clip is that quantile of its magnitudes, but at least one.
    """
    magnitudes = clean.abs().flatten(1)
    rank = quantile * (magnitudes.shape[1] - 1)
    below, above = (magnitudes.kthvalue(1 + int(r), dim=1).values for r in (math.floor(rank), math.ceil(rank)))
    limit = torch.lerp(below, above, rank - math.floor(rank)).clamp(min=1).view(-1, *[1] * (clean.ndim - 1))
    return clean.clamp(-limit, limit) / limit


def ddim_times(count: int, steps: int = 1000, *, trailing: bool = False) -> tuple[int, ...]:
    """Return the `count` + 1 times between which `count` steps lead, downwards to 0.

    They are equally spaced with one more in front, which is left out: sampling starts below the noisiest time, as
    published. Trailing ones start at it (Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed",
    WACV 2024, section 3.3), so that a sampler that starts from noise alone is at a time of which it is told so.
    """
    if trailing:
        return (*(round(steps - index * steps / count) - 1 for index in range(count)), 0)
    return tuple(torch.linspace(0, steps, count + 2)[:-1].int().flip(0).tolist())


@dataclass(frozen=True, slots=True)
class StochasticDDIM:
    """Which times are visited, and how motion moves from one to the next; for `thbench.accel.sample`."""

    schedule: NoiseSchedule
    """That of the network."""
    times: tuple[int, ...]
    """What the network is told, in the order visited (downwards)."""
    signal: tuple[float, ...]
    """Signal power that each step takes motion at `times` to have."""
    next_signal: tuple[float, ...]
    """Signal power after each step; the last is 1, which means clean."""
    eta: float
    """Fresh noise of each step: 1 for as much as DDPM has, 0 for none."""
    quantile: float | None
    """Of dynamic thresholding; None for none."""
    fresh: Callable[[int], Tensor]
    """Number of a step to standard normal numbers of the motion's shape; not called for the last step."""
    predicts: Literal["noise", "motion"] = "noise"
    """What the network's predictions are."""

    def step(self, index: int, latent: Tensor, prediction: Tensor) -> Tensor:
        """Return the motion after a step.

        The noise is that of the prediction and not recomputed from the thresholded motion, as published.

        Args:
            index: 0 for the first step.
            latent: The motion before it, shape (N, ...).
            prediction: The noise in it, or the motion without it, of the same shape.
        """
        time = torch.full((len(latent),), self.times[index], device=latent.device)
        if self.predicts == "motion":
            clean, prediction = prediction, self.schedule.noise(latent, time, prediction)
        else:
            clean = self.schedule.clean(latent, time, prediction)
        if self.quantile is not None:
            clean = dynamic_threshold(clean, self.quantile)
        before, after = self.signal[index], self.next_signal[index]
        sigma = self.eta * math.sqrt((1 - before / after) * (1 - after) / (1 - before))
        moved = math.sqrt(after) * clean + math.sqrt(1 - after - sigma**2) * prediction
        return moved if index == len(self.times) - 1 else moved + sigma * self.fresh(index)


def stochastic_ddim(schedule: NoiseSchedule, diffusion: Diffusion, fresh: Callable[[int], Tensor]) -> StochasticDDIM:
    """Return the sampler of a configuration; `fresh` as in `StochasticDDIM`."""
    times = ddim_times(diffusion.steps, len(schedule.betas), trailing=diffusion.spacing == "trailing")
    table = schedule.alphas_cumprod_prev if diffusion.signal == "published" else schedule.alphas_cumprod
    powers = [*(float(table[time]) for time in times[:-1]), 1.0]
    return StochasticDDIM(
        schedule,
        times[:-1],
        tuple(powers[:-1]),
        tuple(powers[1:]),
        diffusion.eta,
        diffusion.quantile,
        fresh,
        diffusion.predicts,
    )
