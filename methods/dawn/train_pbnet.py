"""Trains the mini PBNet: pose and blinks of whole clips from sound, by an adversarial variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.training import About
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.pbnet_objective import (
    PatchDiscriminator,
    PBNetWeights,
    discriminator_loss,
    generator_loss,
)
from thbench_methods.dawn.state import QUANTILES
from torch import nn
from torch.func import functional_call

from thbench.errors import UsageError
from thbench.metrics.blink import CLOSED_SHARE, RATE, blink_values
from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from thbench_methods.dawn.pbnet import PBNet
    from torch import Tensor

RECIPE = Recipe(
    steps=2500, learning_rate=1e-3, warm_up=50, last_rate=0.05, average=0.995, clip_norm=10.0, bfloat16=False
)
ABOUT = About(
    "DAWN mini: PBNet for pose and for blinks",
    "Cheng et al., arXiv 2410.13726; Petrovich et al., ACTOR, ICCV 2021; sizes are the project's own",
    "Squared error of the reconstructed motion, KL divergence of the latents, and a discriminator of stretches of"
    " motion, trained along.",
    (
        "Latents are drawn as they are in training, measured once they are learned, on a scale at which heads move as"
        " much and eyes blink as often as people's do, to every fifth clip, which is not trained on; the published"
        " network draws them independently of each other.",
        "Lids that blink, and those that do not, are brought to those of the training quantile by quantile: the network"
        " blinks as often as people do, and half shuts the eyes where they shut them.",
        "Clips are also shown mirrored. Differences begin at 0.",
    ),
)
CLIPS = 12
"""Of a batch; fewer where the split has fewer."""
SHORTEST = 40
"""Fewest frames of a batch; at most it has those that are drawn at once."""
WEIGHTS = PBNetWeights(divergence=1e-4, adversarial=0.001)
"""In units of the squared error, which is small for states in [0, 1]."""
SCALES, HALVINGS = (0.5, 2.0), 8
"""Between which the scale of drawn latents is looked for, and steps of the search."""
HELD, DRAWS = 5, 4
"""One clip of so many is not trained on, but measured; and how often for each of them. To what it was trained on, a
network moves otherwise than to what it never heard."""
MIRRORED = (0, 2, 4)
"""Numbers of a normalised pose that a mirror turns about the middle of their range: yaw, roll, place to the right."""


def mirrored(pose: Tensor) -> Tensor:
    """Return normalised poses (..., 6) as a mirror shows them."""
    turned = pose.clone()
    turned[..., list(MIRRORED)] = 1 - turned[..., list(MIRRORED)]
    return turned


def both_sides(states: Tensor, mirrored: Tensor, held: int) -> Tensor:
    """Return clips (clips, ...) and their mirror images, those of the last `held` clips at the end."""
    first = len(states) - held
    return torch.cat((states[:first], mirrored[:first], states[first:], mirrored[first:]))


def deviation(states: Tensor) -> float:
    """Return the mean deviation of states (N, F, state) within clips."""
    return float(states.std(dim=1).mean())


def blinks(states: Tensor) -> float:
    """Return the blinks per second of lids (N, F, 2), 1 open, as the metrics count them."""
    rates = [blink_values(lids.double().numpy(), MINI.fps)[RATE] for lids in states.mean(dim=-1)]
    return float(sum(rate for rate in rates if isinstance(rate, float)) / len(rates))


def lid_quantiles(lids: Tensor) -> Tensor:
    """Return how far lids are open (2 QUANTILES,), ascending: quantiles of those that blink, and of the others.

    Where there are none of one kind, all places of it are as frequent.
    """
    line = torch.linspace(0, 1, QUANTILES, dtype=torch.float64)
    lids = lids.double().flatten()
    shut, others = lids[lids < CLOSED_SHARE], lids[lids >= CLOSED_SHARE]
    return torch.cat(
        (
            shut.quantile(line) if len(shut) else CLOSED_SHARE * line,
            others.quantile(line) if len(others) else CLOSED_SHARE + (1 - CLOSED_SHARE) * line,
        )
    ).float()


class Batch(NamedTuple):
    """Stretches of clips."""

    states: Tensor
    """Shape (N, F, state), normalised."""
    audio: Tensor
    """Shape (N, F, audio)."""


class Rivals(nn.Module):
    """A network and its discriminator, which is not shipped, and how many steps they were trained."""

    done: Tensor

    def __init__(self, net: PBNet) -> None:
        super().__init__()
        self.net = net
        self.judge = PatchDiscriminator(net.sizes.state, widths=(32, 48, 64))
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def frozen(self, states: Tensor) -> Tensor:
        """Judge motions with a discriminator that learns nothing from it."""
        weights = {name: value.detach() for name, value in self.judge.named_parameters()}
        logits: Tensor = functional_call(self.judge, weights, (states,))
        return logits


@dataclass
class StateTask:
    """Motion of heads or lids."""

    network: Rivals
    states: Tensor
    """Shape (clips, frames, state), normalised."""
    audio: Tensor
    """Shape (clips, frames, audio)."""
    steps: int
    """Of the recipe."""
    held: int = 0
    """The last so many clips are not trained on: what is drawn is measured for them, and for all if there are none."""
    weights: PBNetWeights = WEIGHTS

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw stretches."""
        seen, total = len(self.states) - self.held, self.states.shape[1]
        count = min(CLIPS, seen)
        clips = torch.from_numpy(rng.choice(seen, count, replace=False))
        length = min(int(rng.integers(SHORTEST, (self.network.net.sizes.longest or total) + 1)), total)
        first = torch.from_numpy(rng.integers(total - length + 1, size=count))
        rows = first[:, None] + torch.arange(length)
        return Batch(self.states[clips[:, None], rows], self.audio[clips[:, None], rows])

    @torch.no_grad()
    def measure(self, amount: Callable[[Tensor], float]) -> None:
        """Measure what latents are like, where clips are to be drawn so.

        Args:
            amount: Of states (N, F, state), what is to be as much in drawn clips as in those of the training.

        Raises:
            UsageError: Clips are shorter than what is drawn at once.
        """
        net = self.network.net.eval()
        if net.prior is None:
            return
        frames = net.prior.mean.shape[1]
        if self.states.shape[1] < frames:
            raise UsageError(f"clips of {self.states.shape[1]} frames are too short to train on; make them of {frames}")
        states, audio = self.states[:, :frames], self.audio[:, :frames]
        initial, difference = states[:, :1], states - states[:, :1]
        latents = net.encoder(initial, difference, audio).mean
        net.prior.keep(initial, latents)
        # What the networks make of latents that are normal moves less, or more, than what they were trained with.
        factors, low, high = net.prior.over_frames.clone(), *SCALES
        for _ in range(HALVINGS):
            scale = (low * high) ** 0.5
            net.prior.over_frames.copy_(scale * factors)
            enough = amount(self.drawn()) > amount(states)
            low, high = (low, scale) if enough else (scale, high)

    @torch.no_grad()
    def drawn(self) -> Tensor:
        """Return states (n, frames, state) drawn for sound and first frame of clips that were not trained on."""
        net = self.network.net.eval()
        initial, audio = self.states[-self.held :, :1], self.audio[-self.held :, : net.sizes.longest]
        initial, audio = initial.repeat(DRAWS, 1, 1), audio.repeat(DRAWS, 1, 1)
        shape = (*audio.shape[:2], net.sizes.audio_latent)
        made: Tensor = net.generate(initial, audio, torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        return initial + made

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """PBNet's and the discriminator's losses, added as in the published code; neither moves the other's weights."""
        net, sizes = self.network.net, self.network.net.sizes
        shape = (*batch.states.shape[:2], sizes.audio_latent)
        initial = batch.states[:, :1]
        rebuilt, posterior = net(batch.states, batch.audio, torch.randn(shape))
        made = initial + rebuilt
        progress = float(self.network.done) / self.steps
        self.network.done += 1
        logits = self.network.frozen(made)
        own = generator_loss(batch.states - initial, rebuilt, posterior, logits, progress, self.weights)
        judged = discriminator_loss(self.network.judge(batch.states), self.network.judge(made.detach()))
        return {
            "loss": own.total + judged,
            "reconstruction": own.reconstruction,
            "divergence": own.divergence,
            "adversarial": own.adversarial,
            "judged": judged,
        }
