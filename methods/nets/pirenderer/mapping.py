"""The mapping network: a window of motion coefficients to one descriptor.

Source: RenYurui/PIRender, generators/face_model.py:MappingNet.
"""

from __future__ import annotations

from thbench_methods.nets.pirenderer.layers import SLOPE
from torch import Tensor, nn

DILATION = 3


class MappingNetwork(nn.Module):
    """1-D convolutions without padding, then the mean over what is left of the window."""

    def __init__(self, coeff_nc: int = 73, descriptor_nc: int = 256, layer: int = 3) -> None:
        super().__init__()
        self.layer = layer
        self.first = nn.Sequential(nn.Conv1d(coeff_nc, descriptor_nc, 7))
        for number in range(layer):
            stage = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv1d(descriptor_nc, descriptor_nc, 3, dilation=DILATION))
            self.add_module(f"encoder{number}", stage)

    def forward(self, motion: Tensor) -> Tensor:
        """Map coefficients (N, coeff_nc, frames), frames > 6 + 6 layer, to descriptors (N, descriptor_nc)."""
        x: Tensor = self.first(motion)
        for number in range(self.layer):
            x = getattr(self, f"encoder{number}")(x) + x[..., DILATION:-DILATION]
        return x.mean(dim=-1)
