"""The Frechet distance between two sets of features, from statistics that can be merged.

FD = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), for means m and covariances S (Heusel et al., "GANs Trained
by a Two Time-Scale Update Rule", NeurIPS 2017, equation 6). The last trace is the sum of the singular values of F1 F2^T
for any factors with S = F^T F, so no matrix square root is ever taken:

- fewer samples than dimensions: F is the centred features themselves, which is exact for singular covariances;
- otherwise S is a sum of outer products, F its Cholesky factor, and the sum is that of the roots of the eigenvalues of
  F1 S2 F1^T; where a covariance is singular in spite of many samples, F comes from its eigenvectors.

Everything is float64: in float32 singular covariances give values that are off by several percent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.metrics.moments import DegenerateSetError, Moments, merge, moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-11
"""Share of the covariances' traces below which a distance says only how numbers were added."""


class FrechetDistance(NamedTuple):
    """A distance and its parts."""

    mean_term: float
    """Squared distance of the means."""
    trace_first: float
    """Trace of the first covariance."""
    trace_second: float
    """Trace of the second covariance."""
    trace_root: float
    """Trace of the root of the product of the covariances."""
    value: float
    """mean_term + trace_first + trace_second - 2 trace_root; 0 where that is mere rounding, as in equal sets."""


def frechet_distance(first: Moments, second: Moments, *, ddof: int) -> FrechetDistance:
    """Return the Frechet distance of two sets.

    Args:
        first: One set.
        second: The other; the distance is symmetric.
        ddof: Covariances are divided by N - ddof: 1 for pytorch-fid, clean-fid, torch-fidelity and torchmetrics, 0 for
            NVIDIA's statistics and with them StyleGAN-V's FVD.

    Raises:
        DegenerateSetError: A set has fewer than two samples, or all its samples are equal.
        ValueError: The dimensions differ.
    """
    if first.dimension != second.dimension:
        raise ValueError(f"sets of {first.dimension} and {second.dimension} dimensions have no distance")
    for part, name in ((first, "first"), (second, "second")):
        _require_spread(part, name)
    gap = first.mean - second.mean
    divisors = first.count - ddof, second.count - ddof
    mean_term = float(gap @ gap)
    traces = first.variance / divisors[0], second.variance / divisors[1]
    root = _trace_root(first, second) / float(np.sqrt(float(divisors[0]) * float(divisors[1])))
    value = mean_term + traces[0] + traces[1] - 2 * root
    return FrechetDistance(mean_term, *traces, root, 0.0 if abs(value) < ROUNDING * sum(traces) else value)


def _require_spread(part: Moments, name: str) -> None:
    if part.count < 2:
        raise DegenerateSetError(
            f"the {name} set has {part.count} sample{'' if part.count == 1 else 's'}; "
            "a Frechet distance needs at least 2, and says something only from some hundreds on"
        )
    # Equal values differ from their computed mean by a few roundings.
    if part.variance <= part.count * float(part.mean @ part.mean) * (16 * np.finfo(np.float64).eps) ** 2:
        raise DegenerateSetError(
            f"all {part.count} samples of the {name} set are equal, so it has no covariance; "
            "is it one still image, or did the extractor see nothing?"
        )


def small_sample_warning(count: int, dimension: int) -> str | None:
    """Return what a reader should know of a distance from `count` samples, or None from ten per dimension on."""
    if count <= dimension:
        return (
            f"only {count} samples for {dimension} dimensions: the covariance is singular and the distance "
            "mostly bias; compare only values of equal N, and use KID"
        )
    if count < 10 * dimension:
        return f"{count} samples for {dimension} dimensions: the distance is biased upwards; compare only equal N"
    return None


def split_floor(parts: Sequence[Moments], *, ddof: int, seed: int = 0) -> FrechetDistance:
    """Return the distance between two random halves of a set: what equal distributions would score at half its size.

    Args:
        parts: Moments of independent groups, e.g. of clips; a group is never split.
        ddof: As in `frechet_distance`.
        seed: Of the split.

    Raises:
        DegenerateSetError: There are fewer than two groups, or a half cannot be measured.
    """
    if len(parts) < 2:
        raise DegenerateSetError(f"a floor needs two groups to compare; there is {len(parts)}")
    order = np.random.default_rng(seed).permutation(len(parts))
    half = len(parts) // 2
    return frechet_distance(merge(parts[i] for i in order[:half]), merge(parts[i] for i in order[half:]), ddof=ddof)


class Extrapolation(NamedTuple):
    """FID-infinity and the points that it was fitted to."""

    value: float
    """Intercept of the line over 1/N."""
    slope: float
    """Bias per 1/N."""
    counts: tuple[int, ...]
    """N of each point."""
    distances: tuple[float, ...]
    """Distance at each N."""


def fid_infinity(
    features: ArrayLike, reference: Moments, *, ddof: int = 1, points: int = 15, smallest: int = 5000, seed: int = 0
) -> Extrapolation:
    """Extrapolate the distance to infinitely many samples.

    The distance of N samples is fitted as a line over 1/N, N from `smallest` to all, each a random subset. The
    relation is linear only for N above the dimension. Source: Chong and Forsyth, "Effectively Unbiased FID and
    Inception Score and where to find them", CVPR 2020.

    Args:
        features: Shape (N, d): the generated set.
        reference: Moments of the real set.
        ddof: As in `frechet_distance`.
        points: How many N.
        smallest: Smallest N.
        seed: Of the subsets.

    Raises:
        DegenerateSetError: There are too few samples.
    """
    rows = np.asarray(features, dtype=np.float64)
    count, dimension = rows.shape
    if smallest <= dimension or count < smallest + points - 1:
        raise DegenerateSetError(
            f"FID-infinity with {points} points from N = {smallest} needs N above the {dimension} dimensions "
            f"and at least {smallest + points - 1} samples; there are {count}"
        )
    random = np.random.default_rng(seed)
    counts = np.linspace(smallest, count, points).astype(int)
    distances = [
        frechet_distance(moments(rows[random.permutation(count)[:n]]), reference, ddof=ddof).value for n in counts
    ]
    slope, intercept = np.polyfit(1 / counts, distances, 1)
    return Extrapolation(float(intercept), float(slope), tuple(map(int, counts)), tuple(distances))


def _trace_root(first: Moments, second: Moments) -> float:
    """Return tr((C1 C2)^(1/2)) of the undivided covariances C."""
    if first.rows is not None and second.rows is not None:
        return _nuclear_norm(first.centred() @ second.centred().T)
    if first.rows is None and second.rows is not None:
        first, second = second, first
    if second.scatter is None:
        raise ValueError("a set of many samples needs a scatter")
    if first.rows is not None:
        moving = _moving(second.scatter)
        return _nuclear_norm(first.centred()[:, moving[1][0]] @ _factor(second.scatter[moving]).T)
    if first.scatter is None:
        raise ValueError("a set of many samples needs a scatter")
    return _trace_root_of_scatters(first.scatter, second.scatter)


def _trace_root_of_scatters(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    import torch

    # A coordinate that never varies in one set adds nothing, and would make that set's covariance singular.
    moving = _moving(first, second)
    first, second = first[moving], second[moving]
    lower = _cholesky(first)
    if lower is None or _cholesky(second) is None:
        return _nuclear_norm(_factor(first) @ _factor(second).T)
    half = torch.from_numpy(lower)
    product = half.T @ torch.from_numpy(second) @ half
    eigenvalues = torch.linalg.eigvalsh((product + product.T) / 2)
    return float(eigenvalues.clamp_min(0).sqrt().sum())


def _nuclear_norm(matrix: NDArray[np.float64]) -> float:
    import torch

    return float(torch.linalg.svdvals(torch.from_numpy(matrix)).sum())


def _moving(*scatters: NDArray[np.float64]) -> tuple[NDArray[np.intp], ...]:
    """Return the index of the rows and columns of the coordinates that vary in each of the sets."""
    varies = np.all([np.diag(scatter) > 0 for scatter in scatters], axis=0)
    return np.ix_(varies, varies)


def _cholesky(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the lower Cholesky factor, or None if the matrix is not positive definite in float64."""
    import torch

    lower, info = torch.linalg.cholesky_ex(torch.from_numpy(matrix))
    return lower.numpy() if int(info) == 0 else None


def _factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F of shape (rank, d) with F^T F = `matrix`, which is positive semidefinite.

    Eigenvalues that rounding alone can have made are dropped: the root of each would count as if it were real.
    """
    import torch

    lower = _cholesky(matrix)
    if lower is not None:
        return lower.T
    eigenvalues, vectors = (tensor.numpy() for tensor in torch.linalg.eigh(torch.from_numpy(matrix)))
    real = eigenvalues > len(matrix) * np.finfo(np.float64).eps * eigenvalues[-1]
    factor: NDArray[np.float64] = (vectors[:, real] * np.sqrt(eigenvalues[real])).T
    return factor
