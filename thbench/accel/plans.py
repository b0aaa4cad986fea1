"""Plans: every step, and key steps with cached steps between them. Needs no torch.

Source: Long et al., "Lightning Fast Caching-based Parallel Denoising Prediction for Accelerating Talking Head
Generation", AAAI 2026 (arXiv 2509.00052), Lightning-fast Cache and Input Latent Estimation.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from thbench.accel.moves import Inputs, Kind, Move
from thbench.errors import UsageError

if TYPE_CHECKING:
    from thbench.accel.moves import Change, Together, Trace


@dataclass(frozen=True, slots=True)
class EveryStep:
    """The whole network at every step: the baseline."""

    changes: tuple[Change, ...] = ()
    """What it alters."""
    together: Together | None = None
    """Steps are never predicted at once."""
    watches: bool = False
    """Nothing is watched."""

    def decide(self, trace: Trace) -> Move:
        """Return a full pass."""
        return Move(trace.done)


@dataclass(frozen=True, slots=True)
class LightningCP:
    """Whole network at key steps; between them its last layer, on what entered it at the key step before.

    The last layer is given the current latent, time and condition. With `block` above 1 it predicts so many steps at
    once; their inputs are then estimated, since only that of the first is known.
    """

    key_steps: tuple[int, ...]
    """Rising, the first is 0."""
    block: int | None = 1
    """Most steps that are predicted at once: 1 is sequential, None is all between two key steps."""
    estimate_from: int | None = 0
    """First key step behind which inputs are estimated; before it all steps of a block are given the first one's input
    (the paper's threshold; it draws 10 of 40 steps for Hallo). None never estimates."""
    estimate: Inputs = Inputs.NOISE
    """How inputs are estimated: from clean latent and noise, or from the raw prediction. The paper writes noise; for
    velocities the two differ."""
    together: Together | None = None
    """How a block is predicted; None for as one batch."""
    changes: tuple[Change, ...] = ()
    """What it alters beside."""
    watches: bool = False
    """Nothing is watched."""

    def __post_init__(self) -> None:
        keys = self.key_steps
        if not keys or keys[0] != 0 or any(b <= a for a, b in pairwise(keys)):
            raise UsageError(f"key steps {keys}; they must rise and start with 0")
        if self.block is not None and self.block < 1:
            raise UsageError(f"blocks of {self.block} steps; at least 1 is allowed, or None for all between key steps")

    def decide(self, trace: Trace) -> Move:
        """Return a full pass at a key step, and else the cached steps up to the next one or the block's length.

        Raises:
            UsageError: A key step lies behind the last step.
        """
        keys, done = self.key_steps, trace.done
        if keys[-1] >= trace.steps:
            raise UsageError(
                f"key step {keys[-1]} of {trace.steps} denoising steps; allowed are 0 to {trace.steps - 1}"
            )
        following = bisect_right(keys, done)
        key, stop = keys[following - 1], keys[following] if following < len(keys) else trace.steps
        if key == done:
            return Move(done)
        count = min(stop - done, self.block or stop)
        estimated = count > 1 and self.estimate_from is not None and key >= self.estimate_from
        return Move(done, count, Kind.SHALLOW, self.estimate if estimated else Inputs.FIRST)


def uniform_keys(steps: int, interval: int) -> tuple[int, ...]:
    """Return every `interval`-th step, the first one included.

    Raises:
        UsageError: The interval is below 1.

    Example:
        >>> uniform_keys(7, 3)
        (0, 3, 6)
    """
    if interval < 1:
        raise UsageError(f"a key step every {interval} steps; at least every step (1) is allowed")
    return tuple(range(0, steps, interval))


def spread_keys(steps: int, count: int) -> tuple[int, ...]:
    """Return `count` key steps at equal distances, as nearly as steps are whole.

    Raises:
        UsageError: There are fewer steps than key steps, or none.

    Example:
        >>> spread_keys(10, 4)
        (0, 2, 5, 7)
    """
    if not 1 <= count <= steps:
        raise UsageError(f"{count} key steps of {steps} denoising steps; allowed are 1 to {steps}")
    return tuple(index * steps // count for index in range(count))
