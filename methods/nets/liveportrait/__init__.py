"""LivePortrait: portrait animation by implicit key-points (Guo et al., arXiv 2407.03168).

Five networks: appearance F, motion M, warping W, generator G, stitching and retargeting S. KDTalker and MoDA generate
its motion parameters and render with it. Key names are those of the published checkpoints.
"""

from thbench_methods.nets.liveportrait.animate import LivePortrait, Source, load_published
from thbench_methods.nets.liveportrait.appearance import AppearanceExtractor
from thbench_methods.nets.liveportrait.generator import SpadeGenerator
from thbench_methods.nets.liveportrait.keypoints import (
    HeadPose,
    Motion,
    as_points,
    bins_to_degrees,
    extracted_motion,
    rotation_matrix,
    transform,
)
from thbench_methods.nets.liveportrait.layout import Layout
from thbench_methods.nets.liveportrait.motion import MotionExtractor
from thbench_methods.nets.liveportrait.stitching import StitchingRetargeting
from thbench_methods.nets.liveportrait.warping import WarpingNetwork

__all__ = [
    "AppearanceExtractor",
    "HeadPose",
    "Layout",
    "LivePortrait",
    "Motion",
    "MotionExtractor",
    "Source",
    "SpadeGenerator",
    "StitchingRetargeting",
    "WarpingNetwork",
    "as_points",
    "bins_to_degrees",
    "extracted_motion",
    "load_published",
    "rotation_matrix",
    "transform",
]
