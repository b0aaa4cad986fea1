"""Teaches the mini EchoMimic its own guided sampling in six steps without guidance: the mini EchoMimic Acc.

The authors published weights of such a network, and not how they were made. Here each of the six steps is taught to end
where several steps of the guided network end: progressive distillation (Salimans and Ho, ICLR 2022, algorithm 2), all
halvings at once, with guidance in the target (Meng et al., "On Distillation of Guided Diffusion Models", CVPR 2023).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.presets import shipped
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.echomimic.bundle import ACC_FILE, FILE
from thbench_methods.echomimic.config import MINI, MINI_ACCELERATED, Config
from thbench_methods.echomimic.networks import Condition, EchoMimic
from thbench_methods.echomimic.train import CLIPS_2, Batch, condition_of, prepared, shown
from thbench_methods.nets.unet3d.drawing import lips_of, windows
from thbench_methods.nets.unet3d.schedule import TRAIN_STEPS, Diffusion, VelocityDDIM, alpha_bars, sampler
from thbench_methods.nets.unet3d.train import Velocity

from thbench.training import Recipe
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from thbench_methods.echomimic.networks import DenoisingUNet
    from thbench_methods.nets.unet3d.train import LatentClips
    from torch import Tensor

    from thbench.training.order import Order

RECIPE = Recipe(steps=500, learning_rate=3e-4, warm_up=50, last_rate=0.05, average=0.99, bfloat16=False)
"""Without AMX, float32 is the faster format on processors."""
ABOUT = About(
    "EchoMimic Acc mini",
    "Chen et al., arXiv 2407.08136, accelerated release; training is the project's own",
    "Velocities of six steps without guidance, each of which ends where five guided steps of EchoMimic mini end;"
    " squared error weighted by where face, eyes and lips are.",
    (
        "Begins with the weights of EchoMimic mini, which is also the teacher; reference network and face locator are"
        " the same for both and lie in its file.",
        "The authors did not publish how their accelerated weights were made.",
    ),
)
SUBSTEPS = MINI.sampling.steps // MINI_ACCELERATED.sampling.steps
"""Steps of the teacher in one of the student's."""


@dataclass
class Distillation:
    """A student that is taught to take one step where its teacher takes several."""

    network: DenoisingUNet
    """The student."""
    whole: EchoMimic
    """The teacher, and what both are told; is not trained."""
    clips: LatentClips
    config: Config = MINI_ACCELERATED
    guidance: float = MINI.sampling.guidance
    """Of the teacher."""
    substeps: int = SUBSTEPS

    def __post_init__(self) -> None:
        self.velocity, self.diffusion = Velocity.of(), Diffusion()
        self.schedule = sampler(self.config.sampling.steps, self.diffusion)
        self.whole.requires_grad_(False).eval()

    def batch(self, rng: np.random.Generator) -> tuple[Batch, int]:
        """Draw windows, and the number of a step."""
        drawn = windows(rng, self.clips, CLIPS_2, self.config.sampling.window)
        step = int(rng.integers(len(self.schedule.times)))
        return shown(self.clips, drawn, self.whole, self.config), step

    def losses(self, batch: tuple[Batch, int]) -> Mapping[str, Tensor]:
        """Return the squared errors of the velocity that leads where the teacher's steps do."""
        windows, step = batch
        with torch.no_grad():
            told = condition_of(self.whole, windows)
            noisy = self._noisy(windows.clean, step)
            wanted = self.taught(noisy, step, told)
        times = torch.full((len(noisy),), self.schedule.times[step])
        predicted, _ = self.network.full(noisy, times, told)
        return self.velocity.losses(predicted, wanted, windows.weight, lips_of(windows.weight))

    def taught(self, noisy: Tensor, step: int, told: Condition) -> Tensor:
        """Return the velocity that leads in one step where the teacher's steps lead.

        Args:
            noisy: At the time of the step, (B, C, F, h, w).
            step: Of the student's schedule.
            told: Without guidance.
        """
        path = substeps(self.schedule, step, self.substeps, self.diffusion)
        z = noisy
        for index, time in enumerate(path.times):
            z = path.step(index, z, self._guided(z, time, told))
        return leading(noisy, z, self.schedule.signal[step], self.schedule.next_signal[step])

    def _guided(self, z: Tensor, time: int, told: Condition) -> Tensor:
        pair = Condition(
            audio=_paired(told.audio, torch.zeros_like),
            locator=_paired(told.locator, torch.zeros_like),
            reference={place: _paired(tokens, torch.clone) for place, tokens in told.reference.items()},
        )
        both, _ = self.whole.denoising_unet.full(torch.cat((z, z)), torch.tensor([time]), pair)
        plain, led = both.chunk(2)
        return plain + self.guidance * (led - plain)

    def _noisy(self, clean: Tensor, step: int) -> Tensor:
        kept, noise = self.schedule.signal[step], torch.randn_like(clean)
        return math.sqrt(kept) * clean + math.sqrt(1 - kept) * noise


def substeps(schedule: VelocityDDIM, step: int, count: int, diffusion: Diffusion) -> VelocityDDIM:
    """Return several steps that begin and end where one does.

    Args:
        schedule: Of the one.
        step: Its number.
        count: How many.
        diffusion: The noise schedule.
    """
    bars, first = alpha_bars(diffusion).tolist(), schedule.times[step]
    length = TRAIN_STEPS // len(schedule.times)
    times = tuple(time for index in range(count) if (time := first - round(index * length / count)) >= 0)
    signal = (schedule.signal[step], *(bars[time] for time in times[1:]))
    return VelocityDDIM(times, signal, (*signal[1:], schedule.next_signal[step]))


def leading(before: Tensor, after: Tensor, signal: float, next_signal: float) -> Tensor:
    """Return the velocity at a latent that leads to another one in one step.

    Args:
        before: The latent.
        after: Where it is to lead.
        signal: Cumulative alpha of the latent, below 1.
        next_signal: Of the other one, higher.
    """
    noise_kept = math.sqrt((1 - next_signal) / (1 - signal))
    clean = (after - noise_kept * before) / (math.sqrt(next_signal) - noise_kept * math.sqrt(signal))
    return (math.sqrt(signal) * before - clean) / math.sqrt(1 - signal)


def _paired(rows: Tensor, plain: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat((plain(rows), rows))


def train(order: Order) -> None:
    """Train; autoencoder, speech encoder and EchoMimic's small preset must be there."""
    whole = EchoMimic(MINI)
    load_weights(shipped(FILE), whole)
    torch.manual_seed(RECIPE.seed)
    whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    clips = prepared(order, whole, MINI)
    student = copy.deepcopy(whole.denoising_unet)
    training = fitted(Distillation(student, whole, clips), RECIPE, order, "echomimic-acc")
    ship(destination(order, ACC_FILE), student, ABOUT, order, training, clips.pictures)
