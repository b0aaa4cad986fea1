"""The speech of a request as the networks take it, and the time grids of sound, model and request."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thbench.errors import MethodError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.types import Request

RATE = 16_000
"""Samples per second that all speech encoders here take."""
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
LONGEST = 600.0
"""Seconds; a longer clip is meant to be cut."""


def model_frames(request: Request, fps: float) -> int:
    """Return how many frames a model of its own frame rate makes for a request; at least 1.

    Raises:
        MethodError: The request asks for no frame, or for a frame rate that cannot be.
    """
    if request.frames < 1:
        raise MethodError(f"a request of {request.frames} frames cannot be generated; ask for 1 or more")
    if not 1 <= request.fps <= 240:
        raise MethodError(f"a request of {request.fps:g} frames per second cannot be generated; ask for 1 to 240")
    if request.frames / request.fps > LONGEST:
        raise MethodError(
            f"a clip of {request.frames / request.fps:g} s is longer than the {LONGEST:g} s that are generated at once;"
            " cut it"
        )
    return 1 + math.ceil((request.frames - 1) * fps / request.fps - 1e-9)


def speech(request: Request, frames: int, fps: float) -> NDArray[np.float32]:
    """Return the sound of `frames` frames at 16 kHz: cut, or with silence behind it.

    Args:
        request: Its sound may have any rate from 4 to 384 kHz.
        frames: Of the model.
        fps: Of the model.

    Returns:
        Shape (ceil(frames / fps * 16000),), range [-1, 1]; louder sound is clipped.

    Raises:
        MethodError: The sound is empty, not mono, not finite, or of a rate that is not sound's.
    """
    import soxr

    samples, rate = np.asarray(request.audio.samples), request.audio.rate
    if samples.ndim != 1 or len(samples) == 0:
        raise MethodError(f"the sound has the shape {samples.shape}; give mono samples (n,) with at least one")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise MethodError(f"the sound has {rate} samples per second; give {LOWEST_RATE} to {HIGHEST_RATE}")
    if not np.isfinite(samples).all():
        raise MethodError("the sound holds samples that are not numbers; give finite samples from -1 to 1")
    sound = samples.astype(np.float32)
    if rate != RATE:
        sound = soxr.resample(sound, rate, RATE)
    wanted = np.zeros(math.ceil(frames / fps * RATE), np.float32)
    kept = min(len(sound), len(wanted))
    wanted[:kept] = np.clip(sound[:kept], -1, 1)
    return wanted


def at_frame_rate(values: Tensor, fps: float, request: Request) -> Tensor:
    """Return values (frames of the model, ...) at the times of the request's frames, by linear interpolation."""
    import torch

    if fps == request.fps:
        return values[: request.frames]
    places = torch.arange(request.frames, dtype=torch.float64) * (fps / request.fps)
    before = places.floor().long().clamp(max=len(values) - 1)
    after = (before + 1).clamp(max=len(values) - 1)
    share = (places - before).to(values).reshape(-1, *[1] * (values.ndim - 1))
    return torch.lerp(values[before], values[after], share)
