"""Stitching and retargeting S: small networks that correct the driving key-points.

Source: KwaiVGI/LivePortrait, src/modules/stitching_retargeting_network.py and src/live_portrait_wrapper.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.nets.liveportrait.keypoints import as_points, in_plane
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sizes(NamedTuple):
    """Widths of one network."""

    input_size: int
    hidden_sizes: Sequence[int]
    output_size: int


STITCHING = Sizes(126, (128, 128, 64), 65)
LIP = Sizes(65, (128, 128, 64), 63)
EYE = Sizes(66, (256, 256, 128, 128, 64), 63)


class CorrectionNetwork(nn.Module):
    """Linear layers with ReLU between."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        first, *others = pairwise((sizes.input_size, *sizes.hidden_sizes, sizes.output_size))
        layers: list[nn.Module] = [nn.Linear(*first)]
        for inputs, outputs in others:
            layers += [nn.ReLU(), nn.Linear(inputs, outputs)]
        self.mlp = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, input_size) to (N, output_size)."""
        correction: Tensor = self.mlp(x)
        return correction


class StitchingRetargeting(nn.Module):
    """The three networks, under the names of their entries in the checkpoint."""

    def __init__(self, stitching: Sizes = STITCHING, lip: Sizes = LIP, eye: Sizes = EYE) -> None:
        super().__init__()
        self.retarget_shoulder = CorrectionNetwork(stitching)
        self.retarget_mouth = CorrectionNetwork(lip)
        self.retarget_eye = CorrectionNetwork(eye)

    def stitch(self, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        """Return driving key-points (N, K, 3) that keep the shoulders of the source in place."""
        correction = self.retarget_shoulder(torch.cat((kp_source.flatten(1), kp_driving.flatten(1)), dim=1))
        return kp_driving + as_points(correction[:, :-2]) + in_plane(correction[:, -2:])

    def eyes(self, kp_source: Tensor, ratios: Tensor) -> Tensor:
        """Return offsets (N, K, 3) that open or close the eyes.

        Args:
            kp_source: Shape (N, K, 3).
            ratios: Shape (N, 3): eye openings of the source (left, right), and the one wanted.
        """
        return as_points(self.retarget_eye(torch.cat((kp_source.flatten(1), ratios), dim=1)))

    def lips(self, kp_source: Tensor, ratios: Tensor) -> Tensor:
        """Return offsets (N, K, 3) that open or close the lips.

        Args:
            kp_source: Shape (N, K, 3).
            ratios: Shape (N, 2): lip opening of the source, and the one wanted.
        """
        return as_points(self.retarget_mouth(torch.cat((kp_source.flatten(1), ratios), dim=1)))
