"""DreamTalk's diffusion: 1000 steps of linear noise behind a noiseless step 0, clean prediction, DDIM.

Source: ali-vilab/dreamtalk, core/networks/diffusion_net.py; the tables are those of luost26/diffusion-point-cloud.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from thbench_methods.nets.building import computed
from thbench_methods.nets.ddim import DDIM, ddim, linear_betas
from torch import Tensor, nn

TRAIN_STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02


def betas(steps: int = TRAIN_STEPS, start: float = BETA_START, end: float = BETA_END) -> Tensor:
    """Return (steps + 1,) noise variances by time, zero at time 0."""
    return F.pad(linear_betas(steps, start, end), (1, 0))


def alpha_bars(variances: Tensor) -> Tensor:
    """Return cumulative alphas, summed as logarithms."""
    return (1 - variances).log().cumsum(0).exp()


class VarianceSchedule(nn.Module):
    """The tables that lie in the published checkpoint; the sampler takes its own from `sampler`."""

    def __init__(self, steps: int = TRAIN_STEPS) -> None:
        super().__init__()
        for name, values in computed_tables(steps).items():
            self.register_buffer(name, values)


def computed_tables(steps: int) -> dict[str, Tensor]:
    """Return betas, alphas, cumulative alphas, and the two bounds of the reverse step's deviation."""

    def tables() -> Tensor:
        variances = betas(steps)
        bars = alpha_bars(variances)
        inflexible = torch.zeros_like(variances)
        inflexible[1:] = (1 - bars[:-1]) / (1 - bars[1:]) * variances[1:]
        return torch.stack((variances, 1 - variances, bars, variances.sqrt(), inflexible.sqrt()))

    return dict(zip(("betas", "alphas", "alpha_bars", "sigmas_flex", "sigmas_inflex"), computed(tables), strict=True))


def sampler(
    steps: int, train_steps: int = TRAIN_STEPS, beta_start: float = BETA_START, beta_end: float = BETA_END
) -> DDIM:
    """Return DDIM with times 1, 1 + ratio, 1 + 2 ratio, ... where ratio = train_steps // steps."""
    ratio = train_steps // steps
    bars = alpha_bars(betas(train_steps, beta_start, beta_end)).tolist()
    return ddim(bars, range(1, 1 + steps * ratio, ratio), "clean")
