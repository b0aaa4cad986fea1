"""Mini frame encoder: a whole frame to 256 features for distances between sets of frames (FID, KID).

Trained on the truth of synth-heads and to tell how a frame was damaged; never Inception's published numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from thbench.backbones.mini.blocks import Residual, Stem
from thbench.backbones.mini.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor


class MiniFrameEncoder(nn.Module):
    """A small residual network, averaged over the picture."""

    INPUT_SIZE: ClassVar = 128
    FEATURES: ClassVar = 256

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(3, 24)
        self.stages = nn.Sequential(
            Residual(24, 48, stride=2),
            Residual(48, 96, stride=2),
            Residual(96, 160, stride=2),
            Residual(160, self.FEATURES, stride=2),
        )

    @one_thread()
    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames.

        Args:
            frames: Shape (N, 3, 128, 128), RGB, range [-1, 1]: (v - 127.5) / 127.5.

        Returns:
            Shape (N, 256), not negative.
        """
        features: Tensor = self.stages(self.stem(frames)).mean(dim=(2, 3))
        return features
