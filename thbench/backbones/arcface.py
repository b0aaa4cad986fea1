"""ArcFace's improved residual networks: aligned face to 512 numbers.

Key names are those of insightface's state dicts (`backbone.pth`). The embedding is not normalised; a cosine needs that.
Source: deepinsight/insightface, recognition/arcface_torch/backbones/iresnet.py; Deng et al., "ArcFace", CVPR 2019.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

LAYERS = MappingProxyType(
    {
        "iresnet18": (2, 2, 2, 2),
        "iresnet34": (3, 4, 6, 3),
        "iresnet50": (3, 4, 14, 3),
        "iresnet100": (3, 13, 30, 3),
    }
)
"""Network to its number of blocks per stage."""


class Block(nn.Module):
    """Residual block that normalises before its first convolution.

    The first normalisation stays apart when batch normalisations are folded: the convolution after it pads with zeros,
    which are not the normalised zeros.
    """

    FOLDS: ClassVar = (("conv1", "bn2"), ("conv2", "bn3"))

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    """Four stages of blocks, each halving the resolution, and a linear layer."""

    INPUT_SIZE: ClassVar = 112
    FOLDS: ClassVar = (("conv1", "bn1"), ("fc", "features"))

    def __init__(self, layers: Sequence[int] = LAYERS["iresnet50"], num_features: int = 512) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        inputs = 64
        for number, (blocks, outputs) in enumerate(zip(layers, (64, 128, 256, 512), strict=True), start=1):
            widths = [inputs] + [outputs] * (blocks - 1)
            stage = [Block(width, outputs, stride=1 if i else 2) for i, width in enumerate(widths)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            inputs = outputs
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, num_features)
        self.features = nn.BatchNorm1d(num_features)

    def forward(self, faces: Tensor) -> Tensor:
        """Embed aligned faces.

        Args:
            faces: Shape (N, 3, 112, 112), RGB, range [-1, 1]: (v - 127.5) / 127.5.

        Returns:
            Shape (N, num_features), not normalised.
        """
        x = self.prelu(self.bn1(self.conv1(faces)))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        embedding: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return embedding


def cosine_matrix(embeddings: Tensor) -> Tensor:
    """Return the cosines (N, N) between all pairs of embeddings (N, features)."""
    unit = F.normalize(embeddings, dim=1)
    cosines: Tensor = unit @ unit.T
    return cosines
