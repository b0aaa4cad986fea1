"""What PBNet is trained on.

Source: DAWN, section 3.4, L = L_rec + λ_KL KL + 0.6 L_GAN; Hanbo-Cheng/DAWN-pytorch, PBnet/src/models/tools/losses.py
and PBnet/src/train. The published code takes a maximum in the ramp of λ_KL where a minimum was probably meant, so that
it jumps to its full weight; here it rises to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.nets.posterior import Posterior


@dataclass(frozen=True, slots=True)
class PBNetWeights:
    """Weights of the parts of the loss beside that of the reconstruction."""

    divergence: float = 0.01
    """Largest weight of the KL divergence; the published code has 0.004."""
    adversarial: float = 0.6
    """Of the discriminator's judgement."""
    silent: float = 0.25
    """Share of training that runs without the KL divergence: 400 of 1600 epochs."""
    full: float = 1.0
    """Share of training at which its weight is reached, in a straight line."""


def divergence_weight(progress: float, weights: PBNetWeights) -> float:
    """Return the weight of the KL divergence at a share of training from 0 to 1."""
    risen = (progress - weights.silent) / (weights.full - weights.silent)
    return weights.divergence * min(max(risen, 0.0), 1.0)


class PatchDiscriminator(nn.Module):
    """Judges overlapping stretches of a motion: one-dimensional convolutions over time."""

    def __init__(self, state: int, widths: tuple[int, ...] = (64, 128, 256), kernel: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise((state, *widths))):
            layers.append(nn.Conv1d(inputs, outputs, kernel, stride=2, padding=1, bias=number == 0))
            layers += [nn.InstanceNorm1d(outputs, affine=True)] if number else []
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv1d(widths[-1], 1, kernel, padding=1))

    def forward(self, states: Tensor) -> Tensor:
        """Map motions (N, F, state), F at least 32, to logits (N, 1, stretches) of being real."""
        logits: Tensor = self.layers(states.mT)
        return logits


def judged(logits: Tensor, *, real: bool) -> Tensor:
    """Return the cross-entropy of logits with all real, or all made."""
    return F.binary_cross_entropy_with_logits(logits, logits.new_full(logits.shape, float(real)))


class PBNetLoss(NamedTuple):
    """The loss of a step, and its parts before weighting."""

    total: Tensor
    reconstruction: Tensor
    divergence: Tensor
    adversarial: Tensor


def generator_loss(
    difference: Tensor,
    reconstructed: Tensor,
    posterior: Posterior,
    logits: Tensor,
    progress: float,
    weights: PBNetWeights = PBNetWeights(),
) -> PBNetLoss:
    """Return PBNet's own loss.

    Args:
        difference: Shape (N, F, state): true differences to the first state.
        reconstructed: Of the same shape, from the decoder.
        posterior: Of the latents.
        logits: The discriminator's of `reconstructed`.
        progress: Share of training done, 0 to 1.
        weights: Of the parts.
    """
    rebuilt, spread, doubt = F.mse_loss(reconstructed, difference), posterior.divergence(), judged(logits, real=True)
    total = rebuilt + divergence_weight(progress, weights) * spread + weights.adversarial * doubt
    return PBNetLoss(total, rebuilt, spread, doubt)


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return the discriminator's loss, given its logits of real motions and of PBNet's (without their gradient)."""
    return (judged(real, real=True) + judged(made, real=False)) / 2
