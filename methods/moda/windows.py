"""Clips of any length from overlapping windows with a cross-fade.

Source: lixinyyang/MoDA, src/models/dit/talking_head_diffusion.py:MotionDiffusion.sample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.moda.config import Sampling
    from torch import Tensor

EXPRESSION = 63
"""Leading values of a motion vector; the smoothing leaves them as they are."""


def window_count(frames: int, sampling: Sampling) -> int:
    """Return how many windows cover some frames; at least 1."""
    stride = sampling.window - sampling.overlap
    return max(math.ceil((frames - sampling.window) / stride), 0) + 1


def chained(
    audio: Tensor, previous: Tensor, generate: Callable[[Tensor, Tensor], Tensor], sampling: Sampling
) -> Tensor:
    """Generate a clip window by window.

    The last window hears silence (zeros) behind the end. Each window starts from the motion of the last frame that it
    does not share with the one before. In the overlap the motion fades linearly from the old window to the new one,
    starting with the old one alone.

    Args:
        audio: Shape (frames, ...), at least one frame: features of the speech.
        previous: Shape (m,): normalised motion of the portrait.
        generate: Audio of a window (window, ...) and the motion before it (m,) to motion (window, m).
        sampling: Windows and smoothing.

    Returns:
        Shape (frames, m).
    """
    stride = sampling.window - sampling.overlap
    windows = window_count(len(audio), sampling)
    missing = sampling.window + stride * (windows - 1) - len(audio)
    heard = torch.cat((audio, audio.new_zeros(missing, *audio.shape[1:])))
    clip = previous.new_empty(0, len(previous))
    for start in range(0, windows * stride, stride):
        motion = smooth_pose(generate(heard[start : start + sampling.window], previous), sampling.smoothing)
        previous = motion[stride - 1]
        clip = crossfaded(clip, motion, len(clip) - start)
    return smooth_pose(clip[: len(audio)], sampling.smoothing)


def crossfaded(first: Tensor, second: Tensor, overlap: int) -> Tensor:
    """Join motion (a, m) and (b, m) of which `overlap` frames are the same; frame k of them takes k / overlap."""
    if overlap == 0:
        return torch.cat((first, second))
    share = torch.arange(overlap, dtype=first.dtype, device=first.device)[:, None] / overlap
    shared = torch.lerp(first[-overlap:], second[:overlap], share)
    return torch.cat((first[:-overlap], shared, second[overlap:]))


def smooth_pose(motion: Tensor, width: int) -> Tensor:
    """Average scale, translation and angles of motion (frames, m) over `width` frames, fewer at the ends."""
    if width <= 1 or len(motion) == 0:
        return motion
    pose = motion[:, EXPRESSION:].T[None]
    mean = F.avg_pool1d(pose, width, stride=1, padding=width // 2, count_include_pad=False)
    return torch.cat((motion[:, :EXPRESSION], mean[0].T), dim=1)
