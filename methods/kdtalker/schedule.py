"""KDTalker's diffusion: linear noise, noise prediction, DDIM.

Source: chaolongy/KDTalker, model/model.py, with the leading time spacing of diffusers 0.10.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench_methods.nets.ddim import DDIM, ddim, linear_betas

if TYPE_CHECKING:
    from thbench_methods.kdtalker.config import Diffusion


def sampler(diffusion: Diffusion) -> DDIM:
    """Return DDIM with times 0, ratio, 2 ratio, ... below steps ratio, where ratio = train_steps // steps."""
    betas = linear_betas(diffusion.train_steps, diffusion.beta_start, diffusion.beta_end)
    ratio = diffusion.train_steps // diffusion.steps
    return ddim((1 - betas).cumprod(0).tolist(), range(0, diffusion.steps * ratio, ratio), "noise")
