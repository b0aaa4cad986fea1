"""Region and background predictors: an image to the places and shapes of its moving parts.

Source: Siarohin et al., CVPR 2021, section 3.2 (PCA-based motion) and 3.3 (background); Hanbo-Cheng/DAWN-pytorch,
LFG/modules/region_predictor.py and bg_motion_predictor.py.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from thbench_methods.dawn.lfg.blocks import AntiAliasedDown, Encoder, Hourglass, coordinate_grid, hourglass_widths
from torch import Tensor, nn


class Regions(NamedTuple):
    """Where K regions of N images lie, in coordinates from -1 to 1, x first."""

    shift: Tensor
    """Shape (N, K, 2): their centres."""
    covar: Tensor
    """Shape (N, K, 2, 2): second central moments of their heat-maps."""
    affine: Tensor
    """Shape (N, K, 2, 2): principal axes of the covariance, each as long as its standard deviation."""
    heatmap: Tensor
    """Shape (N, K, h, w): sums to one over each region's places; (N, K, 0, 0) where places are known without it."""


class RegionPredictor(nn.Module):
    """Finds regions by the moments of heat-maps."""

    def __init__(
        self,
        num_regions: int = 10,
        num_channels: int = 3,
        *,
        temperature: float = 0.1,
        scale_factor: float = 0.25,
        block_expansion: int = 32,
        num_blocks: int = 5,
        max_features: int = 1024,
        spread: float | None = None,
    ) -> None:
        super().__init__()
        self.temperature, self.spread = temperature, spread
        self.predictor = Hourglass(num_channels, block_expansion, num_blocks, max_features)
        self.regions = nn.Conv2d(self.predictor.out_filters, num_regions, 7, padding=3)
        self.down = AntiAliasedDown(num_channels, scale_factor)

    def forward(self, image: Tensor) -> Regions:
        """Find the regions of images (N, 3, H, W) in [0, 1]."""
        logits = self.regions(self.predictor(self.down(image)))
        heatmap = (logits.flatten(2) / self.temperature).softmax(dim=2).view_as(logits)
        return regions_of(heatmap) if self.spread is None else round_regions(centres(heatmap), self.spread, heatmap)


def round_regions(shift: Tensor, spread: float, heatmap: Tensor | None = None) -> Regions:
    """Return round regions of one size.

    Args:
        shift: Their centres, shape (N, K, 2).
        spread: Their standard deviation in every direction.
        heatmap: In which they were found; None where they are known.
    """
    axes = (spread * torch.eye(2).to(shift)).expand(*shift.shape, 2)
    return Regions(shift, spread * axes, axes, shift.new_empty(*shift.shape[:2], 0, 0) if heatmap is None else heatmap)


def centres(heatmap: Tensor) -> Tensor:
    """Return the mean places (N, K, 2) of heat-maps (N, K, h, w) that sum to one."""
    return torch.einsum("nkhw,hwi->nki", heatmap, coordinate_grid(heatmap))


def regions_of(heatmap: Tensor) -> Regions:
    """Return the moments of heat-maps (N, K, h, w) that sum to one."""
    shift = centres(heatmap)
    offset = coordinate_grid(heatmap) - shift[:, :, None, None]
    covar = torch.einsum("nkhw,nkhwi,nkhwj->nkij", heatmap, offset, offset)
    return Regions(shift, covar, principal_axes(covar), heatmap)


def principal_axes(covar: Tensor) -> Tensor:
    """Return U sqrt(S) of the singular value decomposition of (..., 2, 2).

    Taken on the CPU as the published code does: the signs of the axes, and with them the frames, depend on the solver.
    """
    directions, variances, _ = torch.linalg.svd(covar.cpu())
    axes: Tensor = directions * variances.sqrt()[..., None, :]
    return axes.to(covar.device)


class BackgroundPredictor(nn.Module):
    """Estimates how the background moves between two images."""

    def __init__(
        self, num_channels: int = 3, *, block_expansion: int = 32, num_blocks: int = 5, max_features: int = 1024
    ) -> None:
        super().__init__()
        widths = hourglass_widths(2 * num_channels, block_expansion, num_blocks, max_features)
        self.encoder = Encoder(widths)
        self.fc = nn.Linear(widths[-1], 6)
        # A background that rests, at first, as in the published training.
        nn.init.zeros_(self.fc.weight)
        with torch.no_grad():
            self.fc.bias.copy_(torch.eye(2, 3).flatten())

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """Return (N, 3, 3), which takes homogeneous coordinates of `driving` to those of `source`.

        Args:
            source: Shape (N, 3, H, W), in [0, 1].
            driving: Of the same shape.
        """
        features = self.encoder(torch.cat((source, driving), dim=1))[-1].mean(dim=(2, 3))
        upper: Tensor = self.fc(features).view(-1, 2, 3)
        last = upper.new_tensor([0, 0, 1]).expand(len(upper), 1, 3)
        return torch.cat((upper, last), dim=1)
