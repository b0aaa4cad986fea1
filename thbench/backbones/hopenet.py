"""Hopenet: head pose as three classifications over 66 bins of three degrees.

Key names are those of `hopenet_robust_alpha1.pkl`. Source: natanielruiz/deep-head-pose, code/hopenet.py; Ruiz et al.,
"Fine-Grained Head Pose Estimation Without Keypoints", CVPR-W 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Bottleneck(nn.Module):
    """Residual block 1x1, 3x3, 1x1 of ResNet-50; the stride is in the 3x3 convolution."""

    EXPANSION: ClassVar = 4
    FOLDS: ClassVar = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class Hopenet(nn.Module):
    """ResNet-50 with one classifier each for yaw, pitch and roll."""

    INPUT_SIZE: ClassVar = 224
    FOLDS: ClassVar = (("conv1", "bn1"),)

    def __init__(self, layers: Sequence[int] = (3, 4, 6, 3), num_bins: int = 66) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (blocks, width) in enumerate(zip(layers, (64, 128, 256, 512), strict=True), start=1):
            outputs = width * Bottleneck.EXPANSION
            strides = [1 if number == 1 else 2] + [1] * (blocks - 1)
            stage = [Bottleneck(outputs if i else inputs, width, stride) for i, stride in enumerate(strides)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            inputs = outputs
        self.fc_yaw = nn.Linear(inputs, num_bins)
        self.fc_pitch = nn.Linear(inputs, num_bins)
        self.fc_roll = nn.Linear(inputs, num_bins)
        self.fc_finetune = nn.Linear(inputs + 3, 3)  # in the published file; not used

    def forward(self, images: Tensor) -> Tensor:
        """Return logits.

        Args:
            images: Shape (N, 3, 224, 224), RGB in [0, 1] after ImageNet normalisation.

        Returns:
            Shape (N, 3, num_bins), in the order yaw, pitch, roll.
        """
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        x = F.avg_pool2d(x, kernel_size=7).flatten(1)
        return torch.stack((self.fc_yaw(x), self.fc_pitch(x), self.fc_roll(x)), dim=1)
