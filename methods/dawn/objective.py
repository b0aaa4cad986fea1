"""What A2V-FDM is trained on: the two stages and the loss.

Source: DAWN, section 3.5 (two-stage curriculum) and appendix; Hanbo-Cheng/DAWN-pytorch,
DM_3/train_vdm_*_liploss_6D.py and DM_3/modules/*_mouth_mask_6D.py. Where the two differ (the weight of the mouth), both
values are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from thbench_methods.dawn.schedule import dynamic_threshold
from thbench_methods.dawn.unet import TOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench_methods.dawn.diffusion import A2VFDM
    from thbench_methods.dawn.unet import Condition
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the curriculum."""

    reference: Literal["first", "any"]
    """Which frame is the portrait: the clip's first, or any of the whole video."""
    frames: tuple[int, int]
    """Shortest and longest clip."""
    batch: int
    """Clips per step."""
    iterations: int
    """Steps."""
    resting: float = 0.0
    """Share of clips in which heads rest, where such are there; the published stages have none."""
    single: bool = False
    """Frames of a clip are drawn one by one, and each is a clip of its own with a time of its own; the published stages
    have windows."""


CURRICULUM = (
    Stage(reference="first", frames=(20, 20), batch=20, iterations=250_000),
    Stage(reference="any", frames=(30, 40), batch=40, iterations=125_000),
)
"""First lips in short clips, then pose and long clips from a portrait in any pose; the second starts from the first."""


CHANGES = 2.0
"""Weight of the error of steps from frame to frame over that of the motion, where motion without noise is predicted."""


class Span(NamedTuple):
    """A training clip in a video."""

    reference: int
    """Frame that is the portrait."""
    start: int
    """First frame of the clip."""
    frames: int
    """Its length."""


def draw_span(stage: Stage, video_frames: int, generator: torch.Generator) -> Span:
    """Draw a clip of a video that has at least as many frames as the stage's shortest clip."""

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    shortest, longest = stage.frames
    frames = integer(shortest, min(longest, video_frames))
    start = integer(0, video_frames - frames)
    return Span(start if stage.reference == "first" else integer(0, video_frames - 1), start, frames)


class Draws(NamedTuple):
    """The random numbers of one step for N clips of F frames."""

    time: Tensor
    """Shape (N,): diffusion times."""
    noise: Tensor
    """Shape (N, 3, F, h, w): standard normal."""
    dropped: Tensor
    """Shape (N, F), bool: frames that are not told sound, pose and blinks."""


NULL_PROBABILITY = 0.1
"""How often a frame's condition is dropped. It is dropped frame by frame, not clip by clip."""


def draw(motion: Tensor, steps: int, generator: torch.Generator, null_probability: float = NULL_PROBABILITY) -> Draws:
    """Draw the random numbers of a step for motion (N, 3, F, h, w), on the generator's device."""
    clips, _, frames, _, _ = motion.shape
    device = generator.device
    return Draws(
        torch.randint(steps, (clips,), generator=generator, device=device),
        torch.randn(motion.shape, generator=generator, device=device),
        torch.rand(clips, frames, generator=generator, device=device) < null_probability,
    )


def without(condition: Condition, dropped: Tensor, untold: Sequence[str] = TOLD) -> Condition:
    """Return a condition that says nothing of sound, pose and blinks in the frames (N, F) that are dropped."""
    kept = ~dropped[..., None]
    return condition._replace(**{name: getattr(condition, name) * kept for name in untold})


def mouth_mask(landmarks: Tensor, source_size: tuple[int, int], map_size: int) -> Tensor:
    """Draw the box around the mouth of each frame.

    Args:
        landmarks: Shape (N, F, P, 2): mouth landmarks (48 to 66 of the 68), x and y in pixels of the source.
        source_size: Its height and width; they divide x and y in this order, as published (see `face_mask`).
        map_size: Side of the motion's maps.

    Returns:
        Shape (N, F, map_size, map_size): one where a map's whole-numbered place lies in the box, zero elsewhere.
    """
    points = landmarks / landmarks.new_tensor(source_size) * map_size
    lower, upper = points.amin(dim=2), points.amax(dim=2)
    places = torch.arange(map_size, device=landmarks.device)
    inside = (lower[..., None] <= places) & (places <= upper[..., None])
    columns, rows = inside.unbind(dim=2)
    return (rows[..., :, None] & columns[..., None, :]).to(landmarks.dtype)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the parts of the loss beside that of the noise."""

    motion: float = 0.15
    """Error of the clean motion."""
    mouth: float = 0.15
    """Error of the noise around the mouth; the paper writes 1."""


class Loss(NamedTuple):
    """The loss of a step, and its parts before weighting."""

    total: Tensor
    noise: Tensor
    motion: Tensor
    mouth: Tensor


def diffusion_loss(
    net: A2VFDM, motion: Tensor, condition: Condition, mouth: Tensor, draws: Draws, weights: Weights = Weights()
) -> Loss:
    """Return the loss of N clips.

    Args:
        net: The network.
        motion: Shape (N, 3, F, h, w): true flow, and occlusion times two less one.
        condition: What it depends on.
        mouth: Shape (N, F, h, w), from `mouth_mask`.
        draws: The random numbers of the step.
        weights: Of the parts.
    """
    schedule = net.schedule
    noisy = schedule.noisy(motion, draws.time, draws.noise)
    predicted: Tensor = net.denoise_fn(noisy, draws.time, without(condition, draws.dropped))
    error = (predicted - draws.noise).square()
    noise = error.mean()
    clean = motion_loss(dynamic_threshold(schedule.clean(noisy, draws.time, predicted), quantile=0.9), motion)
    near = (error * mouth[:, None]).sum() / mouth.sum().clamp(min=1)
    return Loss(noise + weights.motion * clean + weights.mouth * near, noise, clean, near)


class CleanLoss(NamedTuple):
    """The loss of a step of a network that predicts motion, and its parts before weighting."""

    total: Tensor
    motion: Tensor
    changes: Tensor
    """Of the steps from frame to frame; 0 where there is one frame."""


def clean_loss(
    net: A2VFDM, motion: Tensor, condition: Condition, weight: Tensor, draws: Draws, untold: Sequence[str] = TOLD
) -> CleanLoss:
    """Return the loss of N clips where the network predicts motion without its noise.

    What noise hides is then learnt from the conditions at every time, also where the error of the noise says little of
    the small motion of lips (Salimans and Ho, "Progressive Distillation", ICLR 2022, section 4).

    Args:
        net: The network.
        motion: As for `diffusion_loss`.
        condition: What it depends on.
        weight: How much the error of each place counts, shape (N, F, h, w), mean 1.
        draws: The random numbers of the step.
        untold: What the condition says nothing of in dropped frames.
    """
    noisy = net.schedule.noisy(motion, draws.time, draws.noise)
    predicted: Tensor = net.denoise_fn(noisy, draws.time, without(condition, draws.dropped, untold))
    error, counted = predicted - motion, weight[:, None]
    whole = (error.square() * counted).mean()
    changes = (error.diff(dim=2).square() * counted[:, :, 1:]).mean() if motion.shape[2] > 1 else whole.new_zeros(())
    return CleanLoss(whole + CHANGES * changes, whole, changes)


def motion_loss(predicted: Tensor, motion: Tensor) -> Tensor:
    """Return the mean squared error of the flow plus that of the occlusion, which counts from 0 to 1 here."""
    error = (predicted - motion).square()
    return error[:, :2].mean() + error[:, 2:].mean() / 4
