"""Files of 3DMM fits, as the published scripts exchange them: MATLAB files of coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.dreamtalk.motion import EXPRESSION

from thbench.errors import MethodError, MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

COEFFICIENTS, CROP = 257, 5
"""Values of a frame: of the face model, and of the alignment of its crop."""


class Fit(NamedTuple):
    """A face model fitted to each frame of a video."""

    coefficients: Tensor
    """Shape (frames, 257)."""
    crop: Tensor | None
    """Shape (frames, 5): width and height of the video, scale and place of the crop; None where the file lacks it."""

    @property
    def expression(self) -> Tensor:
        """Shape (frames, 64)."""
        return self.coefficients[:, EXPRESSION]


def read_fit(path: Path) -> Fit:
    """Read a `.mat` file with `coeff` (frames, 257) and, for a pose track, `transform_params` (frames, 5).

    Raises:
        MethodError: There is no such file, or it holds something else.
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise MissingExtraError("scipy", "eval", f"3DMM fit {path.name}") from error
    if not path.is_file():
        raise MethodError(f"{path} does not exist; name a .mat file of 3DMM coefficients, or one of the words")
    try:
        content = loadmat(str(path))
    except (ValueError, OSError, NotImplementedError, TypeError) as error:
        raise MethodError(f"{path} is no MATLAB file that can be read ({error}); give a 3DMM fit as .mat") from error
    coefficients = _rows(path, content, "coeff", COEFFICIENTS)
    if "transform_params" not in content:
        return Fit(torch.from_numpy(coefficients), None)
    crop = _rows(path, content, "transform_params", CROP)
    if len(crop) != len(coefficients):
        raise MethodError(
            f"{path} has {len(coefficients)} frames of coeff and {len(crop)} of transform_params; fit the video again"
        )
    return Fit(torch.from_numpy(coefficients), torch.from_numpy(crop))


def _rows(path: Path, content: dict[str, object], name: str, values: int) -> np.ndarray:
    array = np.asarray(content.get(name, ()))
    if array.ndim != 2 or array.shape[1] != values or len(array) == 0 or not np.issubdtype(array.dtype, np.number):
        raise MethodError(
            f"{path} has {name} of the shape {array.shape} instead of (frames, {values}); give a 3DMM fit as .mat"
        )
    return np.ascontiguousarray(array, dtype=np.float32)
