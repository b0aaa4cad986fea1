"""The convolutions that turn a picture of where the face is into a feature of the latent's size.

Source: fudan-generative-vision/hallo, hallo/models/face_locator.py; antgroup/echomimic, src/models/face_locator.py.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from thbench_methods.nets.unet3d.layout import clips, images
from torch import Tensor, nn


class FaceLocator(nn.Module):
    """3x3 convolutions with SiLU; one of each width behind the first halves height and width. The last has no SiLU."""

    def __init__(self, outputs: int, inputs: int = 3, widths: tuple[int, ...] = (16, 32, 64, 128)) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(widths):
            self.blocks.append(nn.Conv2d(narrow, narrow, 3, padding=1))
            self.blocks.append(nn.Conv2d(narrow, wide, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(widths[-1], outputs, 3, padding=1)

    def forward(self, regions: Tensor) -> Tensor:
        """Map regions (B, inputs, F, H, W), range [0, 1], to (B, outputs, F, H/8, W/8); each frame by itself.

        Height and width are divided by 8 with the published widths, by 2 for each width behind the first with others.
        """
        hidden = images(regions)
        for conv in (self.conv_in, *self.blocks):
            hidden = F.silu(conv(hidden))
        return clips(self.conv_out(hidden), regions.shape[2])
