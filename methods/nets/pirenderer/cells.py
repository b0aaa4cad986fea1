"""PIRenderer on cells of pixels: the published mapping, warping and editing network in small sizes, for CPUs.

A cell of 4 x 4 pixels becomes channels of one place before the networks read a picture, and channels become pixels
behind them. All convolutions then run at a quarter of the side, which is the resolution of the published flow anyway.
Three things differ from the published renderer, because networks of this size need them:

- a coarse flow is given, and the warping network finds what is to be added to it;
- both networks are told which point of the head each cell shows;
- the frame is the warped portrait plus what the editing network makes, which at first is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.nets.pirenderer.editing import EditingNetwork
from thbench_methods.nets.pirenderer.mapping import MappingNetwork
from thbench_methods.nets.pirenderer.warping import WarpingNetwork
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

RGB, PLACE = 3, 2


class Painted(NamedTuple):
    """A frame and what it was made from."""

    flow: Tensor
    """Shape (N, 2, h, w): where places of the frame are read less where they are, -1 to 1 over the picture."""
    warped: Tensor
    """Shape (N, 3, H, W): the portrait moved by the flow."""
    image: Tensor
    """Shape (N, 3, H, W), RGB, [-1, 1] and a little beyond."""


class CellGenerator(nn.Module):
    """Mapping, warping and editing network on cells."""

    unit: Tensor
    """Shape (coefficients,): deviation of each over the training data."""

    def __init__(
        self,
        mapping_net: Mapping[str, int],
        warpping_net: Mapping[str, int],
        editing_net: Mapping[str, int],
        *,
        descriptor_nc: int,
        shared_nc: int,
        cell: int = 4,
    ) -> None:
        """Make the networks.

        Args:
            mapping_net: Arguments of the mapping network.
            warpping_net: Of the warping network; as many levels up as down, so that its flow is as fine as the cells.
            editing_net: Of the editing network.
            descriptor_nc: Values of a descriptor.
            shared_nc: Values between descriptor and norms.
            cell: Side of a cell in pixels.
        """
        super().__init__()
        self.cell = cell
        self.register_buffer("unit", torch.ones(mapping_net["coeff_nc"]))
        pixels = cell**2
        self.mapping_net = MappingNetwork(**{**mapping_net, "descriptor_nc": descriptor_nc})
        self.warpping_net = WarpingNetwork(
            image_nc=RGB * pixels + PLACE, descriptor_nc=descriptor_nc, shared_nc=shared_nc, kernel=3, **warpping_net
        )
        self.editing_net = EditingNetwork(
            image_nc=RGB * pixels,
            descriptor_nc=descriptor_nc,
            shared_nc=shared_nc,
            inputs=2 * RGB * pixels + PLACE,
            kernel=3,
            unused=False,
            **editing_net,
        )
        # Training begins with the portrait moved by the given flow.
        for last in (self.warpping_net.flow_out[-1], self.editing_net.decoder.final.model[0]):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, image: Tensor, motion: Tensor, places: Tensor, flow: Tensor) -> Painted:
        """Render one frame for each window of motion.

        Args:
            image: Shape (N, 3, H, W), RGB in [-1, 1]; sides are multiples of the cell.
            motion: Shape (N, coefficients, frames): the window around the frame to make.
            places: Shape (N, 2, h, w): the point of the head that each place of the frame shows.
            flow: Shape (N, 2, h, w): the coarse flow, as in `Painted`; at least as fine as the cells.
        """
        z = self.mapping_net(motion / self.unit[:, None])
        where = F.adaptive_avg_pool2d(places, (image.shape[2] // self.cell, image.shape[3] // self.cell))
        coarse = torch.cat((F.pixel_unshuffle(moved(image, flow), self.cell), where), dim=1)
        more = self.warpping_net(coarse, z)
        side = more.shape[-1]
        flow = flow + F.interpolate(more * (2 / side), size=flow.shape[2:], mode="bilinear", align_corners=False)
        warped = moved(image, flow)
        edited = self.editing_net(coarse, F.pixel_unshuffle(warped, self.cell), z)
        # A change of 2 makes white of black.
        return Painted(flow, warped, warped + 2 * F.pixel_shuffle(edited, self.cell))


def moved(image: Tensor, flow: Tensor) -> Tensor:
    """Move an image (N, C, H, W) by a flow (N, 2, h, w), -1 to 1 over the picture; its border goes on beyond it."""
    height, width = image.shape[2:]
    full = F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
    axes = [(torch.arange(size, device=flow.device) + 0.5) * (2 / size) - 1 for size in (width, height)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="xy"))
    return F.grid_sample(image, (grid + full).permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
