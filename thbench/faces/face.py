"""What is known of the face in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Face:
    """Landmarks, expression and head pose of one face in one frame."""

    points: NDArray[np.float32]
    """Shape (478, 3): MediaPipe face-mesh landmarks; x right and y down in pixels of the full frame, 0 at its left and
    upper edge (so the centre of the first pixel is at 0.5), z in the same scale (smaller is nearer to the camera)."""
    blendshapes: NDArray[np.float32]
    """Shape (52,), range [0, 1], in the order of `thbench.faces.BLENDSHAPES`."""
    rotation: NDArray[np.float64]
    """Shape (3, 3): rotation of the canonical head to the camera; x right, y up, z towards the viewer, identity when
    the face looks straight into the camera. `thbench.faces.head_pose_degrees` gives angles."""
