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
    Weights,
    diffusion_loss,
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
    Recipe(steps=1500, learning_rate=1.5e-3, warm_up=60, last_rate=0.3, average=0.995, clip_norm=2.0, bfloat16=False),
    Recipe(steps=500, learning_rate=6e-4, warm_up=20, last_rate=0.02, average=0.995, clip_norm=2.0, bfloat16=False),
)
STAGES = (
    Stage(reference="first", frames=(16, 16), batch=3, iterations=RECIPES[0].steps),
    Stage(reference="any", frames=(24, 32), batch=2, iterations=RECIPES[1].steps),
)
"""As published, with shorter clips in the second stage, and fewer and smaller steps."""
ABOUT = About(
    "DAWN mini: A2V-FDM",
    "Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Noise prediction, squared error; beside it the error of the clean motion (weight 0.15) and that of the noise"
    " around the mouth (weight 1, as the paper writes). First short clips from their first frame, then longer ones"
    " from any frame of the video.",
    (
        "The flow is told as the way from each place to where it is read, four times enlarged; the published one is"
        " told where it is read.",
        "Pose and blinks come from the truth of synth-heads, flows from the mini latent flow generator.",
        "The face-mask encoder is a fixed random projection, as published, and lies in the file.",
    ),
)
MOUTH = slice(48, 67)
"""Landmarks around which the noise counts more, as published."""
LOSS_WEIGHTS = Weights(motion=0.15, mouth=1.0)


class Batch(NamedTuple):
    """Clips of equal length."""

    motion: Tensor
    """Shape (N, 3, F, h, w)."""
    condition: Condition
    mouth: Tensor
    """Shape (N, F, h, w)."""
    draws: Draws


@dataclass
class MotionTask:
    """Noise in the motion of clips."""

    network: MaskedDiffusion
    motions: Motions
    states: States
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
        video = self.states.pose.shape[1]
        spans += [draw_span(same, video, generator) for _ in range(self.stage.batch - 1)]
        clips = rng.choice(len(self.states.pose), self.stage.batch, replace=False)
        rows = [self._clip(int(clip), span) for clip, span in zip(clips, spans, strict=True)]
        motions, conditions, mouths = zip(*rows, strict=True)
        condition = Condition(*(torch.cat(parts) for parts in zip(*conditions, strict=True)))
        motion = torch.cat(motions)
        return Batch(motion, condition, torch.cat(mouths), self._draws(motion, generator))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `objective.diffusion_loss`."""
        loss = diffusion_loss(
            self.network.diffusion, batch.motion, batch.condition, batch.mouth, batch.draws, LOSS_WEIGHTS
        )
        return {"loss": loss.total, "noise": loss.noise, "motion": loss.motion, "mouth": loss.mouth}

    def _span(self, generator: torch.Generator) -> Span:
        return draw_span(self.stage, self.states.pose.shape[1], generator)

    def _clip(self, clip: int, span: Span) -> tuple[Tensor, Condition, Tensor]:
        frames, reference = slice(span.start, span.start + span.frames), span.reference
        motion = motion_of(self.motions.flow(clip, reference, frames), 1, self.config.motion)
        pose, blink = self.states.pose[clip], self.states.blink[clip]
        size = self.motions.pictures.frames.shape[2]
        with torch.inference_mode():
            mask = self.network.face(face_mask(self.motions.box(clip, reference)[None], size))
        condition = Condition(
            self.motions.feature(clip, reference),
            mask,
            self.states.audio[clip, frames][None],
            ((pose[frames] - pose[reference]) / pose.new_tensor(self.config.pose_units))[None],
            (blink[frames] - blink[reference])[None],
        )
        marks = torch.from_numpy(self.motions.pictures.landmarks68[clip, frames][:, MOUTH].copy())
        return motion, condition, mouth_mask(marks[None], (size, size), motion.shape[-1])

    def _draws(self, motion: Tensor, generator: torch.Generator) -> Draws:
        """Draw times at equal distances from a random start, so that every step sees early and late ones."""
        clips, _, frames, _, _ = motion.shape
        steps = self.config.diffusion.train_steps
        start = torch.rand((), generator=generator)
        time = ((torch.arange(clips) + start) / clips * steps).long().clamp(max=steps - 1)
        dropped = torch.rand(clips, frames, generator=generator) < NULL_PROBABILITY
        return Draws(time, torch.randn(motion.shape, generator=generator), dropped)
