"""Observes head-pose diversity as head-pose networks see it: Hopenet's logits and degrees, 6DRepNet's degrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from thbench.backbones import loaded
from thbench.backbones.batches import FixedBatches
from thbench.backbones.sixdrepnet import euler_degrees, rotation_from_six
from thbench.faces.landmarks import face_box
from thbench.metrics.observer import Missing
from thbench.metrics.pose import hopenet_degrees, hopenet_logit_diversity, temporal_std

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

SIDE = 224
"""Rows and columns that the networks see."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, for RGB in [0, 1]."""


class Margins(NamedTuple):
    """How far a crop reaches beyond the face box, as shares of its width and height."""

    sides: float
    top: float
    bottom: float


HOPENET_MARGINS = Margins(0.5, 0.75, 0.25)
"""natanielruiz/deep-head-pose, code/test_on_video_dlib.py."""
SIXDREPNET_MARGINS = Margins(0.2, 0.2, 0.2)
"""thohemp/6DRepNet, demo.py."""


def crop(rgb: NDArray[np.uint8], box: NDArray[np.float64], margins: Margins) -> torch.Tensor | None:
    """Cut a face with margins, clipped to the frame, shorter side to 224, its centre, ImageNet's normalisation.

    Args:
        rgb: Shape (height, width, 3).
        box: Left, top, right and bottom, pixels.
        margins: Of the crop.

    Returns:
        Shape (3, 224, 224); None where the box lies outside of the frame.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    rows = max(0, int(top - margins.top * height)), min(rgb.shape[0], int(bottom + margins.bottom * height))
    columns = max(0, int(left - margins.sides * width)), min(rgb.shape[1], int(right + margins.sides * width))
    if rows[1] - rows[0] < 1 or columns[1] - columns[0] < 1:
        return None
    image = torch.from_numpy(rgb[slice(*rows), slice(*columns)].copy()).permute(2, 0, 1)[None].float() / 255
    scale = SIDE / min(image.shape[2:])
    size = [max(SIDE, round(side * scale)) for side in image.shape[2:]]
    image = F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    down, across = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    centre = image[:, down : down + SIDE, across : across + SIDE]
    return (centre - centre.new_tensor(MEAN)[:, None, None]) / centre.new_tensor(STD)[:, None, None]


class PoseNetworkObserver:
    """Keeps what the networks say of each frame with a face."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        hopenet = any("hopenet" in name for name in wanted)
        self._hopenet = FixedBatches(loaded.hopenet()) if hopenet else None
        self._sixdrepnet = FixedBatches(loaded.sixdrepnet()) if any("sixdrepnet" in n for n in wanted) else None

    def observe(self, moment: Moment) -> None:
        """Show the face of the frame to the networks."""
        view = moment.generated
        if view.face is None:
            return
        box = face_box(view.face.points)
        for batches, margins in ((self._hopenet, HOPENET_MARGINS), (self._sixdrepnet, SIXDREPNET_MARGINS)):
            if batches is not None and (image := crop(view.rgb, box, margins)) is not None:
                batches.add(image[None])

    def values(self, clip: ClipFacts) -> Values:
        """Return the diversities."""
        found: dict[str, float] = {}
        if self._hopenet is not None and self._hopenet.count >= 2:
            logits = self._hopenet.finish().numpy()
            found["pose-div/hopenet-logits"] = float(hopenet_logit_diversity(logits).mean())
            found["pose-div/hopenet-degrees"] = float(temporal_std(hopenet_degrees(logits)).mean())
        if self._sixdrepnet is not None and self._sixdrepnet.count >= 2:
            angles = euler_degrees(rotation_from_six(self._sixdrepnet.finish().double())).numpy()
            found["pose-div/sixdrepnet-degrees"] = float(temporal_std(angles).mean())
        return {name: _checked(found.get(name)) for name in self._wanted}


def _checked(value: float | None) -> float | Missing:
    if value is None:
        return Missing("needs 2 frames with a face")
    return value if np.isfinite(value) else Missing("the network's angles are not numbers")
