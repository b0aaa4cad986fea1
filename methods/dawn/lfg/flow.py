"""The pixelwise flow predictor: regions of two images to the flow and occlusion between them.

Source: Siarohin et al., CVPR 2021, section 3.4; Hanbo-Cheng/DAWN-pytorch, LFG/modules/pixelwise_flow_predictor.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.dawn.lfg.blocks import AntiAliasedDown, Hourglass, coordinate_grid
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg.regions import Regions


class Flow(NamedTuple):
    """What the diffusion model generates: the motion of each frame, at a quarter of the image's size."""

    optical_flow: Tensor
    """Shape (N, h, w, 2): where in the portrait each place is read, x, y in about [-1, 1]."""
    occlusion_map: Tensor
    """Shape (N, 1, h, w), range (0, 1): how much of what is read there may be used."""


class PixelwiseFlowPredictor(nn.Module):
    """Chooses for each place between the background's motion and those of the regions."""

    def __init__(
        self,
        num_regions: int = 10,
        num_channels: int = 3,
        *,
        block_expansion: int = 64,
        num_blocks: int = 5,
        max_features: int = 1024,
        scale_factor: float = 0.25,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.centred = centred
        motions = num_regions + 1
        self.hourglass = Hourglass(motions * (1 + num_channels), block_expansion, num_blocks, max_features)
        self.mask = nn.Conv2d(self.hourglass.out_filters, motions, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.out_filters, 1, 7, padding=3)
        self.down = AntiAliasedDown(num_channels, scale_factor)

    def forward(self, source: Tensor, source_regions: Regions, driving_regions: Regions, background: Tensor) -> Flow:
        """Return the flow from a portrait to another image.

        Args:
            source: The portrait: shape (N, 3, H, W), in [0, 1].
            source_regions: Its regions.
            driving_regions: Regions of the other image.
            background: Shape (N, 3, 3), from the background predictor.
        """
        small = self.down(source)
        grid = coordinate_grid(small, centred=self.centred)
        motions = candidate_motions(grid, source_regions, driving_regions, background)
        moved = deformed(small, motions)
        heat = heat_maps(grid, source_regions, driving_regions)[:, :, None]
        features = self.hourglass(torch.cat((heat, moved), dim=2).flatten(1, 2))
        mask = self.mask(features).softmax(dim=1)
        return Flow(torch.einsum("nkhw,nkhwi->nhwi", mask, motions), self.occlusion(features).sigmoid())


def candidate_motions(grid: Tensor, source: Regions, driving: Regions, background: Tensor) -> Tensor:
    """Return (N, 1 + K, h, w, 2): where each place is read under the background's and each region's motion."""
    return torch.cat((_background_motion(grid, background)[:, None], _region_motions(grid, source, driving)), dim=1)


def _background_motion(grid: Tensor, background: Tensor) -> Tensor:
    homogeneous = torch.einsum("nij,hwj->nhwi", background, F.pad(grid, (0, 1), value=1.0))
    return homogeneous[..., :2] / homogeneous[..., 2:]


def _region_motions(grid: Tensor, source: Regions, driving: Regions) -> Tensor:
    affine = source.affine @ torch.linalg.inv(driving.affine)
    # Principal axes have no sign; a region that seems turned by half a circle is turned back.
    affine = affine * affine[:, :, :1, :1].sign()
    offsets = grid - driving.shift[:, :, None, None]
    return torch.einsum("nkij,nkhwj->nkhwi", affine, offsets) + source.shift[:, :, None, None]


def heat_maps(grid: Tensor, source: Regions, driving: Regions) -> Tensor:
    """Return (N, 1 + K, h, w): Gaussian of the driving less that of the source region; background zero."""
    difference = _gaussian(grid, driving) - _gaussian(grid, source)
    return F.pad(difference, (0, 0, 0, 0, 1, 0))


def _gaussian(grid: Tensor, regions: Regions) -> Tensor:
    offsets = grid - regions.shift[:, :, None, None]
    precision = torch.linalg.inv(regions.covar)
    return (-0.5 * torch.einsum("nkhwi,nkij,nkhwj->nkhw", offsets, precision, offsets)).exp()


def deformed(image: Tensor, motions: Tensor) -> Tensor:
    """Return (N, M, C, h, w): an image (N, C, h, w) read under M motions (N, M, h, w, 2)."""
    copies = image.repeat_interleave(motions.shape[1], dim=0)
    moved: Tensor = F.grid_sample(copies, motions.flatten(0, 1), align_corners=False)
    return moved.view(*motions.shape[:2], *image.shape[1:])
