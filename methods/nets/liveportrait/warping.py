"""The warping network W: feature volume and two sets of key-points to the warped feature map.

Source: KwaiVGI/LivePortrait, src/modules/warping_network.py and dense_motion.py; the dense motion is that of Wang et
al., CVPR 2021, without the rotation part.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.nets.liveportrait.blocks import ConvBlock, convolution3d
from torch import Tensor, nn

KEYPOINT_VARIANCE = 0.01
HALF = (1, 2, 2)
"""Down- and up-sampling of the hourglass: depth is left as it is."""


class Warped(NamedTuple):
    """What the warping network returns."""

    feature: Tensor
    """Shape (N, C, H, W), already multiplied by the occlusion map."""
    occlusion: Tensor
    """Shape (N, 1, H, W), range (0, 1)."""
    deformation: Tensor
    """Shape (N, D, H, W, 3): where each place of the volume is read, as x, y, z in [-1, 1]."""


class DenseMotion(NamedTuple):
    """What the dense motion network returns; the first two as in `Warped`."""

    deformation: Tensor
    occlusion: Tensor
    seen: Tensor
    """Shape (N, C D, H, W): features of the hourglass, depth in the channels."""


class Encoder(nn.Module):
    """Down blocks; returns every resolution."""

    def __init__(self, widths: list[int], depth: int) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(ConvBlock(inputs, outputs, depth) for inputs, outputs in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, D, H, W) to itself and its halvings."""
        maps = [x]
        for block in self.down_blocks:
            maps.append(F.avg_pool3d(block(maps[-1]), HALF))
        return maps


class Decoder(nn.Module):
    """Up blocks with the encoder's maps behind their outputs."""

    def __init__(self, widths: list[int], last: int, depth: int) -> None:
        super().__init__()
        middle = widths[-2:0:-1]
        inputs, outputs = [widths[-1], *(2 * width for width in middle)], [*middle, last]
        self.up_blocks = nn.ModuleList(ConvBlock(i, o, depth) for i, o in zip(inputs, outputs, strict=True))
        self.out_filters = last + widths[0]
        self.conv = convolution3d(self.out_filters, self.out_filters, 3, depth)
        self.norm = nn.BatchNorm3d(self.out_filters)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the encoder's maps, finest first, to (N, out_filters, D, H, W)."""
        *skips, x = maps
        for block, skip in zip(self.up_blocks, reversed(skips), strict=True):
            x = torch.cat((block(F.interpolate(x, scale_factor=HALF)), skip), dim=1)
        return F.relu(self.norm(self.conv(x)))


class Hourglass(nn.Module):
    """A 3-D U-Net that keeps depth."""

    def __init__(self, inputs: int, block_expansion: int, num_blocks: int, max_features: int, depth: int) -> None:
        super().__init__()
        widths = [inputs, *(min(max_features, block_expansion * 2**n) for n in range(1, num_blocks + 1))]
        self.encoder = Encoder(widths, depth)
        self.decoder = Decoder(widths, block_expansion, depth)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, D, H, W) to (N, decoder.out_filters, D, H, W)."""
        features: Tensor = self.decoder(self.encoder(x))
        return features


class DenseMotionNetwork(nn.Module):
    """Chooses for each place of the volume between the background and the key-points' motions."""

    def __init__(
        self,
        num_kp: int,
        feature_channel: int,
        *,
        block_expansion: int,
        max_features: int,
        num_blocks: int,
        reshape_depth: int,
        compress: int,
        mask_kernel: int = 7,
        estimate_occlusion_map: bool = True,
    ) -> None:
        super().__init__()
        motions = num_kp + 1
        self.hourglass = Hourglass(motions * (compress + 1), block_expansion, num_blocks, max_features, reshape_depth)
        channels = self.hourglass.decoder.out_filters
        self.mask = convolution3d(channels, motions, mask_kernel, reshape_depth)
        self.compress = nn.Conv3d(feature_channel, compress, 1)
        self.norm = nn.BatchNorm3d(compress)
        self.occlusion = (
            nn.Conv2d(channels * reshape_depth, 1, mask_kernel, padding=mask_kernel // 2)
            if estimate_occlusion_map
            else None
        )

    def forward(self, volume: Tensor, kp_source: Tensor, kp_driving: Tensor) -> DenseMotion:
        """Map (N, C, D, H, W) and key-points (N, K, 3) to the deformation and the occlusion map."""
        grid = coordinate_grid(volume)
        if volume.shape[2] == 1:  # one plane, in which all key-points lie
            kp_source, kp_driving = flattened(kp_source), flattened(kp_driving)
        motions = sparse_motions(grid, kp_source, kp_driving)
        compressed = F.relu(self.norm(self.compress(volume)))
        each = compressed.repeat_interleave(motions.shape[1], dim=0)
        moved = deform(each, motions.flatten(0, 1)).reshape(*motions.shape[:2], *compressed.shape[1:])
        heat = heat_maps(grid, kp_source, kp_driving)[:, :, None]
        features = self.hourglass(torch.cat((heat, moved), dim=2).flatten(1, 2))
        seen = features.flatten(1, 2)
        mask = self.mask(features).softmax(dim=1)
        deformation = torch.einsum("nkdhw,nkdhwc->ndhwc", mask, motions)
        if self.occlusion is None:
            return DenseMotion(deformation, torch.ones_like(features[:, :1, 0]), seen)
        return DenseMotion(deformation, self.occlusion(seen).sigmoid(), seen)


class WarpingNetwork(nn.Module):
    """Warps the feature volume and folds it into a feature map for the generator."""

    def __init__(
        self,
        num_kp: int = 21,
        block_expansion: int = 64,
        max_features: int = 512,
        num_down_blocks: int = 2,
        reshape_channel: int = 32,
        estimate_occlusion_map: bool = True,
        dense_motion_params: dict[str, int] | None = None,
        shows_motion: bool = False,
    ) -> None:
        """Make the network.

        Args:
            num_kp: Number of key-points K.
            block_expansion: Width of the feature map, before `num_down_blocks` doublings.
            max_features: Largest width.
            num_down_blocks: See `block_expansion`.
            reshape_channel: Channels of the volume.
            estimate_occlusion_map: Whether the feature map is multiplied by an occlusion map.
            dense_motion_params: Sizes of the dense motion network; the published ones where there are none.
            shows_motion: Whether the feature map tells the generator what the dense motion network saw too. The
                published one does not: there the generator learns of key-points only by what they warped and hid.
        """
        super().__init__()
        dense = dense_motion_params or PUBLISHED_DENSE_MOTION
        self.dense_motion_network = DenseMotionNetwork(
            num_kp, reshape_channel, estimate_occlusion_map=estimate_occlusion_map, **dense
        )
        width = min(max_features, block_expansion * 2**num_down_blocks)
        self.third = ConvBlock(reshape_channel * dense["reshape_depth"], width, activation=F.leaky_relu)
        self.fourth = nn.Conv2d(width, width, 1)
        seen = self.dense_motion_network.hourglass.decoder.out_filters * dense["reshape_depth"]
        self.shown = nn.Conv2d(seen, width, 3, padding=1) if shows_motion else None

    def forward(self, volume: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Warped:
        """Warp the volume of a portrait from its own key-points to others.

        Args:
            volume: Shape (N, C, D, H, W), from the appearance extractor.
            kp_source: Shape (N, K, 3), of the portrait.
            kp_driving: Shape (N, K, 3), of the frame to make.
        """
        motion: DenseMotion = self.dense_motion_network(volume, kp_source, kp_driving)
        feature = self.fourth(self.third(deform(volume, motion.deformation).flatten(1, 2)))
        feature = feature * motion.occlusion
        if self.shown is not None:
            feature = feature + self.shown(motion.seen)
        return Warped(feature, motion.occlusion, motion.deformation)


PUBLISHED_DENSE_MOTION = {
    "block_expansion": 32,
    "max_features": 1024,
    "num_blocks": 5,
    "reshape_depth": 16,
    "compress": 4,
}
"""Sizes of the published dense motion network."""


def moved_portrait(image: Tensor, deformation: Tensor) -> Tensor:
    """Return a portrait (N, 3, h, w), warped by a deformation (N, D, H, W, 3), averaged over its depth."""
    where = deformation[..., :2].mean(dim=1).permute(0, 3, 1, 2)
    fine = F.interpolate(where, size=image.shape[2:], mode="bilinear", align_corners=True)
    return F.grid_sample(image, fine.permute(0, 2, 3, 1).to(image), padding_mode="border", align_corners=True)


def coordinate_grid(volume: Tensor) -> Tensor:
    """Return (D, H, W, 3): x, y, z of each place of (N, C, D, H, W), from -1 at the first to 1 at the last.

    A single plane lies at 0.
    """
    axes = [torch.linspace(-(size > 1), 1, size, dtype=volume.dtype, device=volume.device) for size in volume.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)


def flattened(points: Tensor) -> Tensor:
    """Return points (..., 3) without their depth."""
    return points * points.new_tensor([1, 1, 0])


def sparse_motions(grid: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
    """Return (N, 1 + K, D, H, W, 3): where to read under the identity and under each key-point's shift."""
    shifts = F.pad(kp_source - kp_driving, (0, 0, 1, 0))
    return grid + shifts[:, :, None, None, None]


def heat_maps(grid: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
    """Return (N, 1 + K, D, H, W): Gaussian at the driving less that at the source key-point; background zero."""
    difference = _gaussian(grid, kp_driving) - _gaussian(grid, kp_source)
    return F.pad(difference, (0, 0, 0, 0, 0, 0, 1, 0))


def _gaussian(grid: Tensor, points: Tensor) -> Tensor:
    squared = (grid - points[:, :, None, None, None]).square().sum(dim=-1)
    return (-0.5 * squared / KEYPOINT_VARIANCE).exp()


def deform(volume: Tensor, places: Tensor) -> Tensor:
    """Read (N, C, D, H, W) at `places` (N, D, H, W, 3).

    The coordinate grid has its corners at the centres of the outermost cells, and yet the volume is sampled with
    `align_corners=False`: the published networks were trained with that mismatch.
    """
    return F.grid_sample(volume, places, align_corners=False)
