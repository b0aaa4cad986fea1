"""Trains the mini A2V-FDM on flows of the trained latent flow generator: single frames that hear, then windows.

The paper's stages are short clips, for lips, and long ones, for pose. Here the first are single frames, many clips and
times of the schedule in one batch, in which temporal attention is off: what sound says of lips is then seen often
enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.training import About
from thbench_methods.dawn.attention import TemporalAttention
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.diffusion import motion_of
from thbench_methods.dawn.examples import calm, draw_frames, draw_portrait, shutting
from thbench_methods.dawn.face_mask import face_mask
from thbench_methods.dawn.head import Posture, head_motion
from thbench_methods.dawn.objective import Draws, Stage, clean_loss
from thbench_methods.dawn.unet import Condition

from thbench.training import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.dawn.bundle import MaskedDiffusion
    from thbench_methods.dawn.config import Config
    from thbench_methods.dawn.examples import Motions, States
    from torch import Tensor

RECIPES = (
    Recipe(steps=1000, learning_rate=2e-3, warm_up=50, last_rate=0.2, average=0.995, clip_norm=2.0, bfloat16=False),
    Recipe(
        steps=300, learning_rate=8e-4, warm_up=20, last_rate=0.02, average=0.99, clip_norm=2.0, bfloat16=False, seed=1
    ),
)
STAGES = (
    Stage(reference="any", frames=(4, 4), batch=6, iterations=RECIPES[0].steps, resting=1.0, single=True),
    Stage(reference="any", frames=(12, 20), batch=2, iterations=RECIPES[1].steps, resting=0.5),
)
"""First lips, then pose and time, as published; lips by clips in which heads rest, for in others the head's motion is
most of what the denoiser has to tell, and the mini network does not learn to hear."""
ABOUT = About(
    "DAWN mini: A2V-FDM",
    "Cheng et al., arXiv 2410.13726; sizes are the project's own",
    "Motion without its noise, squared error weighted by where face, eyes and lips are, and that of its steps from"
    " frame to frame. First single frames in which heads rest, so that speech is most of what moves, a third of them"
    " with lids that shut; then windows, half of which move.",
    (
        "The network predicts motion; the published one predicts its noise, of which the small motion of lips is a"
        " small part.",
        f"The flow is told as the way from each place to where it is read, enlarged {MINI.motion.gain:g} times; the"
        " published one is told where it is read. What of it follows from pose and lids, which are told, by a mean"
        " head is left out.",
        "Sound alone is dropped in training, of whole clips, and guidance goes away from silence; the published"
        " network is trained without sound, pose and blinks of single frames.",
        "Pose and blinks come from the truth of synth-heads; flows are those that its"
        " landmarks tell, as the latent flow generator was taught them.",
        "The face-mask encoder is a fixed random projection, as published, and lies in the file.",
    ),
)
LATE = 0.5
"""Power of even numbers that gives diffusion times: below one there is more noise, where more is to be heard."""
DROPPED = 0.15
"""Share of clips that are told no sound."""


class Batch(NamedTuple):
    """Clips of equal length."""

    motion: Tensor
    """Shape (N, 3, F, h, w)."""
    condition: Condition
    weight: Tensor
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
    calm: NDArray[np.bool_] = field(init=False)
    """Which frames of clips are mostly portraits, (clips, frames)."""
    shutting: NDArray[np.bool_] = field(init=False)
    """In which frames a lid is not open, (clips, frames)."""

    def __post_init__(self) -> None:
        pictures = self.moving.motions.pictures
        self.calm, self.shutting = calm(pictures), shutting(pictures)
        self.network.face.requires_grad_(False)
        for module in self.network.diffusion.modules():
            if isinstance(module, TemporalAttention):
                module.requires_grad_(not self.stage.single)
                if self.stage.single:  # what is added to one frame would be added to the mean of many
                    torch.nn.init.zeros_(module.to_out.weight)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips of one length, and all random numbers of the step."""
        count, there = self.stage.batch, len(self.moving.states.pose)
        clips = rng.choice(there, count, replace=there < count)
        resting = rng.random(count) < self.stage.resting
        length = int(rng.integers(self.stage.frames[0], self.stage.frames[1] + 1))
        rows = [
            self._clip(self.resting if rests else self.moving, int(clip), length, rng)
            for rests, clip in zip(resting, clips, strict=True)
        ]
        motions, conditions, weights = zip(*rows, strict=True)
        condition = Condition(*(torch.cat(parts) for parts in zip(*conditions, strict=True)))
        motion = torch.cat(motions)
        return Batch(motion, condition, torch.cat(weights), self._draws(motion, rng))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `objective.clean_loss`."""
        loss = clean_loss(
            self.network.diffusion,
            batch.motion,
            batch.condition,
            batch.weight,
            batch.draws,
            self.config.diffusion.untold,
        )
        return {"loss": loss.total, "motion": loss.motion, "changes": loss.changes}

    def _clip(self, told: Told, clip: int, length: int, rng: np.random.Generator) -> tuple[Tensor, Condition, Tensor]:
        """Draw a portrait and frames of a clip: motion, condition and weights, of one clip or of each frame."""
        motions, states = told
        there = len(states.pose[clip])
        reference = draw_portrait(self.calm[clip], rng)
        if self.stage.single:
            frames = draw_frames(self.shutting[clip], length, rng)
        else:
            frames = rng.integers(there - length + 1) + np.arange(length)
        motion = motion_of(motions.flow(clip, reference, frames), 1, self.config.motion)
        pose, blink, box = states.pose[clip], states.blink[clip], motions.box(clip, reference)
        if self.config.motion.beyond_head:
            source, driving = (Posture(pose[which], blink[which]) for which in (reference, frames))
            motion[0] -= head_motion(self.network.head, source, driving, motion.shape[-1], self.config.motion)
        with torch.inference_mode():
            mask = self.network.face(face_mask(box[None], motions.pictures.frames.shape[2]))
        condition = Condition(
            motions.feature(clip, reference),
            mask,
            states.audio[clip, frames][None],
            ((pose[frames] - pose[reference]) / pose.new_tensor(self.config.pose_units))[None],
            (blink[frames] - blink[reference])[None],
        )
        weight = motions.weight(clip, frames, motion.shape[-1])[None]
        return apart(motion, condition, weight) if self.stage.single else (motion, condition, weight)

    def _draws(self, motion: Tensor, rng: np.random.Generator) -> Draws:
        """Draw noise, clips without sound, and times: spread over all, so that every step sees early and late ones."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        clips, _, frames, _, _ = motion.shape
        steps = self.config.diffusion.train_steps
        even = (torch.randperm(clips, generator=generator) + torch.rand((), generator=generator)) / clips
        time = (even**LATE * steps).long().clamp(max=steps - 1)
        dropped = (torch.rand(clips, 1, generator=generator) < DROPPED).expand(-1, frames)
        return Draws(time, torch.randn(motion.shape, generator=generator), dropped)


def apart(motion: Tensor, condition: Condition, weight: Tensor) -> tuple[Tensor, Condition, Tensor]:
    """Return the frames of one clip as clips of one frame each.

    Args:
        motion: Shape (1, 3, F, h, w).
        condition: Of the clip.
        weight: Shape (1, F, h, w).
    """
    frames = motion.shape[2]
    still = (part.expand(frames, -1, -1, -1) for part in condition[:2])
    told = (part[0][:, None] for part in condition[2:])
    return motion[0].transpose(0, 1)[:, :, None], Condition(*still, *told), weight[0][:, None]
