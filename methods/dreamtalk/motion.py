"""DreamTalk's windows: speech around each frame, a style clip, and the motion that the renderer reads.

Source: ali-vilab/dreamtalk, core/utils.py, generators/utils.py and inference_for_demo_video.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from thbench.errors import MethodError

if TYPE_CHECKING:
    from torch import Tensor

FEATURES_PER_FRAME = 2
"""Speech features, 50 a second, for each frame, 25 a second."""
POSE = 9
"""Head pose of a frame: three Euler angles in radians, translation, and scale and place of the crop."""
STATIC_POSE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9370641, 126.84911, 129.03864)
"""A head that does not move (generators/utils.py)."""
EXPRESSION, ANGLES, TRANSLATION = slice(80, 144), slice(224, 227), slice(254, 257)
"""Where the coefficients of a 3DMM fit lie among its 257."""


class StyleClip(NamedTuple):
    """A clip of expression, padded."""

    clip: Tensor
    """Shape (1, style_length, motion); zeros behind the end."""
    length: Tensor
    """Shape (1,): frames that count."""


def speech_windows(features: Tensor, window: int) -> Tensor:
    """Return the speech around each frame.

    Args:
        features: Shape (rows, d), 50 a second.
        window: Rows around a frame, odd.

    Returns:
        Shape (rows // 2, window, d); zeros where there is no speech.
    """
    frames, radius = len(features) // FEATURES_PER_FRAME, window // 2
    if frames == 0:
        return features.new_empty(0, window, features.shape[1])
    around = F.pad(features, (0, 0, radius, radius)).unfold(0, window, FEATURES_PER_FRAME)
    return around[:frames].transpose(1, 2)


def style_clip(expression: Tensor, style_length: int) -> StyleClip:
    """Return the start of an expression track (frames, motion) as a style clip.

    Raises:
        MethodError: The track has no frame.
    """
    if len(expression) == 0:
        raise MethodError("a style clip needs at least one frame, but the track has none; give a longer one")
    clip = expression[:style_length]
    padded = F.pad(clip, (0, 0, 0, style_length - len(clip)))
    return StyleClip(padded[None], torch.tensor([len(clip)], device=clip.device))


def with_pose(expression: Tensor, pose: Tensor | None = None) -> Tensor:
    """Append head pose to expression (frames, motion).

    Args:
        expression: Generated.
        pose: Shape (n, 9), n at least 1; when it is shorter than the expression its last row goes on. None is a head
            that does not move.

    Returns:
        Shape (frames, motion + 9).

    Raises:
        MethodError: The pose track has no row, or rows of another length.
    """
    track = expression.new_tensor([STATIC_POSE]) if pose is None else pose.to(expression)
    if track.ndim != 2 or len(track) == 0 or track.shape[1] != POSE:
        raise MethodError(
            f"a pose track has at least one row of {POSE} values (angles, translation, crop), not the shape "
            f"{tuple(track.shape)}"
        )
    rows = torch.arange(len(expression), device=expression.device).clamp(max=len(track) - 1)
    return torch.cat((expression, track[rows]), dim=1)


def render_windows(motion: Tensor, radius: int, places: Tensor | None = None) -> Tensor:
    """Return the motion around frames.

    Args:
        motion: Shape (frames, m).
        radius: Frames on each side of the middle one; the ends of the motion repeat.
        places: Shape (n,): where the middles lie, in frames; between two frames the motion is read by linear
            interpolation. None takes every frame.

    Returns:
        Shape (n, m, 2 radius + 1).
    """
    last = max(len(motion) - 1, 0)
    around = torch.arange(-radius, radius + 1, device=motion.device)
    if places is None:
        frame = torch.arange(len(motion), device=motion.device)
        return motion[(frame[:, None] + around).clamp(0, last)].transpose(1, 2)
    wanted = (places[:, None] + around).clamp(0, last)
    before = wanted.floor().long()
    share = (wanted - before)[..., None].to(motion)
    return torch.lerp(motion[before], motion[(before + 1).clamp(max=last)], share).transpose(1, 2)


def there_and_back(track: Tensor, frames: int) -> Tensor:
    """Return a track (n, values) as long as wanted: when it ends it runs backwards, and so on."""
    period = max(2 * len(track) - 2, 1)
    place = torch.arange(frames, device=track.device) % period
    return track[torch.minimum(place, period - place)]


def coherent_noise(white: Tensor, coherence: float) -> Tensor:
    """Return noise whose neighbouring rows are alike, each number still of mean 0 and variance 1.

    Args:
        white: Shape (frames + 2 margin, values), standard normal, `margin` from `noise_margin`.
        coherence: Deviation of the Gaussian that it is smoothed with, frames; 0 leaves it as it is.

    Returns:
        Shape (frames, values).
    """
    margin = noise_margin(coherence)
    if margin == 0:
        return white
    distance = torch.arange(-margin, margin + 1).to(white)
    kernel = (-0.5 * (distance / coherence) ** 2).exp()
    kernel = kernel / kernel.square().sum().sqrt()
    return torch.einsum("tvk,k->tv", white.unfold(0, len(kernel), 1), kernel)


def noise_margin(coherence: float) -> int:
    """Return how many rows of noise are needed before the first frame, and behind the last."""
    return int(3 * coherence + 0.5)


def pose_of_fit(coefficients: Tensor, crop: Tensor) -> Tensor:
    """Return the pose track (frames, 9) of a 3DMM fit (frames, 257) with its crop parameters (frames, 5)."""
    return torch.cat((coefficients[:, ANGLES], coefficients[:, TRANSLATION], crop[:, -3:]), dim=1)
