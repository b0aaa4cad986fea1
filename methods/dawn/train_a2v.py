"""Trains the mini A2V-FDM on flows of the trained latent flow generator, in the paper's two stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.training import About
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.diffusion import motion_of
from thbench_methods.dawn.face_mask import face_mask
from thbench_methods.dawn.objective import (
    NULL_PROBABILITY,
    Draws,
    Stage,
    clean_loss,
    draw_span,
    mouth_mask,
)
from thbench_methods.dawn.unet import Condition

from thbench.training import Recipe

if TYPE_CHECKING:
    import numpy as np
    from thbench_methods.dawn.bundle import MaskedDiffusion
    from thbench_methods.dawn.config import Config
    from thbench_methods.dawn.examples import Motions, States
    from thbench_methods.dawn.objective import Span
    from torch import Tensor

RECIPES = (
    Recipe(steps=500, learning_rate=2e-3, warm_up=50, last_rate=0.5, average=0.99, clip_norm=2.0, bfloat16=False),
    Recipe(steps=300, learning_rate=1e-3, warm_up=10, last_rate=0.02, average=0.99, clip_norm=2.0, bfloat16=False),
)
STAGES = (
    Stage(reference="first", frames=(12, 12), batch=4, iterations=RECIPES[0].steps),
    Stage(reference="any", frames=(24, 32), batch=2, iterations=RECIPES[1].steps),
)
"""As published, with shorter clips in the second stage, and fewer and smaller steps."""
ABOUT = About(
    "DAWN mini: A2V-FDM",
    "Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Motion without its noise, squared error; beside it that around the mouth (weight 1, as the paper writes). First"
    " short clips from their first frame, then longer ones from any frame of the video. In every second clip the head"
    " rests, so that speech is most of what moves.",
    (
        "The network predicts motion; the published one predicts its noise, of which the small motion of lips is a"
        " small part.",
        f"The flow is told as the way from each place to where it is read, enlarged {MINI.motion.gain:g} times; the"
        " published one is told where it is read.",
        "Pose and blinks come from the truth of synth-heads; flows are those that its"
        " landmarks tell, as the latent flow generator was taught them.",
        "The face-mask encoder is a fixed random projection, as published, and lies in the file.",
    ),
)
MOUTH = slice(48, 67)
"""Landmarks around which the noise counts more, as published."""
MOUTH_WEIGHT = 1.0
"""As the paper writes."""


class Batch(NamedTuple):
    """Clips of equal length."""

    motion: Tensor
    """Shape (N, 3, F, h, w)."""
    condition: Condition
    mouth: Tensor
    """Shape (N, F, h, w)."""
    draws: Draws


class Told(NamedTuple):
    """The clips of a split: how they move, and what they are generated from."""

    motions: Motions
    states: States


@dataclass
class MotionTask:
    """Noise in the motion of clips."""

    network: MaskedDiffusion
    moving: Told
    resting: Told
    """The same clips with heads at rest."""
    stage: Stage
    config: Config = MINI

    def __post_init__(self) -> None:
        self.network.face.requires_grad_(False)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips of one length, and all random numbers of the step."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        spans = [self._span(generator)]
        length = spans[0].frames
        same = Stage(self.stage.reference, (length, length), self.stage.batch, self.stage.iterations)
        spans += [draw_span(same, self._video(), generator) for _ in range(self.stage.batch - 1)]
        clips = rng.choice(len(self.moving.states.pose), self.stage.batch, replace=False)
        both = self.moving, self.resting
        rows = [self._clip(both[n % 2], int(clips[n]), span) for n, span in enumerate(spans)]
        motions, conditions, mouths = zip(*rows, strict=True)
        condition = Condition(*(torch.cat(parts) for parts in zip(*conditions, strict=True)))
        motion = torch.cat(motions)
        return Batch(motion, condition, torch.cat(mouths), self._draws(motion, generator))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `objective.clean_loss`."""
        loss = clean_loss(self.network.diffusion, batch.motion, batch.condition, batch.mouth, batch.draws, MOUTH_WEIGHT)
        return {"loss": loss.total, "motion": loss.motion, "mouth": loss.mouth}

    def _video(self) -> int:
        return self.moving.states.pose.shape[1]

    def _span(self, generator: torch.Generator) -> Span:
        return draw_span(self.stage, self._video(), generator)

    def _clip(self, told: Told, clip: int, span: Span) -> tuple[Tensor, Condition, Tensor]:
        motions, states = told
        frames, reference = slice(span.start, span.start + span.frames), span.reference
        motion = motion_of(motions.flow(clip, reference, frames), 1, self.config.motion)
        pose, blink = states.pose[clip], states.blink[clip]
        size = motions.pictures.frames.shape[2]
        with torch.inference_mode():
            mask = self.network.face(face_mask(motions.box(clip, reference)[None], size))
        condition = Condition(
            motions.feature(clip, reference),
            mask,
            states.audio[clip, frames][None],
            ((pose[frames] - pose[reference]) / pose.new_tensor(self.config.pose_units))[None],
            (blink[frames] - blink[reference])[None],
        )
        marks = torch.from_numpy(motions.pictures.landmarks68[clip, frames][:, MOUTH].copy())
        return motion, condition, mouth_mask(marks[None], (size, size), motion.shape[-1])

    def _draws(self, motion: Tensor, generator: torch.Generator) -> Draws:
        """Draw times at equal distances from a random start, so that every step sees early and late ones."""
        clips, _, frames, _, _ = motion.shape
        steps = self.config.diffusion.train_steps
        start = torch.rand((), generator=generator)
        time = ((torch.arange(clips) + start) / clips * steps).long().clamp(max=steps - 1)
        dropped = torch.rand(clips, frames, generator=generator) < NULL_PROBABILITY
        return Draws(time, torch.randn(motion.shape, generator=generator), dropped)
