"""Observes head-pose diversity as head-pose networks see it: Hopenet's logits and degrees, 6DRepNet's degrees."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from thbench.backbones import loaded
from thbench.backbones.batches import FixedBatches
from thbench.backbones.mode_names import Mode, in_mode, split_mode
from thbench.backbones.sixdrepnet import euler_degrees, rotation_from_six
from thbench.faces.landmarks import face_box
from thbench.metrics.observer import Missing
from thbench.metrics.pose import hopenet_degrees, hopenet_logit_diversity, temporal_std

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

SIDE = 224
"""Rows and columns that the networks see."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, for RGB in [0, 1]."""


class Margins(NamedTuple):
    """How far a crop reaches beyond the face box, as shares of its sides."""

    sides: float
    top: float
    bottom: float
    crossed: bool = False
    """Whether the sides are widened by a share of the height, and top and bottom by one of the width."""


HOPENET_MARGINS = Margins(0.5, 0.75, 0.25)
"""natanielruiz/deep-head-pose, code/test_on_video_dlib.py: half of the width on each side, three quarters of the height
above and one quarter below."""
SIXDREPNET_MARGINS = Margins(0.2, 0.2, 0.2, crossed=True)
"""thohemp/6DRepNet, sixdrepnet/demo.py: a fifth, but of the height on each side and of the width above and below."""


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
    if margins.crossed:
        width, height = height, width
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
        asked = {(network, mode) for name, mode in map(split_mode, wanted) for network in NETWORKS if network in name}
        self._batches = {(name, mode): FixedBatches(NETWORKS[name].load(mode)) for name, mode in sorted(asked)}

    def observe(self, moment: Moment) -> None:
        """Show the face of the frame to the networks."""
        view = moment.generated
        if view.face is None:
            return
        box = face_box(view.face.points)
        for (name, _), batches in self._batches.items():
            image = crop(view.rgb, box, NETWORKS[name].margins)
            if image is not None:
                batches.add(image[None])

    def values(self, clip: ClipFacts) -> Values:
        """Return the diversities."""
        found: dict[str, float] = {}
        for (name, mode), batches in self._batches.items():
            if batches.count >= 2:
                diversities = NETWORKS[name].diversities(batches.finish())
                found |= {in_mode(f"pose-div/{metric}", mode): value for metric, value in diversities.items()}
        return {name: _checked(found.get(name)) for name in self._wanted}


def _hopenet_diversities(logits: torch.Tensor) -> dict[str, float]:
    rows = logits.numpy()
    return {
        "hopenet-logits": float(hopenet_logit_diversity(rows).mean()),
        "hopenet-degrees": float(temporal_std(hopenet_degrees(rows)).mean()),
    }


def _sixdrepnet_diversities(numbers: torch.Tensor) -> dict[str, float]:
    angles = euler_degrees(rotation_from_six(numbers.double())).numpy()
    return {"sixdrepnet-degrees": float(temporal_std(angles).mean())}


class _Network(NamedTuple):
    """A head-pose network, what it sees and what its outputs say."""

    load: Callable[[Mode], torch.nn.Module]
    margins: Margins
    diversities: Callable[[torch.Tensor], dict[str, float]]


NETWORKS: Mapping[str, _Network] = MappingProxyType(
    {
        "hopenet": _Network(loaded.hopenet, HOPENET_MARGINS, _hopenet_diversities),
        "sixdrepnet": _Network(loaded.sixdrepnet, SIXDREPNET_MARGINS, _sixdrepnet_diversities),
    }
)
"""Name, which begins those of its metrics, to network."""


def _checked(value: float | None) -> float | Missing:
    if value is None:
        return Missing("needs 2 frames with a face")
    return value if np.isfinite(value) else Missing("the network's angles are not numbers")
