"""Trains the mini transformer on synth-heads: rectified flow with the velocity loss on differences between frames.

Speech features come from the mini speech encoder, motion from the truth, emotion labels from the clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.moda.bundle import FILE, Bundle
from thbench_methods.moda.config import MINI
from thbench_methods.moda.motion import EPSILON, LAYOUT, Statistics
from thbench_methods.moda.schedule import LOWEST, TRAIN_STEPS
from thbench_methods.nets.liveportrait.examples import LAYOUT as EXAMPLES_LAYOUT
from thbench_methods.nets.liveportrait.examples import open_examples
from thbench_methods.nets.liveportrait.train import train as train_liveportrait
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.speech.train import train_mini as train_speech

from thbench.data.synth_heads.emotion import EMOTIONS
from thbench.training import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.moda.config import Config
    from thbench_methods.moda.networks import MotionDiffusion
    from thbench_methods.nets.liveportrait.examples import Examples
    from thbench_methods.nets.speech.encoder import SpeechEncoder
    from torch import Tensor

    from thbench.training.order import Order

RECIPE = Recipe(steps=2000, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
ABOUT = About(
    "MoDA mini",
    "Li et al., arXiv 2507.03256; sizes are the project's own",
    "Rectified flow over windows of 80 frames, and the same error of differences between frames (velocity loss); the"
    " emotion is dropped for 10 % of the windows, the speech for 10 %.",
    (
        "For 30 % of the windows the expression of the motion before them is another clip's of the same person; it"
        " would else tell the emotion, and the label would teach nothing.",
        "Motion comes from the truth of synth-heads; the published training reads it with LivePortrait's extractor.",
        "Without the lip-sync expert of the paper, whose weights and design are not published.",
    ),
)
BATCH = 8
EMOTION_DROP, AUDIO_DROP = 0.1, 0.1
OTHER_EXPRESSION = 0.3
"""Share of the windows whose previous motion has the expression of another clip of the same person."""
PREVIOUS_ERROR, IDENTITY_ERROR = 0.1, 0.02
"""Deviation of what a motion extractor adds to the previous motion (normalised) and to the canonical key-points."""


IS_EXPRESSION = torch.arange(LAYOUT.size) < LAYOUT.place("exp").stop
"""Which of the 70 values are expression; they come first."""


class Batch(NamedTuple):
    """Windows of normalised motion and what they are generated from."""

    motion: Tensor
    """Shape (N, window, 70)."""
    previous: Tensor
    """Shape (N, 1, 70)."""
    audio: Tensor
    """Shape (N, window, layers, width)."""
    identity: Tensor
    """Shape (N, 63)."""
    emotion: Tensor
    """Shape (N,)."""
    silent: Tensor
    """Shape (N,), bool: hears the null feature."""


@dataclass
class FlowTask:
    """Velocity in windows of motion."""

    network: MotionDiffusion
    motion: Tensor
    """Shape (clips, frames, 70), normalised."""
    identity: Tensor
    """Shape (clips, 63)."""
    audio: Tensor
    """Shape (clips, frames, layers, width)."""
    emotion: Tensor
    """Shape (clips,)."""
    other: Tensor
    """Shape (clips,): another clip of the same person, or the clip itself where there is none."""
    config: Config = MINI

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw windows with the frame before each."""
        window = self.config.sampling.window
        clips = torch.from_numpy(rng.integers(len(self.motion), size=BATCH))
        first = torch.from_numpy(rng.integers(self.motion.shape[1] - window, size=BATCH))
        rows = first[:, None] + 1 + torch.arange(window)
        previous, identity = self.motion[clips, first], self.identity[clips]
        elsewhere = self.motion[self.other[clips], torch.from_numpy(rng.integers(self.motion.shape[1], size=BATCH))]
        swapped = (torch.rand(BATCH, 1) < OTHER_EXPRESSION) & IS_EXPRESSION
        previous = torch.where(swapped, elsewhere, previous)[:, None]
        dropped = torch.rand(BATCH) < EMOTION_DROP
        return Batch(
            self.motion[clips[:, None], rows],
            previous + PREVIOUS_ERROR * torch.randn_like(previous),
            self.audio[clips[:, None], rows],
            identity + IDENTITY_ERROR * torch.randn_like(identity),
            torch.where(dropped, self.config.sizes.emotions, self.emotion[clips]),
            torch.rand(BATCH) < AUDIO_DROP,
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the velocity, and of its differences between frames."""
        net = self.network.talking_head_dit
        audio = torch.where(batch.silent[:, None, None, None], self.network.null_audio_feat[0], batch.audio)
        condition = net.condition(batch.previous, audio, batch.identity, batch.emotion)
        sigma = LOWEST + (1 - LOWEST) * torch.rand(len(batch.motion))
        noise = torch.randn_like(batch.motion)
        share = sigma[:, None, None]
        noisy = share * noise + (1 - share) * batch.motion
        error = net(noisy, TRAIN_STEPS * sigma, condition).float() - (noise - batch.motion)
        flow, velocity = error.square().mean(), error.diff(dim=1).square().mean()
        return {"loss": flow + velocity, "flow": flow, "velocity": velocity}


def training_motion(examples: Examples) -> Tensor:
    """Return motion (clips, frames, 70) in MoDA's order, each clip at the size of the average face."""
    motion = LAYOUT.pack(EXAMPLES_LAYOUT.unpack(torch.from_numpy(examples.motion)))
    scale, shift = LAYOUT.place("scale"), LAYOUT.place("t")
    ratio = (motion[:, :1, scale] + EPSILON) / (motion[..., scale].mean() + EPSILON)
    motion[..., scale] = motion[..., scale] / ratio
    motion[..., shift] = motion[..., shift] / ratio
    return motion


def statistics(motion: Tensor) -> Statistics:
    """Return mean and deviation of motion (clips, frames, 70).

    What never moves has deviation 1: what a motion extractor errs there would else be hundreds of deviations.
    """
    flat = motion.flatten(0, 1)
    std = flat.std(0)
    return Statistics(flat.mean(0), torch.where(std < EPSILON, 1.0, std))


def other_clips(person: NDArray[np.int64]) -> Tensor:
    """Return for each clip (clips,) the next one of the same person, behind the last the first."""
    other = np.empty_like(person)
    for who in np.unique(person):
        own = np.flatnonzero(person == who)
        other[own] = np.roll(own, -1)
    return torch.from_numpy(other)


def train(order: Order) -> None:
    """Train the transformer; the mini LivePortrait and the speech encoder too where they are not there."""
    train_liveportrait(order)
    examples = open_examples(order.data, order.clips)
    train_speech(order, examples.pictures)
    bundle, task = flow_task(examples, load_speech_encoder(destination(order, SPEECH_FILE)))
    training = fitted(task, RECIPE, order, "moda")
    ship(destination(order, FILE), bundle, ABOUT, order, training, examples.pictures)


def flow_task(examples: Examples, encoder: SpeechEncoder) -> tuple[Bundle, FlowTask]:
    """Return a fresh bundle with the statistics of the examples, and its training."""
    frames = examples.motion.shape[1]
    audio = torch.stack([encoder.features(sound, frames, MINI.fps) for sound in examples.pictures.sound]).clone()
    torch.manual_seed(RECIPE.seed)
    bundle, motion = Bundle(MINI), training_motion(examples)
    bundle.keep(statistics(motion))
    task = FlowTask(
        bundle.diffusion,
        bundle.statistics.normalise(motion),
        torch.from_numpy(examples.canonical),
        audio,
        torch.tensor([EMOTIONS.index(name) for name in examples.pictures.emotion]),
        other_clips(examples.pictures.person),
    )
    return bundle, task
