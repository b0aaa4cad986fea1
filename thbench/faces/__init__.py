"""One face pass that all metrics share: landmarks, expression, head pose, and crops by published rules.

Names are imported on first use, so that `RECIPE` can be read without MediaPipe or OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thbench.faces.alignment import (
        ARCFACE_TEMPLATE,
        SyncNetPlace,
        arcface_crop,
        arcface_matrix,
        ffhq_crop,
        ffhq_quad,
        smooth_track,
        syncnet_crop,
    )
    from thbench.faces.face import Face
    from thbench.faces.landmarker import Landmarker
    from thbench.faces.landmarks import BLENDSHAPES, MESH_OF_68, MIRROR_OF_68, face_box, five_points, landmarks68
    from thbench.faces.pose import head_pose_degrees, rotation_from_degrees, rotation_of
    from thbench.faces.recipe import RECIPE
    from thbench.faces.tracker import FaceTracker, Policy

__all__ = [
    "ARCFACE_TEMPLATE",
    "BLENDSHAPES",
    "MESH_OF_68",
    "MIRROR_OF_68",
    "RECIPE",
    "Face",
    "FaceTracker",
    "Landmarker",
    "Policy",
    "SyncNetPlace",
    "arcface_crop",
    "arcface_matrix",
    "face_box",
    "ffhq_crop",
    "ffhq_quad",
    "five_points",
    "head_pose_degrees",
    "landmarks68",
    "rotation_from_degrees",
    "rotation_of",
    "smooth_track",
    "syncnet_crop",
]

_MODULES = {
    "alignment": (
        "ARCFACE_TEMPLATE",
        "SyncNetPlace",
        "arcface_crop",
        "arcface_matrix",
        "ffhq_crop",
        "ffhq_quad",
        "smooth_track",
        "syncnet_crop",
    ),
    "face": ("Face",),
    "landmarker": ("Landmarker",),
    "landmarks": ("BLENDSHAPES", "MESH_OF_68", "MIRROR_OF_68", "face_box", "five_points", "landmarks68"),
    "pose": ("head_pose_degrees", "rotation_from_degrees", "rotation_of"),
    "recipe": ("RECIPE",),
    "tracker": ("FaceTracker", "Policy"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
