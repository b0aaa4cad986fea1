"""Kernel Inception Distance: the squared maximum mean discrepancy of random subsets.

Source: Binkowski et al., "Demystifying MMD GANs", ICLR 2018. Unlike the Frechet distance it is unbiased, hence the
better choice for few samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from thbench.metrics.moments import DegenerateSetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

Rows: TypeAlias = "NDArray[np.float32] | NDArray[np.float64]"
BLOCK = 256
"""Rows of a kernel matrix at a time."""
Draw = Literal["first-then-second", "second-then-first"]
"""Which set's indices a subset draws first; with numpy's old generator this decides which samples it gets."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Polynomial kernel (gamma x.y + coef0)^degree."""

    degree: int = 3
    """Exponent."""
    gamma: float | None = None
    """Factor of the product; None is 1 / d."""
    coef0: float = 1.0
    """Added to it."""

    def __call__(self, first: Rows, second: Rows) -> NDArray[np.float64]:
        """Return the matrix (n, m) of kernel values of rows (n, d) and (m, d)."""
        gamma = 1 / first.shape[1] if self.gamma is None else self.gamma
        base = np.asarray(first, np.float64) @ np.asarray(second, np.float64).T
        base *= gamma
        base += self.coef0
        values: NDArray[np.float64] = base.copy()
        # Products are ten times as fast as numpy's power.
        for _ in range(self.degree - 1):
            values *= base
        return values


KID_KERNEL = Kernel()
JEDI_KERNEL = Kernel(degree=2, coef0=0.0)
"""(x.y / d)^2; JEDi is 100 times the biased estimate with it."""


@dataclass(frozen=True, slots=True)
class Subsets:
    """How subsets are drawn."""

    count: int = 100
    """Subsets."""
    size: int = 1000
    """Samples of each set in a subset."""
    seed: int = 2020
    """Of numpy's RandomState, whose sequence is fixed for good."""
    draw: Draw = "first-then-second"
    """Order of the two draws."""
    shrink: bool = False
    """Take the smaller set's size where it has fewer samples than `size`; otherwise that is an error."""


PROTOCOLS: Mapping[str, Subsets] = MappingProxyType(
    {
        "torch-fidelity": Subsets(),
        "shrinking": Subsets(shrink=True),
        "clean-fid": Subsets(seed=0, draw="second-then-first", shrink=True),
    }
)
"""Tool to its defaults; `shrinking` is torch-fidelity's with smaller subsets for small sets. clean-fid itself uses the
global generator without a seed; here it has one."""


class KernelDistance(NamedTuple):
    """Mean over the subsets."""

    value: float
    """Mean squared discrepancy; unbiased, so it may be slightly negative."""
    std: float
    """Population standard deviation over the subsets."""
    per_subset: NDArray[np.float64]
    """Shape (subsets,)."""


def kid(first: ArrayLike, second: ArrayLike, subsets: Subsets, kernel: Kernel = KID_KERNEL) -> KernelDistance:
    """Return the kernel distance of two sets of features.

    Args:
        first: Shape (n, d).
        second: Shape (m, d).
        subsets: How many, how large, which.
        kernel: The kernel.

    Raises:
        DegenerateSetError: A set is smaller than a subset, or holds NaN or infinity.
    """
    x, y = _checked(first, "first"), _checked(second, "second")
    size = min(subsets.size, len(x), len(y)) if subsets.shrink else subsets.size
    if size < 2 or min(len(x), len(y)) < size:
        raise DegenerateSetError(
            f"KID needs sets of at least {max(size, 2)} samples for its subsets; there are {len(x)} and {len(y)}"
        )
    pairs = list(draw_subsets(len(x), len(y), size, subsets))
    values = np.array(list(_discrepancies(x, y, pairs, kernel)))
    return KernelDistance(float(values.mean()), float(values.std()), values)


def draw_subsets(
    first: int, second: int, size: int, subsets: Subsets
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the indices into both sets, without replacement within a subset.

    Args:
        first: Samples of the first set.
        second: Samples of the second set.
        size: Samples of each in a subset.
        subsets: Number, seed and order.
    """
    random = np.random.RandomState(subsets.seed)
    for _ in range(subsets.count):
        if subsets.draw == "first-then-second":
            x = random.choice(first, size, replace=False)
            y = random.choice(second, size, replace=False)
        else:
            y = random.choice(second, size, replace=False)
            x = random.choice(first, size, replace=False)
        yield x, y


def squared_mmd(first: ArrayLike, second: ArrayLike, kernel: Kernel = KID_KERNEL, *, unbiased: bool = True) -> float:
    """Return the squared maximum mean discrepancy of two sets.

    Args:
        first: Shape (n, d).
        second: Shape (m, d).
        kernel: The kernel.
        unbiased: Leave out each sample's kernel with itself; otherwise the estimate is biased and not negative.

    Raises:
        DegenerateSetError: A set has fewer than two samples (one, if biased), or holds NaN or infinity.
    """
    x, y = _checked(first, "first"), _checked(second, "second")
    needed = 2 if unbiased else 1
    if min(len(x), len(y)) < needed:
        raise DegenerateSetError(f"this needs {needed} samples of each set; there are {len(x)} and {len(y)}")
    return _mmd(kernel(x, x), kernel(y, y), kernel(x, y), unbiased=unbiased)


def squared_mmd_without_each(
    first: Mapping[str, NDArray[np.float32]], second: Mapping[str, NDArray[np.float32]], kernel: Kernel = KID_KERNEL
) -> dict[str, float]:
    """The unbiased squared maximum mean discrepancy without each group, from one pass over all pairs.

    Args:
        first: Group to features, shape (n, d).
        second: The same for the other set; a group may be in one set alone.
        kernel: The kernel.

    Returns:
        Group to the discrepancy of what both sets hold beside it, names sorted.

    Raises:
        DegenerateSetError: Without a group, a set has fewer than two samples, or features hold NaN or infinity.
    """
    x = {name: _checked(rows, "first") for name, rows in first.items()}
    y = {name: _checked(rows, "second") for name, rows in second.items()}
    within = [_pair_sums(groups, kernel) for groups in (x, y)]
    between = {(a, b): _kernel_sum(x[a], y[b], kernel) for a in x for b in y}
    found = {}
    for out in sorted({*x, *y}):
        counts = [sum(len(rows) for name, rows in groups.items() if name != out) for groups in (x, y)]
        if min(counts) < 2:
            raise DegenerateSetError(f"without {out!r} the sets have {counts[0]} and {counts[1]} samples")
        parts = [math.fsum(v for pair, v in sums.items() if out not in pair) for sums in within]
        cross = math.fsum(v for pair, v in between.items() if out not in pair)
        inner = sum(part / (count * (count - 1)) for part, count in zip(parts, counts, strict=True))
        found[out] = inner - 2 * cross / (counts[0] * counts[1])
    return found


def _pair_sums(groups: Mapping[str, Rows], kernel: Kernel) -> dict[tuple[str, str], float]:
    """Sums of kernel values between groups, those of a sample with itself left out."""
    return {
        (a, b): _kernel_sum(rows, others, kernel, same=a == b)
        for a, rows in groups.items()
        for b, others in groups.items()
    }


def _kernel_sum(rows: Rows, others: Rows, kernel: Kernel, *, same: bool = False) -> float:
    """Sum of all kernel values; with `same`, those of a sample with itself are left out."""
    return math.fsum(float(values.sum()) for values in _kernel_blocks(rows, others, kernel, same=same))


def _kernel_blocks(rows: Rows, others: Rows, kernel: Kernel, *, same: bool = False) -> Iterator[NDArray[np.float64]]:
    """Rows of the kernel matrix in blocks, so that memory grows with the number of samples and not with its square.

    Args:
        rows: Shape (n, d).
        others: Shape (m, d).
        kernel: The kernel.
        same: Both are the same samples; the kernel of a sample with itself is then 0.
    """
    others = np.asarray(others, np.float64)
    for start in range(0, len(rows), BLOCK):
        values = kernel(rows[start : start + BLOCK], others)
        if same:
            each = np.arange(len(values))
            values[each, start + each] = 0.0
        yield values


def _discrepancies(
    x: Rows,
    y: Rows,
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    kernel: Kernel,
) -> Iterator[float]:
    size = len(pairs[0][0])
    # All kernel values once cost less than those of each subset unless the sets are far larger than the subsets.
    if max(len(x), len(y)) ** 2 <= len(pairs) * size**2:
        in_x, in_y = _membership([i for i, _ in pairs], len(x)), _membership([j for _, j in pairs], len(y))
        yield from _mmds_of_members(x, y, in_x, in_y, kernel).tolist()
    else:
        for i, j in pairs:
            yield _mmd(kernel(x[i], x[i]), kernel(y[j], y[j]), kernel(x[i], y[j]), unbiased=True)


def _membership(subsets: Sequence[NDArray[np.int64]], count: int) -> NDArray[np.float64]:
    """1 where a sample is in a subset, shape (count, subsets)."""
    members = np.zeros((count, len(subsets)))
    for column, subset in enumerate(subsets):
        members[subset, column] = 1.0
    return members


def _mmds_of_members(
    x: Rows,
    y: Rows,
    in_x: NDArray[np.float64],
    in_y: NDArray[np.float64],
    kernel: Kernel,
) -> NDArray[np.float64]:
    """The unbiased discrepancy of each subset, from sums over its members.

    With m the column of 0 and 1 of a subset, its kernel values sum to m' K m.
    """
    size = in_x[:, 0].sum()
    within = _sums(x, x, in_x, in_x, kernel, same=True) + _sums(y, y, in_y, in_y, kernel, same=True)
    between = _sums(x, y, in_x, in_y, kernel)
    return np.asarray(within / (size * (size - 1)) - 2 * between / size**2)


def _sums(
    rows: Rows,
    others: Rows,
    members: NDArray[np.float64],
    other_members: NDArray[np.float64],
    kernel: Kernel,
    *,
    same: bool = False,
) -> NDArray[np.float64]:
    """Sum of the kernel values between the members of each subset, shape (subsets,)."""
    total = np.zeros(members.shape[1])
    blocks = _kernel_blocks(rows, others, kernel, same=same)
    for start, values in zip(range(0, len(rows), BLOCK), blocks, strict=True):
        total += (members[start : start + BLOCK] * (values @ other_members)).sum(axis=0)
    return total


def _mmd(xx: NDArray[np.float64], yy: NDArray[np.float64], xy: NDArray[np.float64], *, unbiased: bool) -> float:
    within = 0.0
    for matrix in (xx, yy):
        count = len(matrix)
        if unbiased:
            within += (matrix.sum() - np.trace(matrix)) / (count * (count - 1))
        else:
            within += matrix.mean()
    return float(within - 2 * xy.mean())


def _checked(features: ArrayLike, name: str) -> Rows:
    """Return features in the precision that they have: a long set is turned into doubles where it is summed."""
    rows = np.asarray(features)
    if rows.dtype != np.float32:
        rows = rows.astype(np.float64, copy=False)
    if rows.ndim != 2:
        raise ValueError(f"the {name} set has shape {rows.shape}; it needs two axes, samples and dimensions")
    broken = int(np.count_nonzero(~np.isfinite(rows).all(axis=1)))
    if broken:
        raise DegenerateSetError(f"{broken} of {len(rows)} features of the {name} set hold NaN or infinity")
    return rows
