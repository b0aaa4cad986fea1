"""KDTalker's diffusion: 1000 steps of linear noise, noise prediction, DDIM.

Source: chaolongy/KDTalker, model/model.py, with the leading time spacing of diffusers 0.10.2.
"""

from __future__ import annotations

from thbench_methods.nets.ddim import DDIM, ddim, linear_betas

TRAIN_STEPS, BETA_START, BETA_END = 1000, 1e-5, 8e-3


def sampler(
    steps: int, train_steps: int = TRAIN_STEPS, beta_start: float = BETA_START, beta_end: float = BETA_END
) -> DDIM:
    """Return DDIM with times 0, ratio, 2 ratio, ... below steps ratio, where ratio = train_steps // steps."""
    alpha_bars = (1 - linear_betas(train_steps, beta_start, beta_end)).cumprod(0).tolist()
    ratio = train_steps // steps
    return ddim(alpha_bars, range(0, steps * ratio, ratio), "noise")
