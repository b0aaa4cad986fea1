"""Trains the mini A2V-FDM on flows of the trained latent flow generator, in the paper's two stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.training import About
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.diffusion import motion_of
from thbench_methods.dawn.face_mask import face_mask
from thbench_methods.dawn.head import head_motion
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
    Recipe(steps=600, learning_rate=2e-3, warm_up=50, last_rate=0.3, average=0.99, clip_norm=2.0, bfloat16=False),
    Recipe(steps=900, learning_rate=2e-3, warm_up=20, last_rate=0.02, average=0.995, clip_norm=2.0, bfloat16=False),
)
STAGES = (
    Stage(reference="any", frames=(8, 8), batch=6, iterations=RECIPES[0].steps, resting=1.0),
    Stage(reference="any", frames=(16, 32), batch=2, iterations=RECIPES[1].steps, resting=0.5),
)
"""First lips, then pose and longer clips, as published; lips by clips in which heads rest, for in others the head's
motion is most of what the denoiser has to tell, and the mini network does not learn to hear."""
ABOUT = About(
    "DAWN mini: A2V-FDM",
    "Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Motion without its noise, squared error; beside it that around the mouth (weight 1, as the paper writes). First"
    " short clips in which heads rest, so that speech is most of what moves, then longer ones, half of which move.",
    (
        "The network predicts motion; the published one predicts its noise, of which the small motion of lips is a"
        " small part.",
        f"The flow is told as the way from each place to where it is read, enlarged {MINI.motion.gain:g} times; the"
        " published one is told where it is read. What of it follows from the pose, which is told, is left out.",
        "Pose and blinks come from the truth of synth-heads; flows are those that its"
        " landmarks tell, as the latent flow generator was taught them.",
        "The face-mask encoder is a fixed random projection, as published, and lies in the file.",
    ),
)
MOUTH = slice(48, 67)
"""Landmarks around which the noise counts more, as published."""
LATE = 0.5
"""Power of even numbers that gives diffusion times: below one there is more noise, where more is to be heard."""
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
        same = replace(self.stage, frames=(length, length))
        spans += [draw_span(same, self._video(), generator) for _ in range(self.stage.batch - 1)]
        there = len(self.moving.states.pose)
        clips = rng.choice(there, self.stage.batch, replace=there < self.stage.batch)
        resting = torch.rand(self.stage.batch, generator=generator) < self.stage.resting
        split = [self.resting if rests else self.moving for rests in resting]
        rows = [self._clip(told, int(clip), span) for told, clip, span in zip(split, clips, spans, strict=True)]
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
        pose, blink, box = states.pose[clip], states.blink[clip], motions.box(clip, reference)
        if self.config.motion.beyond_head:
            motion[0, :2] -= head_motion(pose[reference], pose[frames], box, motion.shape[-1], self.config.motion)
        size = motions.pictures.frames.shape[2]
        with torch.inference_mode():
            mask = self.network.face(face_mask(box[None], size))
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
        """Draw noise, dropped frames, and times: spread over all, so that every step sees early and late ones."""
        clips, _, frames, _, _ = motion.shape
        steps = self.config.diffusion.train_steps
        even = (torch.randperm(clips, generator=generator) + torch.rand((), generator=generator)) / clips
        time = (even**LATE * steps).long().clamp(max=steps - 1)
        dropped = torch.rand(clips, frames, generator=generator) < NULL_PROBABILITY
        return Draws(time, torch.randn(motion.shape, generator=generator), dropped)
