"""Mini clip encoder: 16 whole frames to 128 features for distances between sets of clips (FVD).

Trained on how the heads of synth-heads move and to tell how a clip was damaged, in its pictures and in their order;
never I3D's published numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from thbench.backbones.mini.blocks import OverTime, Residual, Stem
from thbench.backbones.mini.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor


class MiniClipEncoder(nn.Module):
    """Blocks over space and over time in turn ((2+1)-D), averaged over both."""

    INPUT_SIZE: ClassVar = 64
    FRAMES: ClassVar = 16
    FEATURES: ClassVar = 128

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(3, 24)
        self.time0 = OverTime(24)
        self.space1 = Residual(24, 48, stride=2)
        self.time1 = OverTime(48)
        self.space2 = Residual(48, 80, stride=2)
        self.time2 = OverTime(80, stride=2)
        self.space3 = Residual(80, self.FEATURES, stride=2)
        self.time3 = OverTime(self.FEATURES)

    @one_thread()
    def forward(self, clips: Tensor) -> Tensor:
        """Encode clips.

        Args:
            clips: Shape (N, 16, 3, 64, 64), RGB, range [-1, 1]: (v - 127.5) / 127.5.

        Returns:
            Shape (N, 128), not negative.
        """
        count, frames = clips.shape[:2]
        x = self.time0(self.stem(clips.flatten(0, 1)), frames)
        x = self.time1(self.space1(x), frames)
        x = self.time2(self.space2(x), frames)
        x = self.time3(self.space3(x), frames // 2)
        features: Tensor = x.unflatten(0, (count, -1)).mean(dim=(1, 3, 4))
        return features
