"""What the style extractor is trained for: styles of one video are alike, those of different ones are not.

Of the paper (arXiv 2409.03270) is that a contrastive objective makes the Gaussian capture the dynamic style of each
video; its form is the project's choice: InfoNCE (van den Oord et al., 2018) of drawn codes, or a triplet loss as
StyleTalk's (AAAI 2023) with the distance of Gaussians.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from thbench_methods.svp.style import Gaussian
    from torch import Tensor

TEMPERATURE = 0.1
"""Of the cosines."""
ALIKE = 0.2
"""Weight of another clip with the same emotion and level, over that of the other part of the same clip."""
MARGIN = 5.0
"""Of the triplet loss."""


def contrast(first: Tensor, second: Tensor, alike: Tensor) -> Tensor:
    """InfoNCE in both directions.

    Args:
        first: Codes of a part of each clip, (N, code).
        second: Codes of another part of each.
        alike: Shape (N, N), bool, symmetric: clips that also count as alike, with less weight.
    """
    cosine = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / TEMPERATURE
    same = torch.eye(len(first), dtype=torch.bool, device=first.device)
    wanted = same.float() + ALIKE * (alike & ~same).float()
    wanted = wanted / wanted.sum(dim=1, keepdim=True)
    return 0.5 * (F.cross_entropy(cosine, wanted) + F.cross_entropy(cosine.T, wanted))


def triplet(first: Gaussian, second: Gaussian, alike: Tensor) -> Tensor:
    """Triplet loss of 2-Wasserstein distances: the nearest style that is not alike against that of the same clip.

    Args:
        first: Styles of a part of each clip, N rows.
        second: Styles of another part of each.
        alike: Shape (N, N), bool, symmetric: clips that are no negatives.
    """
    distances = first.distances(second)
    same = torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    nearest = distances.masked_fill(alike | same, float("inf")).amin(dim=1)
    return F.relu(distances.diagonal() - nearest + MARGIN).mean()


def statistics(expression: Tensor) -> Tensor:
    """Map at least two frames (N, frames, n) to mean, deviation and energy of movement of each coefficient (N, 3 n)."""
    steps = expression.diff(dim=1).square().mean(dim=1).sqrt()
    return torch.cat((expression.mean(dim=1), expression.std(dim=1), steps), dim=1)
