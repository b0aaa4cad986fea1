"""How a video of any length is denoised in windows that move from step to step.

Source: antgroup/echomimic, src/pipelines/context.py and pipeline_echo_mimic.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thbench_methods.echomimic.config import Sampling
    from thbench_methods.echomimic.networks import Condition
    from torch import Tensor

Window = tuple[int, ...]
"""Indices of the frames that are denoised together."""


def windows(frames: int, step: int, sampling: Sampling) -> tuple[Window, ...]:
    """Return the windows of one denoising step.

    They start every `window - overlap` frames and go on from the end of the video at its beginning. Each step moves all
    of them by `shift` frames. A video that fits into a window is one window, which is moved too.

    Args:
        frames: Of the video.
        step: 0 for the first.
        sampling: The published settings unless stated.

    Raises:
        UsageError: Windows overlap by their whole length, or the video is empty.
    """
    if frames < 1 or not 0 <= sampling.overlap < sampling.window:
        raise UsageError(
            f"{frames} frames in windows of {sampling.window} that overlap by {sampling.overlap}; allowed are at least "
            "1 frame and an overlap from 0 to below the window"
        )
    moved = step * sampling.shift
    if frames <= sampling.window:
        return (tuple((frame + moved) % frames for frame in range(frames)),)
    starts = range(0, frames, sampling.window - sampling.overlap)
    return tuple(tuple((start + frame + moved) % frames for frame in range(sampling.window)) for start in starts)


def blended(
    z: Tensor, condition: Condition, parts: Sequence[Window], predict: Callable[[Tensor, Condition], Tensor]
) -> Tensor:
    """Return the prediction for a whole video: in each frame the mean over the windows that hold it.

    Args:
        z: Noisy latents (B, latent, F, h, w).
        condition: Of the whole video.
        parts: Windows that cover it.
        predict: Latents and condition of a window to the prediction.
    """
    total, count = torch.zeros_like(z), z.new_zeros(z.shape[2])
    for part in parts:
        index = torch.tensor(part, device=z.device)
        own = replace(condition, audio=condition.audio[:, index])
        total.index_add_(2, index, predict(z[:, :, index], own))
        count.index_add_(0, index, torch.ones_like(index, dtype=count.dtype))
    return total / count[:, None, None]
