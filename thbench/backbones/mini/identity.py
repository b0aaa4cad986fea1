"""Mini identity: a whole frame to 128 numbers that say who it shows, whatever the pose, expression and light.

Trained on synth-heads with an additive angular margin (Deng et al., "ArcFace", CVPR 2019); never ArcFace's published
numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import nn

from thbench.backbones.mini.blocks import Residual, Stem
from thbench.backbones.mini.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor


class MiniIdentity(nn.Module):
    """A small residual network whose last map keeps where things are: the shape of a face is places."""

    INPUT_SIZE: ClassVar = 112
    FEATURES: ClassVar = 128
    FOLDS: ClassVar = (("reduce", "reduce_bn"), ("embed", "embed_bn"))

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(3, 32)
        self.stages = nn.Sequential(
            Residual(32, 64, stride=2), Residual(64, 128, stride=2), Residual(128, 192, stride=2), Residual(192, 192)
        )
        self.reduce = nn.Conv2d(192, 48, 1, bias=False)
        self.reduce_bn = nn.BatchNorm2d(48)
        self.embed = nn.Linear(48 * 7 * 7, self.FEATURES, bias=False)
        self.embed_bn = nn.BatchNorm1d(self.FEATURES)

    @one_thread()
    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames.

        Args:
            frames: Shape (N, 3, 112, 112), RGB, range [-1, 1]: (v - 127.5) / 127.5.

        Returns:
            Shape (N, 128), not normalised.
        """
        x = F.relu(self.reduce_bn(self.reduce(self.stages(self.stem(frames)))))
        embedding: Tensor = self.embed_bn(self.embed(x.flatten(1)))
        return embedding
