"""Which adapter runs which target of the metrics."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NETWORKS = "thbench.parity.metric_networks"
_FUNCTIONS = "thbench.parity.metric_functions"
_IMAGES = "thbench.parity.metric_images"
_MOTION = "thbench.parity.metric_motion"

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "metrics.arcface_align": f"{_FUNCTIONS}:arcface_align",
        "metrics.arcface_iresnet50": f"{_NETWORKS}:arcface",
        "metrics.beat_align": f"{_MOTION}:beat_align",
        "metrics.diversity": f"{_MOTION}:diversity",
        "metrics.frechet": f"{_FUNCTIONS}:frechet",
        "metrics.hopenet": f"{_NETWORKS}:hopenet",
        "metrics.i3d_fvd": f"{_NETWORKS}:i3d",
        "metrics.inception_fid": f"{_NETWORKS}:inception",
        "metrics.kid": f"{_FUNCTIONS}:kid",
        "metrics.lmd": f"{_IMAGES}:lmd",
        "metrics.lpips": f"{_NETWORKS}:lpips",
        "metrics.mfcc": f"{_FUNCTIONS}:mfcc",
        "metrics.s3fd": f"{_NETWORKS}:s3fd",
        "metrics.sixdrepnet": f"{_NETWORKS}:sixdrepnet",
        "metrics.sixdrepnet_deploy": f"{_NETWORKS}:sixdrepnet",
        "metrics.ssim_psnr": f"{_IMAGES}:ssim_psnr",
        "metrics.syncnet": f"{_NETWORKS}:syncnet",
    }
)
"""Target to `module:callable`, registered with the entry-point group `thbench.parity`."""
