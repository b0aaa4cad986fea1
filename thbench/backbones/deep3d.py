"""Deep3DFaceRecon: 257 coefficients of a 3-D morphable face model from an aligned face.

The network is a ResNet-50 in torchvision's key names under `backbone.`, then seven 1x1 convolutions `final_layers.*`.
Its coefficients are of the Basel Face Model 2009 with the expressions of Guo et al.; the model itself is under a
licence that each user signs, and is not needed to measure how coefficients differ. Source:
sicxu/Deep3DFaceRecon_pytorch, models/networks.py, models/bfm.py (layout), util/preprocess.py and util/load_mats.py
(alignment); Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning", CVPR-W 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thbench.backbones.checkpoint import build, read_state_dict
from thbench.backbones.hopenet import Bottleneck
from thbench.errors import MissingExtraError, MissingWeightsError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

SIDE = 224
"""Rows and columns that the network sees."""
WIDTHS = (80, 64, 80, 3, 27, 2, 1)
"""Coefficients of identity, expression, texture, rotation, light, and translation across and along the view."""
EXPRESSION = slice(80, 144)
"""Where the expression stands among the 257 numbers."""
ROTATION = slice(224, 227)
"""Where the three Euler angles stand, radians."""
_FACE_SIZE = 102.0
"""Pixels that a unit of the standard face takes in the crop."""
_NOSE, _CORNERS, _MOUTH = 30, (36, 39, 42, 45), (48, 54)


class Backbone(nn.Module):
    """ResNet-50 up to its global average."""

    FOLDS: ClassVar = (("conv1", "bn1"),)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
            outputs = width * Bottleneck.EXPANSION
            strides = [1 if number == 1 else 2] + [1] * (blocks - 1)
            stage = [Bottleneck(outputs if i else inputs, width, stride) for i, stride in enumerate(strides)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            inputs = outputs

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, 224, 224) to float32 (N, 2048, 1, 1)."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x.mean(dim=(2, 3), keepdim=True)


class Deep3D(nn.Module):
    """The regression network."""

    IN_FLOAT32: ClassVar = ("final_layers",)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.final_layers = nn.ModuleList(nn.Conv2d(2048, width, 1) for width in WIDTHS)

    def forward(self, images: Tensor) -> Tensor:
        """Return coefficients.

        Args:
            images: Shape (N, 3, 224, 224), RGB in [0, 1], aligned by `align`.

        Returns:
            Shape (N, 257); see `EXPRESSION` and `ROTATION`.
        """
        x = self.backbone(images)
        return torch.cat([layer(x).flatten(1) for layer in self.final_layers], dim=1)


def load_deep3d(path: Path) -> Deep3D:
    """Load a checkpoint of Deep3DFaceRecon_pytorch, e.g. `epoch_20.pth`.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: It is damaged or another network's.
    """
    return build(Deep3D, read_state_dict(path, entry="net_recon"), source=path.name)


def load_standard_face(path: Path) -> NDArray[np.float64]:
    """Read the five points of the standard face, shape (5, 3), from `similarity_Lm3D_all.mat`.

    Raises:
        MissingExtraError: scipy is not installed.
        MissingWeightsError: There is no such file.
        WeightsMismatchError: The file is damaged or holds no 68 points.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as error:
        raise MissingExtraError("scipy", "eval", path.name) from error
    if not path.is_file():
        raise MissingWeightsError(f"{path} does not exist; `thbench weights list` says where each file comes from")
    try:
        points = np.asarray(loadmat(str(path))["lm"], dtype=np.float64)
    except (ValueError, TypeError, KeyError, OSError, NotImplementedError, MatReadError) as error:
        raise WeightsMismatchError(
            f"{path} is no MATLAB file with the variable `lm` ({error}); get the published file"
        ) from error
    if points.shape != (68, 3) or not np.isfinite(points).all():
        raise WeightsMismatchError(f"{path} holds `lm` of shape {points.shape} instead of (68, 3); get the right file")
    return five_of_68(points)


def five_of_68(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Reduce 68 points (68, d) to eye and eye (mean of the corners), nose tip, and the corners of the mouth."""
    corners = points[list(_CORNERS)].astype(np.float64).reshape(2, 2, -1).mean(axis=1)
    return np.concatenate([corners, points[[_NOSE, *_MOUTH]]])


class Placement(NamedTuple):
    """How a frame is reduced and where the crop lies in it."""

    width: int
    """Columns of the whole frame once it is resized."""
    height: int
    """Rows of it."""
    left: int
    """First column of the crop there; may lie outside."""
    top: int
    """First row of the crop there."""


def place(points: ArrayLike, standard: NDArray[np.float64], width: int, height: int) -> Placement | None:
    """Fit the standard face to five points by weak perspective.

    Args:
        points: Shape (5, 2), pixel indices, y downwards.
        standard: Shape (5, 3), of `load_standard_face`.
        width: Columns of the frame.
        height: Rows of the frame.

    Returns:
        Where the crop of 224 x 224 lies; None where the points fit no face.
    """
    seen = np.asarray(points, dtype=np.float64)
    upwards = np.stack([seen[:, 0], height - 1 - seen[:, 1]], axis=1)
    known = np.concatenate([standard, np.ones((5, 1))], axis=1)
    fitted = np.linalg.lstsq(known, upwards, rcond=None)[0]
    size = float(np.linalg.norm(fitted[:3], axis=0).mean())
    # A face of less than a pixel is none, and would ask for a picture without end.
    if not size >= 1:
        return None
    scale = _FACE_SIZE / size
    x, y = fitted[3]
    wide, high = int(width * scale), int(height * scale)
    left = int(wide / 2 - SIDE / 2 + (x - width / 2) * scale)
    top = int(high / 2 - SIDE / 2 + (height / 2 - y) * scale)
    return Placement(wide, high, left, top) if min(wide, high) > 0 else None


def align(rgb: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Resize a frame by Pillow's bicubic filter and cut the crop; black outside of the frame.

    Only the pixels of the crop are computed. Like Pillow's, the columns are rounded to whole numbers before the rows.

    Args:
        rgb: Shape (height, width, 3).
        placement: Of `place`.

    Returns:
        Shape (224, 224, 3).
    """
    height, width = rgb.shape[:2]
    across = _bicubic(width, placement.width, placement.left)
    down = _bicubic(height, placement.height, placement.top)
    wide = _rounded(np.einsum("ow,hwc->hoc", across, rgb, optimize=True))
    return _rounded(np.einsum("oh,hwc->owc", down, wide, optimize=True)).astype(np.uint8)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(np.floor(values + 0.5), 0, 255)


def _bicubic(inputs: int, outputs: int, first: int) -> NDArray[np.float64]:
    """Weights (224, inputs) of the outputs from `first` on; rows of zeros outside of the picture."""
    step = inputs / outputs
    reach = max(step, 1.0)
    index = np.arange(first, first + SIDE)
    distance = np.abs((np.arange(inputs) + 0.5) - (index[:, None] + 0.5) * step) / reach
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    weights[(index < 0) | (index >= outputs)] = 0
    total = weights.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(weights, total, out=np.zeros_like(weights), where=total != 0)
    return shares
