"""How video lies in memory: clips (B, C, F, h, w), images (B F, C, h, w), tokens of an image, frames of a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor


def images(clips: Tensor) -> Tensor:
    """(B, C, F, h, w) to (B F, C, h, w): row b F + f is frame f of clip b."""
    return clips.transpose(1, 2).flatten(0, 1)


def clips(images: Tensor, frames: int) -> Tensor:
    """(B frames, C, h, w) to (B, C, frames, h, w)."""
    return by_clip(images, frames).transpose(1, 2)


def frames_apart(clips: Tensor) -> Tensor:
    """(B, C, F, h, w) to (B F, C, 1, h, w): every frame as a clip of one."""
    return images(clips)[:, :, None]


def packed(latents: Tensor, side: int) -> Tensor:
    """(N, C, h, w) to (N, side² C, h / side, w / side): squares of cells as the channels of one."""
    return F.pixel_unshuffle(latents, side)


def unpacked(latents: Tensor, side: int) -> Tensor:
    """(N, side² C, h, w) to (N, C, side h, side w), the way back."""
    return F.pixel_shuffle(latents, side)


def by_clip(rows: Tensor, frames: int) -> Tensor:
    """(B frames, ...) to (B, frames, ...)."""
    return rows.reshape(-1, frames, *rows.shape[1:])


def by_pixel(sequences: Tensor, clips: int) -> Tensor:
    """(clips L, ...) to (clips, L, ...): one row of pixels for each clip."""
    return sequences.reshape(clips, -1, *sequences.shape[1:])


def repeated(rows: Tensor, batch: int, times: int) -> Tensor:
    """(B k, ...) to (B times k, ...): the k rows of each of B clips are repeated, the copies of a clip together."""
    return rows.reshape(batch, -1, *rows.shape[1:]).repeat_interleave(times, dim=0).flatten(0, 1)


def to_tokens(maps: Tensor) -> Tensor:
    """(N, C, h, w) to (N, h w, C), row by row."""
    return maps.flatten(2).transpose(1, 2)


def to_maps(tokens: Tensor, like: Tensor) -> Tensor:
    """(N, h w, C) to (N, C, h, w), with the height and width of `like`."""
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], *like.shape[-2:])


def frames_last(tokens: Tensor, frames: int) -> Tensor:
    """(B frames, L, C) to (B L, frames, C): one sequence of frames for each pixel."""
    return by_clip(tokens, frames).transpose(1, 2).flatten(0, 1)


def pixels_last(tokens: Tensor, clips: int) -> Tensor:
    """(B L, frames, C) to (B frames, L, C), the way back."""
    return tokens.view(clips, -1, *tokens.shape[1:]).transpose(1, 2).flatten(0, 1)
