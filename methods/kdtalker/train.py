"""Trains the mini denoiser on synth-heads with the paper's objective: noise prediction, plain mean squared error.

The audio encoder is trained first, on visemes (`nets.speech.train`), and then frozen, as the published one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.kdtalker.bundle import FILE, Bundle
from thbench_methods.kdtalker.config import MINI
from thbench_methods.kdtalker.motion import LAYOUT, Statistics
from thbench_methods.kdtalker.networks import Condition
from thbench_methods.nets.ddim import linear_betas
from thbench_methods.nets.liveportrait.examples import LAYOUT as EXAMPLES_LAYOUT
from thbench_methods.nets.liveportrait.examples import open_examples
from thbench_methods.nets.liveportrait.keypoints import as_points
from thbench_methods.nets.liveportrait.train import train as train_liveportrait
from thbench_methods.nets.speech.train import heard, window_task

from thbench.training import Recipe

if TYPE_CHECKING:
    import numpy as np
    from thbench_methods.kdtalker.config import Config
    from thbench_methods.kdtalker.networks import SpatiotemporalTransformer
    from thbench_methods.nets.liveportrait.examples import Examples
    from thbench_methods.nets.speech.train import Heard
    from torch import Tensor

    from thbench.training.order import Order

RECIPE = Recipe(
    steps=2500, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, betas=(0.95, 0.999), bfloat16=False
)
AUDIO_RECIPE = Recipe(steps=400, learning_rate=2e-3, warm_up=50, last_rate=0.02, average=0.995, bfloat16=False)
ABOUT = About(
    "KDTalker mini",
    "Yang et al., arXiv 2503.12963; sizes are the project's own",
    "Noise prediction, mean squared error over windows of 64 frames. The audio encoder before it: cross-entropy of"
    " visemes and squared error of the mouth, then frozen.",
    (
        "Motion comes from the truth of synth-heads; the published training reads it with LivePortrait's extractor.",
        "Audio features are not disturbed in training; the two prior tokens are, by what a motion extractor errs.",
    ),
)
BATCH = 32
REFERENCE_ERROR, CANONICAL_ERROR = 0.1, 0.2
"""Deviation, in normalised units, of what a motion extractor adds to the two prior tokens."""


class Batch(NamedTuple):
    """Windows of normalised motion and what they are generated from."""

    motion: Tensor
    """Shape (N, window, 70)."""
    condition: Condition


@dataclass
class DenoiserTask:
    """Noise in windows of motion."""

    network: SpatiotemporalTransformer
    motion: Tensor
    """Shape (clips, frames, 70), normalised."""
    canonical: Tensor
    """Shape (clips, 63), normalised."""
    audio: Tensor
    """Shape (clips, frames, audio)."""
    config: Config = MINI

    def __post_init__(self) -> None:
        diffusion = self.config.diffusion
        betas = linear_betas(diffusion.train_steps, diffusion.beta_start, diffusion.beta_end)
        self.signal = (1 - betas).cumprod(0)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw windows: frame r is the reference, the frames behind it are the targets."""
        window = self.config.window
        clips = torch.from_numpy(rng.integers(len(self.motion), size=BATCH))
        first = torch.from_numpy(rng.integers(self.motion.shape[1] - window, size=BATCH))
        rows = first[:, None] + 1 + torch.arange(window)
        reference = self.motion[clips, first]
        canonical = self.canonical[clips]
        condition = Condition(
            reference + REFERENCE_ERROR * torch.randn_like(reference),
            canonical + CANONICAL_ERROR * torch.randn_like(canonical),
            self.audio[clips[:, None], rows],
        )
        return Batch(self.motion[clips[:, None], rows], condition)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the predicted noise; pose and expression apart for the curve."""
        noise = torch.randn_like(batch.motion)
        time = torch.randint(len(self.signal), (len(noise),))
        signal = self.signal[time][:, None, None]
        noisy = signal.sqrt() * batch.motion + (1 - signal).sqrt() * noise
        error = (self.network(noisy, time, batch.condition).float() - noise).square()
        return {"loss": error.mean(), "pose": error[..., 1:7].mean(), "expression": error[..., 7:].mean()}


def training_motion(examples: Examples) -> Tensor:
    """Return the motion of the examples (clips, frames, 70) in KDTalker's order."""
    return LAYOUT.pack(EXAMPLES_LAYOUT.unpack(torch.from_numpy(examples.motion)))


def statistics(motion: Tensor, canonical: Tensor) -> Statistics:
    """Return mean and deviation of motion (clips, frames, 70) and canonical key-points (clips, 63)."""
    flat = motion.flatten(0, 1)
    deviations = (torch.where(x.std(0) < 1e-6, 1.0, x.std(0)) for x in (flat, canonical))
    motion_std, canonical_std = deviations
    return Statistics(flat.mean(0), motion_std, canonical.mean(0), canonical_std)


def train(order: Order) -> None:
    """Train audio encoder and denoiser; the mini LivePortrait too where it is not there."""
    train_liveportrait(order)
    examples = open_examples(order.data, order.clips)
    torch.manual_seed(RECIPE.seed)
    bundle = Bundle(MINI)
    audio = hear_all(bundle, order, examples)
    bundle.keep(statistics(training_motion(examples), torch.from_numpy(examples.canonical)))
    training = fitted(denoiser_task(bundle, examples, audio), RECIPE, order, "kdtalker-denoiser")
    ship(destination(order, FILE), bundle, ABOUT, order, training, examples.pictures)


def denoiser_task(bundle: Bundle, examples: Examples, audio: Tensor) -> DenoiserTask:
    """Return the training of a bundle's denoiser; the bundle holds the statistics already."""
    means = bundle.statistics
    canonical = as_points(torch.from_numpy(examples.canonical))
    motion = means.normalise(training_motion(examples))
    return DenoiserTask(bundle.denoiser, motion, means.normalise_canonical(canonical), audio)


def hear_all(bundle: Bundle, order: Order, examples: Examples) -> Tensor:
    """Train the bundle's audio encoder; return its features of all clips (clips, frames, audio)."""
    data = heard(examples.pictures)
    fitted(window_task(data, bundle.audio, MINI.sizes.audio), AUDIO_RECIPE, order, "kdtalker-audio")
    return features(bundle, data)


def features(bundle: Bundle, data: Heard) -> Tensor:
    """Return what the bundle's audio encoder hears in all clips (clips, frames, audio)."""
    bundle.audio.eval()
    with torch.inference_mode():
        heard_clips = torch.stack([bundle.audio(windows) for windows in data.windows])
    return heard_clips.clone()
