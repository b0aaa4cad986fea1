"""The latent flow generator: two images to the flow between them, and a portrait under a flow to the frame.

It is the motion representation of Siarohin et al., "Motion Representations for Articulated Animation" (CVPR 2021), as
Ni et al. use it for latent flow diffusion (CVPR 2023).
"""

from thbench_methods.dawn.lfg.flow import Flow, PixelwiseFlowPredictor
from thbench_methods.dawn.lfg.generator import Frame, Generator, LatentFlowGenerator, Portrait, flow_generator
from thbench_methods.dawn.lfg.regions import BackgroundPredictor, RegionPredictor, Regions, round_regions

__all__ = [
    "BackgroundPredictor",
    "Flow",
    "Frame",
    "Generator",
    "LatentFlowGenerator",
    "PixelwiseFlowPredictor",
    "Portrait",
    "RegionPredictor",
    "Regions",
    "flow_generator",
    "round_regions",
]
