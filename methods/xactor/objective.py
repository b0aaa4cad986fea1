"""What the actor is trained for: clean motion from chunks with noise levels of their own.

Source: X-Actor, arXiv 2508.02944 (asynchronously sampled noise levels); Chen et al., "Diffusion Forcing", NeurIPS 2024,
algorithm 1; Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", ICCV 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.xactor.forcing import TOP, noised, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.xactor.actor import ActorTransformer, Condition
    from thbench_methods.xactor.config import Objective
    from torch import Tensor


def drawn_levels(windows: int, parts: int, objective: Objective) -> Tensor:
    """Draw noise levels (windows, parts), each from 0 to 1000, by torch's own generator.

    In some windows they are sorted, so that they fall towards the past; in some everything before a random part is pure
    noise, in some others it has the low levels of what was generated before. None of it where the history is clean
    anyway.
    """
    levels = torch.randint(TOP + 1, (windows, parts))
    if not objective.forcing:
        return levels
    rising = torch.rand(windows, 1) < objective.sorted_share
    levels = torch.where(rising, levels.sort(dim=1).values, levels)
    drawn = torch.rand(windows, 1)
    forgotten = drawn < objective.noise_share
    generated = (drawn < objective.noise_share + objective.history_share) & ~forgotten
    before = torch.arange(parts) < torch.randint(parts, (windows, 1))
    low = torch.randint(objective.history_top + 1, (windows, parts))
    levels = torch.where(forgotten & before, TOP, levels)
    return torch.where(generated & before, low, levels)


def weights(levels: Tensor, objective: Objective) -> Tensor:
    """Return the weight of a squared error of the clean motion at noise levels of any shape, float32."""
    kept = signals().to(levels.device)[levels]
    low, high = objective.snr
    return (kept / (1 - kept)).clamp(low, high).float()


def losses(
    network: ActorTransformer, motion: Tensor, condition: Condition, levels: Tensor, objective: Objective
) -> Mapping[str, Tensor]:
    """Return the weighted squared errors of the clean motion and of its differences between frames.

    Args:
        network: In training.
        motion: Shape (B, frames, m), normalised, whole chunks.
        condition: Of these frames, without history.
        levels: Shape (B, n): of n equal parts of the frames.
        objective: Weights.
    """
    noisy = noised(motion, levels, torch.randn_like(motion))
    if not objective.forcing:
        condition = network.after_clean(motion, condition)
    predicted = network(noisy, levels, condition).float()
    weight = weights(levels, objective).repeat_interleave(motion.shape[1] // levels.shape[1], dim=1)[..., None]
    error = predicted - motion
    clean = (weight * error.square()).mean()
    velocity = (weight[:, 1:] * error.diff(dim=1).square()).mean()
    plain = error.detach().square().mean()
    return {"loss": clean + objective.velocity * velocity, "clean": clean, "velocity": velocity, "plain": plain}
