"""Weights and inputs that anybody can rebuild from a name, a shape and a salt.

Values come from numpy's PCG64 generator seeded with the CRC-32 of `salt/name`, so they depend neither on the order of
the names nor on the platform, and every tensor has values of its own.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MULTIPLIERS = frozenset({"weight", "gamma", "scale"})
"""Last parts of keys whose one-dimensional tensors multiply: centred on one instead of zero."""
VARIANCE = "running_var"
"""Centred on one and never below it."""
COUNTER = "num_batches_tracked"
"""Integer counter of batch normalisation: zero."""
SPREAD = np.float32(0.1)


def generator(name: str, salt: str) -> np.random.Generator:
    """Return the random generator that belongs to `name`."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(f"{salt}/{name}".encode())))


def tensor(key: str, shape: Sequence[int], salt: str) -> NDArray[Any]:
    """Return the tensor that the recipe puts under a key of a checkpoint.

    Args:
        key: Key in the published checkpoint.
        shape: Its shape.
        salt: Separates one set of weights from another.

    Returns:
        float32 array. Two or more axes: normal with standard deviation 1/sqrt(product of all axes but the first).
        Fewer: `0.1 n`, or `1 + 0.1 n` where the tensor multiplies, or `1 + 0.1 |n|` for a running variance. Counters
        are int64 zeros.
    """
    leaf = key.rpartition(".")[2]
    if leaf == COUNTER:
        return np.zeros(shape, dtype=np.int64)
    normal = np.asarray(generator(key, salt).standard_normal(tuple(shape), dtype=np.float32))
    if len(shape) >= 2:
        return normal / np.float32(math.sqrt(math.prod(shape[1:])))
    if leaf == VARIANCE:
        return np.asarray(1 + SPREAD * np.abs(normal), dtype=np.float32)
    return np.asarray((1 if leaf in MULTIPLIERS else 0) + SPREAD * normal, dtype=np.float32)


def state_dict(shapes: Mapping[str, Sequence[int]], salt: str) -> dict[str, NDArray[Any]]:
    """Return a whole checkpoint: key to tensor, for each key of `shapes`."""
    return {key: tensor(key, shape, salt) for key, shape in shapes.items()}


def uniform(name: str, shape: Sequence[int], low: float, high: float, salt: str) -> NDArray[np.float32]:
    """Return the recipe's uniform numbers for an input: float32 in [low, high)."""
    unit = generator(f"input/{name}", salt).random(tuple(shape), dtype=np.float32)
    return np.asarray(low + (high - low) * unit, dtype=np.float32)
