"""SyncNet v2: lips and speech in one space of 1024 numbers.

Key names are those of `syncnet_v2.model`. Embeddings are not normalised. Source: joonson/syncnet_python,
SyncNetModel.py; Chung and Zisserman, "Out of time: automated lip sync in the wild", ACCV-W 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 5
"""Video frames that one lip embedding sees."""
MFCC_WINDOW = 20
"""MFCC columns that one audio embedding sees: 0.2 s."""


class SyncNet(nn.Module):
    """A lip tower over five frames and an audio tower over 0.2 s."""

    IN_FLOAT32 = ("netcnnaud",)
    """A tenth of the operations, and half of the error that 8 bits would make in LSE-C."""

    def __init__(self, embedding: int = 1024) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(*_audio_layers())
        self.netfcaud = _head(embedding)
        self.netfclip = _head(embedding)
        self.netcnnlip: nn.Module = nn.Sequential(*_lip_layers())

    def audio(self, mfcc: Tensor) -> Tensor:
        """Embed speech.

        Args:
            mfcc: Shape (N, 1, 13, 20): coefficients by time of unscaled int16 samples.

        Returns:
            Shape (N, 1024).
        """
        embedding: Tensor = self.netfcaud(self.netcnnaud(mfcc).flatten(1))
        return embedding

    def lips(self, windows: Tensor) -> Tensor:
        """Embed windows of lips.

        Args:
            windows: Shape (N, 3, 5, 224, 224), BGR, range [0, 255].

        Returns:
            Shape (N, 1024).
        """
        embedding: Tensor = self.netfclip(self.netcnnlip(windows).flatten(1))
        return embedding

    def lips_of_clip(self, frames: Tensor) -> Tensor:
        """Embed every window of a clip in one pass.

        Only the first layer looks along time, and without padding, so one pass over T frames gives the same as T - 4
        windows up to the order of summation.

        Args:
            frames: Shape (3, T, 224, 224), BGR, range [0, 255].

        Returns:
            Shape (T - 4, 1024).
        """
        features = self.netcnnlip(frames[None])[0, :, :, 0, 0]
        embedding: Tensor = self.netfclip(features.T)
        return embedding


def _head(embedding: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, embedding))


def _audio_layers() -> Iterator[nn.Module]:
    yield from (nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
    yield nn.MaxPool2d(kernel_size=1, stride=1)
    yield from (nn.Conv2d(64, 192, 3, padding=1), nn.BatchNorm2d(192), nn.ReLU(inplace=True))
    yield nn.MaxPool2d(kernel_size=3, stride=(1, 2))
    yield from (nn.Conv2d(192, 384, 3, padding=1), nn.BatchNorm2d(384), nn.ReLU(inplace=True))
    yield from (nn.Conv2d(384, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU(inplace=True))
    yield from (nn.Conv2d(256, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU(inplace=True))
    yield nn.MaxPool2d(kernel_size=3, stride=2)
    yield from (nn.Conv2d(256, 512, (5, 4)), nn.BatchNorm2d(512), nn.ReLU())


def _lip_layers() -> Iterator[nn.Module]:
    yield from (nn.Conv3d(3, 96, (5, 7, 7), stride=(1, 2, 2)), nn.BatchNorm3d(96), nn.ReLU(inplace=True))
    yield nn.MaxPool3d(kernel_size=(1, 3, 3), stride=(1, 2, 2))
    yield nn.Conv3d(96, 256, (1, 5, 5), stride=(1, 2, 2), padding=(0, 1, 1))
    yield from (nn.BatchNorm3d(256), nn.ReLU(inplace=True))
    yield nn.MaxPool3d(kernel_size=(1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
    for _ in range(3):
        yield nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))
        yield from (nn.BatchNorm3d(256), nn.ReLU(inplace=True))
    yield nn.MaxPool3d(kernel_size=(1, 3, 3), stride=(1, 2, 2))
    yield from (nn.Conv3d(256, 512, (1, 6, 6)), nn.BatchNorm3d(512), nn.ReLU(inplace=True))


class LipTower(nn.Module):
    """The lip tower as 2-D convolutions, which run faster than 3-D ones on three channels.

    Only the first layer looks along time: with the five frames of a window as 15 channels it is a 2-D convolution, and
    all others are already. A few windows at a time keep the large maps before the first pool in the cache. A maximum
    may be taken before or after a ReLU; before it there is less left to do.
    """

    WINDOWS = 4
    """Windows at a time: fewer leave the convolutions too small, more leave the cache. A caller that gives a clip in
    parts makes all but the last a multiple of it: a convolution may round differently for another number of windows."""

    def __init__(self, layers: nn.Module) -> None:
        """Take over the weights.

        Args:
            layers: `SyncNet.netcnnlip` in the published form, its batch normalisations folded.
        """
        super().__init__()
        steps: list[nn.Conv2d | nn.MaxPool2d] = []
        for layer in layers.children():
            if isinstance(layer, nn.Conv3d):
                steps.append(_flat_convolution(layer))
            elif isinstance(layer, nn.MaxPool3d):
                steps.append(_flat_pool(layer))
        self.steps = nn.ModuleList(steps[:-1])
        self.last = steps[-1]
        """Has more weights than all others together and one place to apply them at: it takes all windows at once."""

    def forward(self, frames: Tensor) -> Tensor:
        """Map (N, 3, T, 224, 224) to float32 (N, 512, T - 4, 1, 1)."""
        device = next(self.parameters()).device
        clips = [self._clip(clip.to(device).permute(1, 2, 3, 0)) for clip in frames]
        return torch.stack(clips)[..., None, None]

    def _clip(self, frames: Tensor) -> Tensor:
        """Map (T, 224, 224, 3) to (512, T - 4)."""
        count = len(frames) - WINDOW + 1
        maps = []
        for start in range(0, count, self.WINDOWS):
            windows = min(self.WINDOWS, count - start)
            shifted = [frames[start + delay : start + delay + windows] for delay in range(WINDOW)]
            maps.append(self._windows(torch.cat(shifted, dim=3).permute(0, 3, 1, 2)))
        return F.relu_(self.last(torch.cat(maps))).flatten(1).T

    def _windows(self, x: Tensor) -> Tensor:
        for step, following in zip(self.steps, [*self.steps[1:], None], strict=True):
            x = step(x)
            if not isinstance(following, nn.MaxPool2d):
                x = F.relu_(x)
        return x


def _flat_convolution(layer: nn.Conv3d) -> nn.Conv2d:
    """Return a 3-D convolution without stride or padding in time as a 2-D one over (delay, colour) channels."""
    weight = layer.weight.detach().transpose(1, 2).flatten(1, 2)
    padding = layer.padding if isinstance(layer.padding, str) else layer.padding[1]
    flat = nn.Conv2d(weight.shape[1], weight.shape[0], layer.kernel_size[1], stride=layer.stride[1], padding=padding)
    flat.weight = nn.Parameter(weight.clone(), requires_grad=False)
    flat.bias = layer.bias
    return flat


def _flat_pool(layer: nn.MaxPool3d) -> nn.MaxPool2d:
    kernel, stride, padding = (
        size if isinstance(size, int) else size[1] for size in (layer.kernel_size, layer.stride, layer.padding)
    )
    return nn.MaxPool2d(kernel, stride, padding)
