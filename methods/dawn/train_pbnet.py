"""Trains the mini PBNet: pose and blinks of whole clips from sound, by an adversarial variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.training import About
from thbench_methods.dawn.pbnet_objective import (
    PatchDiscriminator,
    PBNetWeights,
    discriminator_loss,
    generator_loss,
)
from torch import nn
from torch.func import functional_call

from thbench.training import Recipe

if TYPE_CHECKING:
    import numpy as np
    from thbench_methods.dawn.pbnet import PBNet
    from torch import Tensor

RECIPE = Recipe(steps=1200, learning_rate=1e-3, warm_up=50, last_rate=0.05, average=0.995, bfloat16=False)
ABOUT = About(
    "DAWN mini: PBNet for pose and for blinks",
    "Cheng et al., arXiv 2410.13726; Petrovich et al., ACTOR, ICCV 2021; sizes are the project's own",
    "Squared error of the reconstructed motion, KL divergence of the latents, and a discriminator of stretches of"
    " motion, trained along.",
    ("The discriminator judges motions drawn from the prior; in the published code it judges reconstructions.",),
)
FRAMES, CLIPS = 96, 12
"""Of a batch; fewer clips where the split has fewer."""


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
    weights: PBNetWeights = field(default_factory=PBNetWeights)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw stretches."""
        count = min(CLIPS, len(self.states))
        clips = torch.from_numpy(rng.choice(len(self.states), count, replace=False))
        first = torch.from_numpy(rng.integers(self.states.shape[1] - FRAMES + 1, size=count))
        rows = first[:, None] + torch.arange(FRAMES)
        return Batch(self.states[clips[:, None], rows], self.audio[clips[:, None], rows])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """PBNet's and the discriminator's losses, added as in the published code; neither moves the other's weights."""
        net, sizes = self.network.net, self.network.net.sizes
        shape = (*batch.states.shape[:2], sizes.audio_latent)
        initial = batch.states[:, :1]
        rebuilt, posterior = net(batch.states, batch.audio, torch.randn(shape))
        made = initial + net.generate(initial, batch.audio, torch.randn(shape))
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
