"""Distances between coefficients of 3-D face models: expression (AED), pose (APD), and the sets of them (E-FID)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.backbones.deep3d import EXPRESSION, ROTATION

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CoefficientDistance(NamedTuple):
    """Mean absolute differences over the frames in which both videos show a face."""

    expression: float
    """AED: over frames and 64 coefficients, in units of the coefficients."""
    pose: float
    """APD: over frames and 3 Euler angles, radians."""
    frames: int
    """Frames compared."""


def coefficient_distance(generated: NDArray[np.floating], reference: NDArray[np.floating]) -> CoefficientDistance:
    """Compare the coefficients of two videos frame by frame.

    Source: the evaluation scripts of StyleHEAT and OTAvatar: the mean absolute difference of the 64 expression
    coefficients and of the three angles of Deep3DFaceRecon.

    Args:
        generated: Shape (frames, 257); a row of NaN where a frame has no face.
        reference: The same shape.

    Returns:
        The distances; NaN where no frame can be compared.
    """
    gap = np.abs(generated.astype(np.float64) - reference)
    gap = gap[np.isfinite(gap).all(axis=1)]
    if not len(gap):
        return CoefficientDistance(float("nan"), float("nan"), 0)
    return CoefficientDistance(float(gap[:, EXPRESSION].mean()), float(gap[:, ROTATION].mean()), len(gap))
