"""The renderer as a whole: portrait and a window of motion to a frame.

Source: RenYurui/PIRender, generators/face_model.py:FaceGenerator; ali-vilab/dreamtalk has the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from thbench_methods.nets.pirenderer.editing import EditingNetwork
from thbench_methods.nets.pirenderer.mapping import MappingNetwork
from thbench_methods.nets.pirenderer.warping import WarpingNetwork, warp
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rendered(NamedTuple):
    """A frame and what it was made from."""

    flow: Tensor
    """Shape (N, 2, H / 4, W / 4): x and y, in its own pixels."""
    warped: Tensor
    """Shape (N, 3, H, W): the portrait moved by the flow."""
    image: Tensor
    """Shape (N, 3, H, W), RGB in (-1, 1)."""


class FaceGenerator(nn.Module):
    """Mapping, warping and editing network."""

    def __init__(
        self,
        mapping_net: Mapping[str, int] | None = None,
        warpping_net: Mapping[str, int] | None = None,
        editing_net: Mapping[str, Any] | None = None,
        *,
        image_nc: int = 3,
        descriptor_nc: int = 256,
        max_nc: int = 256,
    ) -> None:
        super().__init__()
        common: dict[str, Any] = {"image_nc": image_nc, "descriptor_nc": descriptor_nc, "max_nc": max_nc}
        self.mapping_net = MappingNetwork(**{**(mapping_net or {}), "descriptor_nc": descriptor_nc})
        self.warpping_net = WarpingNetwork(**(warpping_net or {}), **common)  # the published key is spelled so
        self.editing_net = EditingNetwork(**(editing_net or {}), **common)

    def forward(self, image: Tensor, motion: Tensor) -> Rendered:
        """Render one frame for each window of motion.

        Args:
            image: Shape (N, 3, H, W), RGB in [-1, 1]; published for 256 x 256.
            motion: Shape (N, coefficients, frames): the window around the frame to make; published for 73 and 27.
        """
        z = self.mapping_net(motion)
        flow = self.warpping_net(image, z)
        warped = warp(image, flow)
        return Rendered(flow, warped, self.editing_net(image, warped, z))
