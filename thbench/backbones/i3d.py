"""The I3D network of FVD: Inception-v1 inflated to video, Kinetics-400, logits before the softmax.

Key names are those of `i3d_pretrained_400.pt`. All paddings are TensorFlow's SAME: zeros as needed by the input's
size, the larger half at the end. Source: wilson1yan/VideoGPT, videogpt/fvd/pytorch_i3d.py; Carreira and Zisserman,
"Quo Vadis, Action Recognition?", CVPR 2017.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

Triple = tuple[int, int, int]

MIN_FRAMES = 9
"""Fewer frames leave no two time steps for the last pool."""


def pad_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Pad the last three axes with zeros so that a layer gives ceil(size / stride) outputs along each."""
    totals = [
        max(k - (s if size % s == 0 else size % s), 0) for size, k, s in zip(x.shape[2:], kernel, stride, strict=True)
    ]
    padding = [side for total in reversed(totals) for side in (total // 2, total - total // 2)]
    return F.pad(x, padding) if any(padding) else x


class Unit3D(nn.Module):
    """Convolution with SAME padding, batch normalisation, ReLU; the last layer has a bias instead of the latter two."""

    FOLDS: ClassVar = (("conv3d", "bn"),)

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, eps: float = 1e-5, plain: bool = False
    ) -> None:
        super().__init__()
        self.kernel: Triple = (kernel, kernel, kernel)
        self.stride: Triple = (stride, stride, stride)
        # With stride 1 and an odd kernel SAME is the same on both sides, which spares a padded copy of the input.
        self.pads = stride > 1
        same = 0 if self.pads else kernel // 2
        self.conv3d = nn.Conv3d(inputs, outputs, self.kernel, stride=self.stride, padding=same, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(outputs, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, T, H, W) to (N, outputs, T', H', W')."""
        x = self.conv3d(pad_same(x, self.kernel, self.stride) if self.pads else x)
        return x if self.bn is None else F.relu(self.bn(x), inplace=True)


class MaxPoolSame(nn.Module):
    """Maximum with SAME padding; the zeros take part, which changes nothing after a ReLU."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, C, T', H', W')."""
        x = pad_same(x, self.kernel, self.stride)
        # A maximum over space, then over time: the 2-D pool is several times faster where channels lie last.
        pooled = F.max_pool2d(x.transpose(1, 2).flatten(0, 1), self.kernel[1:], self.stride[1:])
        clips = pooled.reshape(len(x), -1, *pooled.shape[1:]).transpose(1, 2)
        return _maximum_over_time(clips, self.kernel[0], self.stride[0])


def _maximum_over_time(x: Tensor, kernel: int, stride: int) -> Tensor:
    steps = (x.shape[2] - kernel) // stride + 1
    shifted = [x[:, :, delay : delay + (steps - 1) * stride + 1 : stride] for delay in range(kernel)]
    return reduce(torch.maximum, shifted)


class Mixed(nn.Module):
    """Inception block of four branches."""

    def __init__(self, inputs: int, outputs: Sequence[int], eps: float) -> None:
        super().__init__()
        one, narrow_3, wide_3, narrow_5, wide_5, pooled = outputs
        self.b0 = Unit3D(inputs, one, eps=eps)
        self.b1a = Unit3D(inputs, narrow_3, eps=eps)
        self.b1b = Unit3D(narrow_3, wide_3, 3, eps=eps)
        self.b2a = Unit3D(inputs, narrow_5, eps=eps)
        self.b2b = Unit3D(narrow_5, wide_5, 3, eps=eps)
        self.b3a = MaxPoolSame((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3D(inputs, pooled, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the branches."""
        return torch.cat((self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))), dim=1)


_BLOCKS = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Block to its input channels and the output channels of b0, b1a, b1b, b2a, b2b, b3b."""


class I3D(nn.Module):
    """I3D up to the logits."""

    IN_FLOAT32: ClassVar = ("logits",)

    def __init__(
        self, num_classes: int = 400, in_channels: int = 3, bn_eps: float = 1e-5, pool_frames: int = 2
    ) -> None:
        super().__init__()
        # DisCo's copy pools one time step at a time, which weighs the steps of longer clips differently.
        self.pool_frames = pool_frames
        self.Conv3d_1a_7x7 = Unit3D(in_channels, 64, 7, stride=2, eps=bn_eps)
        self.MaxPool3d_2a_3x3 = MaxPoolSame((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(64, 64, eps=bn_eps)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, 3, eps=bn_eps)
        self.MaxPool3d_3a_3x3 = MaxPoolSame((1, 3, 3), (1, 2, 2))
        for name in ("Mixed_3b", "Mixed_3c"):
            self.add_module(name, Mixed(*_BLOCKS[name], eps=bn_eps))
        self.MaxPool3d_4a_3x3 = MaxPoolSame((3, 3, 3), (2, 2, 2))
        for name in ("Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"):
            self.add_module(name, Mixed(*_BLOCKS[name], eps=bn_eps))
        self.MaxPool3d_5a_2x2 = MaxPoolSame((2, 2, 2), (2, 2, 2))
        for name in ("Mixed_5b", "Mixed_5c"):
            self.add_module(name, Mixed(*_BLOCKS[name], eps=bn_eps))
        self.logits = Unit3D(1024, num_classes, plain=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Return logits, averaged over the time steps that remain.

        Args:
            clips: Shape (N, 3, T, 224, 224), range [-1, 1], T at least `MIN_FRAMES`.

        Returns:
            Shape (N, num_classes).
        """
        x = clips
        for name, child in self.named_children():
            if name != "logits":
                x = child(x)
        x = F.avg_pool3d(x, kernel_size=(self.pool_frames, 7, 7), stride=1)
        logits: Tensor = self.logits(x)
        return logits.flatten(3).squeeze(3).mean(dim=2)
