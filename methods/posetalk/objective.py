"""What PoseTalk is trained on.

Source: PoseTalk, section 3 (Huber loss of the autoencoder; lips take less than 4 % of a plain reconstruction loss, and
RefineNet's loss gives them their weight); Motion Latent Diffusion and PIRenderer for the rest. Weights are this
project's choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.posetalk.pose_vae import padding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thbench_methods.nets.posterior import Posterior
    from thbench_methods.posetalk.config import PoseDiffusion
    from thbench_methods.posetalk.pose_denoiser import PoseCondition, PoseDenoiser
    from thbench_methods.posetalk.video import Refined
    from torch import Tensor

DERIVATIVE_WEIGHTS = (1.0, 1.0, 0.5)
"""Of the track, its velocity and its acceleration."""
DIVERGENCE_WEIGHT = 1e-4
COMPACT_WEIGHT = 1e-2
"""Of the divergence once tracks are known: numbers of the latents that say nothing are given up. From the start on, it
would keep the autoencoder from saying anything."""


def track_loss(predicted: Tensor, track: Tensor, lengths: Tensor) -> Tensor:
    """Return the Huber loss of tracks (N, F, track), of their differences and of the differences of those.

    Frames behind the end of each do not count.
    """
    total = predicted.new_zeros(())
    shown = ~padding(lengths, track.shape[1])
    for weight in DERIVATIVE_WEIGHTS:
        if track.shape[1] == 0:
            break
        error = F.huber_loss(predicted, track, reduction="none").mean(dim=2)
        total = total + weight * (error * shown).sum() / shown.sum().clamp(min=1)
        predicted, track, shown = predicted.diff(dim=1), track.diff(dim=1), shown[:, 1:]
    return total


def vae_loss(
    predicted: Tensor, track: Tensor, lengths: Tensor, posterior: Posterior, weight: float = DIVERGENCE_WEIGHT
) -> Tensor:
    """Return the loss of the autoencoder, with a weight of the divergence."""
    return track_loss(predicted, track, lengths) + weight * posterior.divergence()


class Told(NamedTuple):
    """Which conditions each clip of a step is told."""

    heard: Tensor
    """Shape (N,), bool."""
    told: Tensor
    """Shape (N,), bool."""


def draw_told(clips: int, probability: float, generator: torch.Generator) -> Told:
    """Drop the sound, the text, or both, each with that probability."""
    slot = (torch.rand(clips, generator=generator, device=generator.device) / probability).long()
    sound, text, both = slot == 0, slot == 1, slot == 2
    return Told(heard=~(sound | both), told=~(text | both))


def latent_loss(
    denoiser: PoseDenoiser,
    diffusion: PoseDiffusion,
    powers: Tensor,
    latent: Tensor,
    condition: PoseCondition,
    generator: torch.Generator,
    unused: Tensor | None = None,
) -> Tensor:
    """Return the denoiser's mean squared error in the noise of latents, or in the clean ones where it predicts those.

    Args:
        denoiser: The network.
        diffusion: Its schedule and how often conditions are dropped.
        powers: Signal power by time, from `pose_denoiser.alpha_bars`.
        latent: Shape (N, latents, latent width), of deviation one.
        condition: What they depend on; what it tells is drawn anew.
        generator: Draws times, noise and what is told.
        unused: Shape (N, latents), bool: those that do not count; None counts all.
    """
    clips = len(latent)
    time = torch.randint(diffusion.train_steps, (clips,), generator=generator, device=generator.device)
    noise = torch.randn(latent.shape, generator=generator, device=generator.device)
    power = powers.to(latent)[time][:, None, None]
    noisy = power.sqrt() * latent + (1 - power).sqrt() * noise
    told = draw_told(clips, diffusion.null_probability, generator)
    heard = condition._replace(heard=condition.heard & told.heard, told=condition.told & told.told)
    wanted = noise if diffusion.predicts == "noise" else latent
    error: Tensor = (denoiser(noisy, time, heard) - wanted).square()
    return error.mean() if unused is None else error[~unused].mean()


def lip_share(image: Tensor, target: Tensor, lips: Tensor) -> Tensor:
    """Return the share of the plain reconstruction loss that the lips have.

    Args:
        image: Shape (N, 3, H, W).
        target: Of the same shape.
        lips: Shape (N, 1, H, W): one on the lips, zero elsewhere.
    """
    error = (image - target).abs()
    return (error * lips).sum() / error.sum().clamp(min=torch.finfo(error.dtype).tiny)


def image_loss(image: Tensor, target: Tensor, features: Callable[[Tensor], Sequence[Tensor]] | None = None) -> Tensor:
    """Return the mean absolute error of images, and of their features where a network for them is given."""
    loss = (image - target).abs().mean()
    if features is not None:
        pairs = zip(features(image), features(target), strict=True)
        loss = loss + torch.stack([(ours - theirs).abs().mean() for ours, theirs in pairs]).sum()
    return loss


LARGEST_LIP_WEIGHT = 100.0
"""Lips that are right already are not pulled harder than this, and have less than their share then."""


def lip_loss(image: Tensor, target: Tensor, lips: Tensor) -> Tensor:
    """Return the mean absolute error on the lips (N, 1, H, W)."""
    return ((image - target).abs() * lips).sum() / (image.shape[1] * lips.sum().clamp(min=1))


def refine_loss(
    refined: Sequence[Refined],
    target: Tensor,
    lips: Tensor,
    *,
    share: float = 0.5,
    features: Callable[[Tensor], Sequence[Tensor]] | None = None,
) -> Tensor:
    """Return RefineNet's loss, over all resolutions.

    At each, the lips are weighted so that they have `share` of the loss: as much as everything else by default.

    Args:
        refined: What RefineNet returned.
        target: The true frames, (N, 3, H, W).
        lips: Shape (N, 1, H, W): one on the lips, zero elsewhere.
        share: Of the lips, at least 0 and below 1.
        features: Images to feature maps of a network that judges likeness; None for pixels alone.
    """
    losses = []
    for level in refined:
        size = level.image.shape[2:]
        small, there = (F.interpolate(whole, size=size, mode="area") for whole in (target, lips))
        plain, near = image_loss(level.image, small, features), lip_loss(level.image, small, there)
        weight = share / (1 - share) * plain.detach() / near.detach()
        losses.append(plain + weight.nan_to_num(0.0).clamp(max=LARGEST_LIP_WEIGHT) * near)
    return torch.stack(losses).mean()
