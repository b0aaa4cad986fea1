"""DreamTalk's diffusion: linear noise behind a noiseless step 0, clean prediction, DDIM.

Source: ali-vilab/dreamtalk, core/networks/diffusion_net.py; the tables are those of luost26/diffusion-point-cloud.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.nets.building import computed
from thbench_methods.nets.ddim import DDIM, ddim, linear_betas

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.config import Diffusion
from torch import Tensor, nn


def betas(diffusion: Diffusion) -> Tensor:
    """Return (train_steps + 1,) noise variances by time, zero at time 0."""
    return F.pad(linear_betas(diffusion.train_steps, diffusion.beta_start, diffusion.beta_end), (1, 0))


def alpha_bars(variances: Tensor) -> Tensor:
    """Return cumulative alphas, summed as logarithms."""
    return (1 - variances).log().cumsum(0).exp()


def sampler(diffusion: Diffusion) -> DDIM:
    """Return DDIM with times 1, 1 + ratio, 1 + 2 ratio, ... where ratio = train_steps // steps."""
    ratio = diffusion.train_steps // diffusion.steps
    return ddim(alpha_bars(betas(diffusion)).tolist(), range(1, 1 + diffusion.steps * ratio, ratio), "clean")


class VarianceSchedule(nn.Module):
    """The tables that lie in the published checkpoint; the sampler takes its own from `sampler`."""

    def __init__(self, diffusion: Diffusion) -> None:
        super().__init__()
        for name, values in zip(TABLES, computed(lambda: tables(diffusion)), strict=True):
            self.register_buffer(name, values.clone())


TABLES = ("betas", "alphas", "alpha_bars", "sigmas_flex", "sigmas_inflex")


def tables(diffusion: Diffusion) -> Tensor:
    """Return (5, train_steps + 1): betas, alphas, cumulative alphas, the reverse step's largest and least deviation."""
    variances = betas(diffusion)
    bars = alpha_bars(variances)
    least = F.pad((1 - bars[:-1]) / (1 - bars[1:]) * variances[1:], (1, 0))
    return torch.stack((variances, 1 - variances, bars, variances.sqrt(), least.sqrt()))
