"""PIRenderer: portraits driven by 3DMM coefficients (Ren et al., "PIRenderer", ICCV 2021).

Mapping network, warping network, editing network. Key names are those of DreamTalk's `renderer.pt`.
"""

from thbench_methods.nets.pirenderer.cells import CellGenerator, Painted
from thbench_methods.nets.pirenderer.editing import EditingNetwork
from thbench_methods.nets.pirenderer.mapping import MappingNetwork
from thbench_methods.nets.pirenderer.renderer import FaceGenerator, Rendered
from thbench_methods.nets.pirenderer.warping import WarpingNetwork, warp

__all__ = [
    "CellGenerator",
    "EditingNetwork",
    "FaceGenerator",
    "MappingNetwork",
    "Painted",
    "Rendered",
    "WarpingNetwork",
    "warp",
]
