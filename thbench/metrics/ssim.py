"""Structural similarity: SSIM and MS-SSIM on single-channel planes.

The published quotient is used in the equal form `(1 - u)(1 - v)` with the luminance deficit
`u = (mx - my)^2 / (mx^2 + my^2 + C1)` and the contrast deficit `v = var(x - y) / (var(x) + var(y) + C2)`. Rounding in
the large squares of flat bright regions then scales a deficit, which is small, instead of the quotient itself: float32
suffices. This form also needs four filtered maps (of x, y, x^2 + y^2 and (x - y)^2) instead of five.

Planes are worked on in tiles whose buffers stay in the second-level cache; a whole 1080x1920 float plane does not.

Sources: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity",
IEEE TIP 2004, equation 13; Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment",
Asilomar 2003, equation 7 and section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Plane = NDArray[np.uint8] | NDArray[np.float32]

PEAK = 255.0
"""Largest value of a sample; also the data range L of the papers."""
C1 = (0.01 * PEAK) ** 2
"""Keeps the luminance quotient finite; K1 = 0.01."""
C2 = (0.03 * PEAK) ** 2
"""Keeps the contrast quotient finite; K2 = 0.03."""
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM from the finest to the coarsest scale, as published (they add up to 1.0001)."""

TILE_ROWS, TILE_COLUMNS = 96, 544
"""Largest tile of the map: its five float32 buffers take 1.2 MB."""
_ISOLATED = cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED


@dataclass(frozen=True, slots=True)
class Window:
    """Weights of a separable local window and what divides its variances."""

    taps: tuple[float, ...]
    """Weights along one axis; odd in number, symmetric, summing to 1."""
    sample_covariance: bool = False
    """Divide variances by n - 1 instead of n, for n equal weights."""

    @property
    def size(self) -> int:
        """Samples along one axis."""
        return len(self.taps)

    @property
    def contrast_constant(self) -> float:
        """C2 in units of the population variance: a factor on all variances is the same as its inverse on C2."""
        n = self.size**2
        return C2 * (n - 1) / n if self.sample_covariance else C2

    def kernel(self) -> NDArray[np.float32]:
        """Return the taps in float32, with the centre corrected so that they still sum to 1.

        A sum that is off by 1e-7 would bias all variances by that share of the squared brightness.
        """
        taps = np.array(self.taps, dtype=np.float32)
        taps[self.size // 2] += np.float32(1.0 - taps.astype(np.float64).sum())
        return taps


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """Return `size` samples of a Gaussian around the middle one, normalised to sum 1."""
    weights = [math.exp(-0.5 * ((i - size // 2) / sigma) ** 2) for i in range(size)]
    return tuple(w / math.fsum(weights) for w in weights)


WANG = Window(gaussian_taps(11, 1.5))
"""The window of the SSIM paper: Gaussian 11x11, sigma 1.5, population covariance."""
SKIMAGE = Window((1 / 7,) * 7, sample_covariance=True)
"""The defaults of `skimage.metrics.structural_similarity`: uniform 7x7, sample covariance."""


class Terms(NamedTuple):
    """Means over all windows that lie inside the plane."""

    similarity: float
    """SSIM, range [-1, 1]."""
    contrast: float
    """Contrast and structure alone, range [-1, 1]; the factor `cs` of MS-SSIM."""


class SsimKernel:
    """Computes SSIM of plane after plane with the same buffers.

    Holds scratch memory only: the result of a call depends on its arguments alone. Float32 is within 1e-6 of float64 on
    natural images; the contrast of flat planes of very different brightness is off by up to 3e-4, their similarity by
    less than 1e-4.

    Example:
        >>> black, grey = np.zeros((16, 16), np.uint8), np.full((16, 16), 100, np.uint8)
        >>> terms = SsimKernel().terms(black, grey)
        >>> round(terms.contrast, 3), round(terms.similarity, 5)
        (1.0, 0.00065)
    """

    def __init__(self, window: Window = WANG) -> None:
        self.window = window
        self._taps = window.kernel()
        rows, columns = TILE_ROWS + window.size - 1, TILE_COLUMNS + window.size - 1
        self._front, self._back = (np.empty((2 * rows, columns), np.float32) for _ in range(2))
        self._spare = np.empty((rows, columns), np.float32)

    def terms(self, x: Plane, y: Plane) -> Terms:
        """Compare two planes.

        Args:
            x: Shape (height, width), uint8 or float32, range [0, 255]; both sides at least the window's.
            y: Same shape and type.

        Raises:
            UsageError: The shapes differ or a side is smaller than the window.
        """
        similarity, contrast = self._mean_deficits(x, y, luminance=True)
        return Terms(1.0 - similarity, 1.0 - contrast)

    def contrast(self, x: Plane, y: Plane) -> float:
        """Return `terms(x, y).contrast` without the cost of the luminance."""
        return 1.0 - self._mean_deficits(x, y, luminance=False)[1]

    def _mean_deficits(self, x: Plane, y: Plane, *, luminance: bool) -> tuple[float, float]:
        halo = self.window.size - 1
        if x.shape != y.shape or min(x.shape) <= halo:
            raise UsageError(
                f"SSIM compares planes of equal shape and at least {halo + 1}x{halo + 1} samples;"
                f" got {x.shape[1]}x{x.shape[0]} and {y.shape[1]}x{y.shape[0]}"
            )
        rows, columns = x.shape[0] - halo, x.shape[1] - halo
        similarity = contrast = 0.0
        for top, bottom in _spans(rows, TILE_ROWS):
            for left, right in _spans(columns, TILE_COLUMNS):
                tile = np.s_[top : bottom + halo, left : right + halo]
                parts = self._tile(x[tile], y[tile], luminance)
                similarity += parts[0]
                contrast += parts[1]
        return similarity / (rows * columns), contrast / (rows * columns)

    def _tile(self, x: Plane, y: Plane, luminance: bool) -> tuple[float, float]:
        """Return the sums of 1 - SSIM and of 1 - contrast over the windows of a tile."""
        height, width = x.shape
        difference = self._spare.view(x.dtype)[:height, :width]
        cv2.absdiff(x, y, dst=difference)
        mean_x, mean_y, squares, error = self._filter(x, y, difference)
        level = self._spare[: mean_x.shape[0], : mean_x.shape[1]]
        level.fill(C1)
        cv2.accumulateSquare(mean_x, level)
        cv2.accumulateSquare(mean_y, level)
        shift = cv2.subtract(mean_x, mean_y, dst=mean_x)
        cv2.multiply(shift, shift, dst=shift)
        cv2.subtract(squares, level, dst=squares)
        cv2.subtract(error, shift, dst=error)
        contrast = cv2.divide(error, squares, dst=error)
        contrast_sum = _sum(contrast)
        if not luminance:
            return math.nan, contrast_sum
        lightness = cv2.divide(shift, level, dst=shift)
        lightness_sum = _sum(lightness)
        return lightness_sum + contrast_sum - _sum(cv2.multiply(lightness, contrast, dst=contrast)), contrast_sum

    def _filter(self, x: Plane, y: Plane, difference: Plane) -> Sequence[NDArray[Any]]:
        """Return the local means of x, y, x^2 + y^2 + C1 + C2 and (x - y)^2, where the window lies inside the tile."""
        (height, width), border = x.shape, self.window.size // 2
        front, back = self._front[: 2 * height, :width], self._back[: 2 * height, :width]
        squares, error = front[:height], front[height:]
        # C1 is taken off again with the squared means, which carry it for the luminance.
        squares.fill(C1 + self.window.contrast_constant)
        cv2.accumulateSquare(x, squares)
        cv2.accumulateSquare(y, squares)
        error.fill(0.0)
        cv2.accumulateSquare(difference, error)
        # The squares have been read once they are filtered; the means take their place in the cache.
        for source, target in ((front, back), (x, squares), (y, error)):
            cv2.sepFilter2D(source, cv2.CV_32F, self._taps, self._taps, dst=target, borderType=_ISOLATED)
        maps = (squares, error, back[:height], back[height:])
        return [plane[border:-border, border:-border] for plane in maps]


def _spans(length: int, longest: int) -> list[tuple[int, int]]:
    """Cut `range(length)` into spans of nearly equal length, none longer than `longest`."""
    step = math.ceil(length / math.ceil(length / longest))
    return [(start, min(start + step, length)) for start in range(0, length, step)]


def _sum(values: NDArray[Any]) -> float:
    """Sum of a plane, accumulated in float64."""
    return float(cv2.sumElems(values)[0])


class Pyramid:
    """A plane and its successive halvings, in buffers that are used again for the next plane of the same shape.

    Fresh memory for each frame costs as much as a fifth of the comparison itself (page faults).
    """

    def __init__(self, shape: tuple[int, int], scales: int = len(MS_WEIGHTS)) -> None:
        """Allocate for planes of one shape.

        Args:
            shape: Height and width of the planes to come.
            scales: How many there are, the plane itself included.
        """
        self._halved = [np.empty((shape[0] >> n, shape[1] >> n), np.float32) for n in range(1, scales)]
        self._strip = np.empty((TILE_ROWS, shape[1]), np.float32)

    def scales(self, plane: Plane) -> list[Plane]:
        """Return the plane, the means of its 2x2 blocks, the means of their 2x2 blocks, ...

        An odd last row or column is left out. Means are exact for uint8 and never rounded to integers.

        Args:
            plane: Shape as announced, uint8 or float32.

        Returns:
            Finest first; all but the first are overwritten by the next call.
        """
        scales = [plane]
        for halved in self._halved:
            self._halve(scales[-1], halved)
            scales.append(halved)
        return scales

    def _halve(self, plane: Plane, halved: NDArray[np.float32]) -> None:
        width = halved.shape[1]
        for top, bottom in _spans(halved.shape[0], TILE_ROWS // 2):
            strip: NDArray[Any] = plane[2 * top : 2 * bottom, : 2 * width]
            if strip.dtype != np.float32:
                np.copyto(self._strip[: len(strip), : 2 * width], strip)
                strip = self._strip[: len(strip), : 2 * width]
            cv2.resize(strip, (width, bottom - top), dst=halved[top:bottom], interpolation=cv2.INTER_AREA)


class MultiScaleSsim:
    """Computes SSIM and MS-SSIM of plane after plane with the same buffers, sharing the finest scale."""

    def __init__(self, kernel: SsimKernel | None = None) -> None:
        """Create the buffers.

        Args:
            kernel: Kernel with the published window, to share its buffers; None creates one.
        """
        self._kernel = kernel or SsimKernel(WANG)
        self._shape = (0, 0)
        self._pyramids: tuple[Pyramid, Pyramid] | None = None

    def terms(self, x: Plane, y: Plane) -> tuple[Terms, float]:
        """Return the terms at the finest scale, and MS-SSIM.

        MS-SSIM is the product of contrast ** weight over the four finer scales and of similarity ** weight at the
        coarsest. A negative mean (anti-correlated structure) has no real power and counts as 0, as torchmetrics does
        with `normalize="relu"`.

        Args:
            x: Shape (height, width), uint8 or float32, range [0, 255]; both sides at least `smallest_side()`.
            y: Same shape and type.

        Raises:
            UsageError: The shapes differ or the coarsest scale is smaller than the window.
        """
        if self._pyramids is None or x.shape != self._shape:
            self._shape = (x.shape[0], x.shape[1])
            self._pyramids = Pyramid(self._shape), Pyramid(self._shape)
        (x, *xs), (y, *ys) = (pyramid.scales(plane) for pyramid, plane in zip(self._pyramids, (x, y), strict=True))
        finest = self._kernel.terms(x, y)
        middle = [self._kernel.contrast(a, b) for a, b in zip(xs[:-1], ys[:-1], strict=True)]
        factors = [finest.contrast, *middle, self._kernel.terms(xs[-1], ys[-1]).similarity]
        return finest, weighted_product(factors)


def weighted_product(factors: Sequence[float]) -> float:
    """Combine the five scales to MS-SSIM, finest first; negative factors count as 0."""
    return math.prod(math.pow(max(factor, 0.0), weight) for factor, weight in zip(factors, MS_WEIGHTS, strict=True))


def smallest_side(window: Window = WANG) -> int:
    """Samples that a side needs for MS-SSIM: one whole window at the coarsest scale."""
    return window.size << (len(MS_WEIGHTS) - 1)
