"""Regions move as their image does: the losses that find regions without labels.

Source: Siarohin et al., "First Order Motion Model for Image Animation", NeurIPS 2019, section 3.1, and CVPR 2021,
section 3.5; the deviations are those of DAWN's LFG configurations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.dawn.lfg.blocks import coordinate_grid

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg.regions import Regions
    from torch import Tensor

AFFINE_DEVIATION, SPLINE_DEVIATION = 0.05, 0.005
"""Of the random transforms."""
CONTROL_POINTS = 5
"""Of the splines, along each side."""
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Transform:
    """A random affine map of the plane with a thin-plate spline added to both coordinates, one for each image."""

    linear: Tensor
    """Shape (N, 2, 2)."""
    offset: Tensor
    """Shape (N, 2)."""
    bends: Tensor
    """Shape (N, control points)."""
    controls: Tensor
    """Shape (control points, 2), coordinates from -1 to 1."""

    def places(self, points: Tensor) -> Tensor:
        """Map points (N, K, 2)."""
        reach = self._reach(points)
        spline = torch.einsum("nkc,nc->nk", reach.square() * (reach + TINY).log(), self.bends)
        moved = torch.einsum("nij,nkj->nki", self.linear, points) + self.offset[:, None]
        return moved + spline[..., None]

    def jacobian(self, points: Tensor) -> Tensor:
        """Return the derivative (N, K, 2, 2) of `places` at points (N, K, 2)."""
        reach = self._reach(points)
        growth = 2 * reach * (reach + TINY).log() + reach.square() / (reach + TINY)
        signs = (points[:, :, None] - self.controls).sign()
        slope = torch.einsum("nkc,nkci,nc->nki", growth, signs, self.bends)
        return self.linear[:, None] + slope[:, :, None, :]

    def image(self, image: Tensor) -> Tensor:
        """Return images (N, C, H, W) read at the mapped places; beyond the border they are mirrored."""
        grid = coordinate_grid(image)
        places = self.places(grid.flatten(0, 1).expand(len(image), -1, -1)).view(len(image), *grid.shape)
        moved: Tensor = F.grid_sample(image, places, padding_mode="reflection", align_corners=False)
        return moved

    def _reach(self, points: Tensor) -> Tensor:
        return (points[:, :, None] - self.controls).abs().sum(dim=-1)


def random_transform(count: int) -> Transform:
    """Draw a transform for each of `count` images, from torch's own generator."""
    line = torch.linspace(-1, 1, CONTROL_POINTS)
    controls = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).flatten(0, 1)
    affine = torch.eye(2, 3) + AFFINE_DEVIATION * torch.randn(count, 2, 3)
    bends = SPLINE_DEVIATION * torch.randn(count, len(controls))
    return Transform(affine[..., :2], affine[..., 2], bends, controls)


def equivariance(regions: Regions, transformed: Regions, transform: Transform) -> tuple[Tensor, Tensor]:
    """Return how far regions are from those of the transformed image, mapped back.

    Args:
        regions: Of N images.
        transformed: Of `transform.image` of them.
        transform: What was done.

    Returns:
        Mean absolute differences of the centres, and of the axes in units of the axes.
    """
    shift = (regions.shift - transform.places(transformed.shift)).abs().mean()
    axes = transform.jacobian(transformed.shift) @ transformed.affine
    change = torch.linalg.inv(regions.affine) @ axes
    change = change * change[:, :, :1, :1].sign()  # principal axes have no sign
    return shift, (change - torch.eye(2).to(change)).abs().mean()
