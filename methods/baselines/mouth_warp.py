"""The baseline that opens the portrait's mouth with the loudness of the sound.

It knows nothing of phonemes, so it marks what a lip-sync metric gives to mere loudness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.errors import MethodError
from thbench.faces import FaceTracker, landmarks68
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from thbench.types import Audio, OnStep, Request

DEFAULT_GAIN = 0.35
"""Opening at full loudness, in mouth widths; about that of an open vowel."""
FLOOR_DB = -35.0
"""Loudness below the clip's loudest moment at which the mouth is shut."""
SMOOTHING_SECONDS = 0.06
"""Width of the Gaussian that smooths the opening over time; lips do not move faster."""


class MouthWarp:
    """The portrait with its lower lip and chin pulled down in step with the loudness."""

    def __init__(self, preset: str = "default", device: str = "cpu") -> None:
        pass

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Warp the portrait once per frame.

        Raises:
            MethodError: The portrait shows no face, or a control is unknown or out of range.
        """
        gain = _gain(request)
        with FaceTracker() as tracker:
            face = tracker.find(request.portrait)
        if face is None:
            raise MethodError("mouth-warp found no face in the portrait; use a portrait in which the face is visible")
        opening = gain * loudness_opening(request.audio, request.fps, request.frames)
        return Generation(frames=_warped(request.portrait, landmarks68(face.points), opening))


def loudness_opening(audio: Audio, fps: float, frames: int) -> NDArray[np.float64]:
    """Mouth opening in [0, 1] for each frame from the loudness of the sound.

    RMS over each frame's span in dB, from `FLOOR_DB` below the clip's 95th percentile (0) up to it (1), smoothed by a
    Gaussian of `SMOOTHING_SECONDS`. Silence gives zeros.
    """
    edges = np.minimum((np.arange(frames + 1) * audio.rate / fps).astype(np.int64), len(audio.samples))
    energy = np.concatenate([[0.0], np.cumsum(audio.samples.astype(np.float64) ** 2)])
    power = (energy[edges[1:]] - energy[edges[:-1]]) / np.maximum(np.diff(edges), 1)
    loud = np.percentile(power, 95)
    if loud <= 0:
        return np.zeros(frames)
    level = 10 * np.log10(np.maximum(power / loud, 1e-12))
    opening = np.clip(1 - level / FLOOR_DB, 0, 1)
    sigma = SMOOTHING_SECONDS * fps
    reach = np.arange(-int(np.ceil(3 * sigma)), int(np.ceil(3 * sigma)) + 1)
    kernel = np.exp(-0.5 * (reach / sigma) ** 2)
    padded = np.pad(opening, len(reach) // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _gain(request: Request) -> float:
    unknown = set(request.controls) - {"gain"}
    if unknown:
        raise MethodError(f"mouth-warp has no control {sorted(unknown)[0]!r}; it has: gain")
    gain = float(request.controls.get("gain", DEFAULT_GAIN))
    if not 0 <= gain <= 1:
        raise MethodError(f"mouth-warp: gain is {gain}; it must be from 0 to 1 mouth widths")
    return gain


def _warped(
    portrait: NDArray[np.uint8], points: NDArray[np.float32], opening: NDArray[np.float64]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the portrait with all below the lip line pulled down by `opening` mouth widths.

    The pull is full on the lower lip, fades towards the chin and to the sides, and is zero above the line between the
    lips; what opens between the lips is dark.
    """
    height, width = portrait.shape[:2]
    left, right = points[48], points[54]
    mouth_width = max(float(np.linalg.norm(right - left)), 1.0)
    along = (right - left) / mouth_width
    down = np.array([-along[1], along[0]])
    line = points[[61, 62, 63, 65, 66, 67]].mean(axis=0)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    side = ((x - line[0]) * along[0] + (y - line[1]) * along[1]) / mouth_width
    below = ((x - line[0]) * down[0] + (y - line[1]) * down[1]) / mouth_width
    across = np.exp(-0.5 * (side / 0.35) ** 2).astype(np.float32)
    for amount in opening:
        gap = (amount * across).astype(np.float32)
        # Where a pixel of the result comes from: below the gap the picture is pulled down and catches up with the chin.
        catch_up = np.clip(1 - (below - gap) / 1.2, 0, 1)
        shift = np.where(below > gap, gap * catch_up, np.clip(below, 0, None)) * mouth_width
        frame = cv2.remap(
            portrait,
            (x - shift * down[0]).astype(np.float32),
            (y - shift * down[1]).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        inside = np.clip(np.minimum(below, gap - below) * mouth_width, 0, 1)[..., None]
        yield np.asarray(np.rint(frame * (1 - inside) + np.array([48, 16, 18]) * inside), dtype=np.uint8)
