"""Trains the small Pose Latent Diffusion: the autoencoder of tracks, then the denoiser with its text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.training import About
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.movers import COUNT as MOVERS
from thbench_methods.posetalk.objective import COMPACT_WEIGHT, DIVERGENCE_WEIGHT, latent_loss, track_loss, vae_loss
from thbench_methods.posetalk.pose_denoiser import PoseCondition, alpha_bars
from thbench_methods.posetalk.pose_vae import unused
from thbench_methods.posetalk.prompts import prompt_of
from thbench_methods.posetalk.tracks import MIRROR_SIGN

from thbench.training import Recipe

if TYPE_CHECKING:
    import numpy as np
    from thbench_methods.posetalk.bundle import Posing
    from thbench_methods.posetalk.examples import Moves
    from torch import Tensor

VAE = Recipe(steps=2000, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
COMPACT = VAE.model_copy(update={"steps": 700})
DENOISER = VAE.model_copy(update={"steps": 4000})
LISTENER = VAE.model_copy(
    update={"steps": 1200, "learning_rate": 3e-3, "warm_up": 50, "weight_decay": 0.05, "average": 0.99, "seed": 2}
)
ABOUT = About(
    "PoseTalk mini: Pose Latent Diffusion and its text encoder",
    "Ling et al., arXiv 2409.02657; Chen et al., Motion Latent Diffusion, CVPR 2023; sizes are the project's own",
    "Autoencoder: Huber loss of tracks, of their velocity and of their acceleration, and"
    f" {DIVERGENCE_WEIGHT:g} of the divergence, {COMPACT_WEIGHT:g} in further steps."
    " Denoiser: squared error of clean latents, first of text alone, then of sound too, with all kept but the layers"
    " that tell it; sound and text each dropped in one clip of ten, both in another."
    f" {VAE.steps}, {COMPACT.steps}, {DENOISER.steps} and {LISTENER.steps} steps; this card's steps and curve are the"
    f" last ones, its minutes are those of all. To the clips of the split come {MOVERS:,} people who are in no split"
    " and only speak and move.",
    (
        "Each latent is of five frames and hears the sound around them: a code of the whole window, as the paper's is,"
        " learned nothing of what heads do on stressed syllables.",
        "The text encoder is a small transformer over words, trained along, in the place of CLIP.",
        "Prompts are sentences for the gesture of each clip of synth-heads, drawn anew at every step; a third of them"
        " is the description that comes with the clip.",
    ),
)
CLIPS = 32
"""Of a batch."""
SHORTEST = 25
"""Frames of the shortest track."""
CUT = 0.25
"""Share of clips that are cut short; a gesture may be cut off, so they have no prompt."""
DESCRIBED = 1 / 3
"""Share of prompts that are the clip's own description."""


class Batch(NamedTuple):
    """Tracks of clips, standardised."""

    track: Tensor
    """Shape (N, F, 8)."""
    lengths: Tensor
    """Shape (N,)."""
    audio: Tensor
    """Shape (N, F, audio)."""
    prompts: tuple[str, ...]
    told: Tensor
    """Shape (N,), bool: whether the prompt says what the track shows."""
    noise: Tensor
    """Shape (N, latents, latent width)."""
    seed: int
    """Of what the loss draws."""


@dataclass
class PoseTask:
    """What the stages share: batches."""

    network: Posing
    moves: Moves

    def __post_init__(self) -> None:
        self.relative = self.moves.relative
        deviation = self.relative.flatten(0, 1).std(dim=0).clamp(min=1e-3)
        self.network.diffusion.track_deviation.copy_(deviation)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, half of them mirrored."""
        moves, sizes = self.moves, self.network.diffusion.sizes
        count = min(CLIPS, len(moves))
        clips = rng.choice(len(moves), count, replace=False)
        sign = torch.tensor([MIRROR_SIGN if flip else (1.0,) * len(MIRROR_SIGN) for flip in rng.random(count) < 0.5])
        track = self.relative[clips] * sign[:, None] / self.network.diffusion.track_deviation
        frames = track.shape[1]
        cut = rng.random(count) < CUT
        lengths = torch.tensor([int(rng.integers(SHORTEST, frames)) if short else frames for short in cut])
        prompts = tuple(
            moves.prompt[clip] if rng.random() < DESCRIBED else prompt_of(moves.intent[clip], rng) for clip in clips
        )
        seed = int(rng.integers(2**62))
        draw = torch.Generator().manual_seed(seed)
        noise = torch.randn(count, *sizes.latent_shape, generator=draw)
        return Batch(track, lengths, moves.audio[clips], prompts, torch.from_numpy(~cut), noise, seed)


@dataclass
class VaeTask(PoseTask):
    """The autoencoder."""

    weight: float = DIVERGENCE_WEIGHT
    """Of the divergence."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `objective.vae_loss`."""
        predicted, posterior = self.network.diffusion.vae(batch.track, batch.lengths, batch.noise)
        return {
            "loss": vae_loss(predicted, batch.track, batch.lengths, posterior, self.weight),
            "track": track_loss(predicted.detach(), batch.track, batch.lengths),
            "divergence": posterior.divergence(),
        }


@dataclass
class DenoiserTask(PoseTask):
    """The denoiser and its text encoder; the autoencoder stays as it is, and no sound is told.

    Told sound along with text, the denoiser would learn which gesture the people of the training make by their sound.
    """

    hears: bool = False
    """Whether sound is told."""

    def __post_init__(self) -> None:
        PoseTask.__post_init__(self)
        self.powers = alpha_bars(MINI.diffusion)

    @torch.no_grad()
    def measure(self) -> None:
        """Take over mean and deviation of the latents of all clips."""
        net = self.network.diffusion
        track = self.relative / net.track_deviation
        lengths = torch.full((len(track),), track.shape[1])
        latents = net.vae.encode(track, lengths)
        means, variances = latents.mean, latents.log_variance.exp()
        if net.sizes.timed:
            shown = ~unused(net.sizes, lengths)
            means, variances = means[shown], variances[shown]
        net.latent_mean.copy_(means.mean(dim=0))
        net.latent_deviation.copy_((means.var(dim=0) + variances.mean(dim=0)).sqrt())

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `objective.latent_loss`."""
        net = self.network.diffusion
        with torch.no_grad():
            # The mean: draws would hide in noise which numbers say something.
            mean = net.vae.encode(batch.track, batch.lengths).mean
            latent = (mean - net.latent_mean) / net.latent_deviation
        heard = torch.full_like(batch.told, self.hears)
        condition = PoseCondition(batch.audio, batch.lengths, self.network.text(batch.prompts), heard, batch.told)
        draw = torch.Generator().manual_seed(batch.seed + 1)
        hidden = unused(net.sizes, batch.lengths)
        return {"loss": latent_loss(net.denoiser, MINI.diffusion, self.powers, latent, condition, draw, hidden)}


@dataclass
class ListenerTask(DenoiserTask):
    """What the denoiser is told of sound; all else stays as it is."""

    hears: bool = True

    def __post_init__(self) -> None:
        DenoiserTask.__post_init__(self)
        self.network.requires_grad_(False)
        self.network.diffusion.denoiser.listen.requires_grad_(True)
