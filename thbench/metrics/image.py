"""Full-reference image metrics: PSNR, SSIM and MS-SSIM, frame by frame."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.metrics.observer import Missing
from thbench.metrics.ssim import PEAK, SKIMAGE, WANG, MultiScaleSsim, SsimKernel, smallest_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values, View

CAP = 100.0
"""dB that `psnr/cap100` gives to equal frames."""
SMALLEST_SIDE: Mapping[str, int] = {
    "ssim": WANG.size,
    "ssim/rgb": WANG.size,
    "ssim/skimage": SKIMAGE.size,
    "ms-ssim": smallest_side(WANG),
}
"""Metric name to the samples that the shorter side of a frame needs."""


def squared_error(generated: NDArray[np.uint8], reference: NDArray[np.uint8]) -> int:
    """Return the exact sum of squared differences of two uint8 arrays of equal shape."""
    return round(cv2.norm(generated, reference, cv2.NORM_L2SQR))


def psnr(mean_squared_error: float) -> float:
    """Return 10 log10(255^2 / MSE) in dB; infinite for 0.

    Example:
        >>> round(psnr(1.0), 2)
        48.13
    """
    return 10.0 * math.log10(PEAK**2 / mean_squared_error) if mean_squared_error > 0 else math.inf


def channel_ssim(kernel: SsimKernel, generated: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Return the mean over the colour channels of their SSIM; images have shape (height, width, channels)."""
    x, y = (np.ascontiguousarray(np.moveaxis(image, -1, 0)) for image in (generated, reference))
    return fmean(kernel.terms(*channel).similarity for channel in zip(x, y, strict=True))


class ImageObserver:
    """Compares each generated frame with the reference frame of the same instant.

    Frames of different size are not compared: any resize would change the numbers.
    """

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._frames = 0
        self._error = 0
        self._samples = 0
        self._shape: tuple[int, ...] = (0, 0)
        self._mismatch: str | None = None
        self._wang = SsimKernel(WANG)
        self._multi_scale = MultiScaleSsim(self._wang)
        self._skimage = SsimKernel(SKIMAGE)

    def observe(self, moment: Moment) -> None:
        """Compare the two frames of a moment; without a reference frame there is nothing to compare."""
        if moment.reference is None or self._mismatch:
            return
        ours, theirs = moment.generated.rgb, moment.reference.rgb
        if ours.shape != theirs.shape:
            self._mismatch = (
                f"generated is {_size(ours)}, reference {_size(theirs)}; pixels are compared at equal size only:"
                " bring one of the videos to the size of the other"
            )
            return
        self._shape = ours.shape
        error = 0 if ours is theirs else squared_error(ours, theirs)
        self._add_error(error, ours.size)
        asked = {name for name in SMALLEST_SIDE if name in self._wanted and self._too_small(name) is None}
        # SSIM and MS-SSIM of equal frames are 1 by definition.
        equal = dict.fromkeys(asked, 1.0)
        for name, value in (self._similarities(moment.generated, moment.reference, asked) if error else equal).items():
            self._sums[name] += value

    def _add_error(self, error: int, samples: int) -> None:
        self._frames += 1
        self._error += error
        self._samples += samples
        ratio = psnr(error / samples)
        self._sums["psnr"] += ratio
        self._sums["psnr/cap100"] += min(ratio, CAP)

    def values(self, clip: ClipFacts) -> Values:
        """Return the means over the compared frames, and the PSNR of their pooled error."""
        return {name: self._value(name) for name in self._wanted}

    def _value(self, name: str) -> float | Missing:
        reason = self._mismatch or (None if self._frames else "no instant in common with the reference")
        reason = reason or self._too_small(name)
        if reason:
            return Missing(reason)
        if name == "psnr/pooled":
            return psnr(self._error / self._samples)
        return self._sums[name] / self._frames

    def _too_small(self, name: str) -> str | None:
        needed = SMALLEST_SIDE.get(name, 1)
        if min(self._shape[:2]) >= needed:
            return None
        height, width = self._shape[:2]
        return f"frames are {width}x{height}; {name} needs at least {needed} pixels on each side"

    def _similarities(self, generated: View, reference: View, asked: set[str]) -> dict[str, float]:
        values: dict[str, float] = {}
        if "ms-ssim" in asked:
            terms, values["ms-ssim"] = self._multi_scale.terms(generated.gray, reference.gray)
            values["ssim"] = terms.similarity
        elif "ssim" in asked:
            values["ssim"] = self._wang.terms(generated.gray, reference.gray).similarity
        for name, kernel in (("ssim/rgb", self._wang), ("ssim/skimage", self._skimage)):
            if name in asked:
                values[name] = channel_ssim(kernel, generated.rgb, reference.rgb)
        return values


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
