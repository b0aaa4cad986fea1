"""The mini SyncNet: the published form (lips over five frames, speech over 0.2 s, Euclidean distance) at small size.

Lips are cut at 48 px by the landmarks of the mini face regressor, so that a video needs no other detector. Form: Chung
and Zisserman, "Out of time: automated lip sync in the wild", ACCV-W 2016; see `thbench.backbones.syncnet`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thbench.backbones.mini.places import LIPS, attitude_of, cut
from thbench.backbones.syncnet import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

SIDE = 48
"""Rows and columns that the lip tower sees."""
_CELL = 2
_MOTION = 4.0
"""Enlargement of what changes within a window."""
EMBEDDING = 128
"""Numbers of an embedding, which is not normalised."""


class MiniSync(nn.Module):
    """A lip tower over five frames and an audio tower over 0.2 s; methods as those of the published SyncNet."""

    def __init__(self) -> None:
        super().__init__()
        self.lip_tower = nn.Sequential(*_lip_layers())
        self.lip_head = _head()
        self.audio_tower = nn.Sequential(*_audio_layers())
        self.audio_head = _head()

    def audio(self, mfcc: Tensor) -> Tensor:
        """Embed speech.

        Args:
            mfcc: Shape (N, 1, 13, 20): coefficients by time of unscaled int16 samples.

        Returns:
            Shape (N, 128).
        """
        embedding: Tensor = self.audio_head(self.audio_tower(mfcc / 10).flatten(1))
        return embedding

    def lips(self, windows: Tensor) -> Tensor:
        """Embed windows of lips.

        Args:
            windows: Shape (N, 3, 5, 48, 48), BGR, range [0, 255].

        Returns:
            Shape (N, 128).
        """
        return self.lips_of_clips(windows.transpose(1, 2))[:, 0]

    def lips_of_clip(self, frames: Tensor) -> Tensor:
        """Embed every window of a clip.

        Args:
            frames: Shape (3, T, 48, 48), BGR, range [0, 255].

        Returns:
            Shape (T - 4, 128).
        """
        return self.lips_of_clips(frames.transpose(0, 1)[None])[0]

    def lips_of_clips(self, frames: Tensor) -> Tensor:
        """Embed every window of clips of one length.

        Args:
            frames: Shape (N, T, 3, 48, 48), BGR, range [0, 255].

        Returns:
            Shape (N, T - 4, 128).
        """
        clips, count = frames.shape[0], frames.shape[1] - WINDOW + 1
        cells = F.pixel_unshuffle((frames - 127.5) / 64, _CELL).permute(0, 1, 3, 4, 2)
        # Only the first layer of the published form looks along time: five frames are its channels. They are given as
        # their mean and what is left, enlarged, for otherwise who speaks drowns what the mouth does.
        five = [cells[:, delay : delay + count] for delay in range(WINDOW)]
        mean = torch.stack(five).mean(dim=0)
        parts = [mean, *((frame - mean) * _MOTION for frame in five)]
        if torch.is_autocast_enabled(cells.device.type):
            parts = [part.to(torch.get_autocast_dtype(cells.device.type)) for part in parts]
        windows = torch.cat(parts, dim=-1)
        features = self.lip_tower(windows.flatten(0, 1).permute(0, 3, 1, 2)).flatten(1)
        embedding: Tensor = self.lip_head(features)
        return embedding.reshape(clips, count, -1)


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, EMBEDDING))


def _convolution(inputs: int, outputs: int, *shape: int | tuple[int, int]) -> Iterator[nn.Module]:
    kernel, stride, padding = shape
    yield nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    yield from (nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _lip_layers() -> Iterator[nn.Module]:
    yield from _convolution(3 * _CELL**2 * (1 + WINDOW), 64, 3, 2, 1)
    yield from _convolution(64, 96, 3, 1, 1)
    yield nn.MaxPool2d(2)
    yield from _convolution(96, 128, 3, 1, 1)
    yield from _convolution(128, 128, 3, 1, 1)
    yield nn.MaxPool2d(2)
    yield from _convolution(128, 256, 3, 1, 0)


def _audio_layers() -> Iterator[nn.Module]:
    yield from _convolution(1, 16, 3, 1, 1)
    yield from _convolution(16, 48, 3, 1, 1)
    yield nn.MaxPool2d(kernel_size=3, stride=(1, 2))
    yield from _convolution(48, 64, 3, 1, 1)
    yield from _convolution(64, 64, 3, 1, 1)
    yield from _convolution(64, 64, 3, 1, 1)
    yield nn.MaxPool2d(kernel_size=3, stride=2)
    yield from _convolution(64, 256, (5, 4), 1, 0)


def lip_crops(frames: Iterable[NDArray[np.uint8]], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Cut the lips of frames, upright.

    Args:
        frames: Each (height, width, 3), RGB.
        landmarks: Shape (frames, 68, 2), pixels of these frames.

    Returns:
        Shape (frames, 48, 48, 3), BGR.
    """
    matrices = attitude_of(landmarks).place(LIPS).matrix(SIDE)
    cuts = [cut(frame, matrix, SIDE) for frame, matrix in zip(frames, matrices, strict=True)]
    return np.ascontiguousarray(np.stack(cuts)[..., ::-1])
