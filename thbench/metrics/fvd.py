"""FVD's preparations of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.backbones import resize

if TYPE_CHECKING:
    import torch

SIDE = 224


def stretched(clips: torch.Tensor) -> torch.Tensor:
    """Return clips as StyleGAN-V's network sees them: straight to 224x224, the aspect not kept, 2 v / 255 - 1.

    Args:
        clips: Shape (N, T, H, W, 3), uint8 RGB.

    Returns:
        Shape (N, 3, T, 224, 224), range [-1, 1].
    """
    frames = resize.bilinear(_frames(clips), (SIDE, SIDE))
    return _clips(2 * frames / 255 - 1, len(clips))


def cropped(clips: torch.Tensor) -> torch.Tensor:
    """Return clips as VideoGPT prepares them: shorter side to 224, centre crop, 2 (v / 255 - 0.5).

    Args:
        clips: Shape (N, T, H, W, 3), uint8 RGB.

    Returns:
        Shape (N, 3, T, 224, 224), range [-1, 1].
    """
    frames = resize.shorter_side_then_crop(_frames(clips) / 255, SIDE)
    return _clips((frames - 0.5) * 2, len(clips))


def _frames(clips: torch.Tensor) -> torch.Tensor:
    return clips.flatten(0, 1).permute(0, 3, 1, 2).float()


def _clips(frames: torch.Tensor, count: int) -> torch.Tensor:
    return frames.reshape(count, -1, *frames.shape[1:]).transpose(1, 2).contiguous()
