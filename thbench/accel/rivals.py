"""Published rivals of LightningCP as plans of the same loop, and plans beyond the paper. Needs no torch.

Source: horseee/DeepCache; hutaiHang/Faster-Diffusion; Lv et al., "FasterCache", ICLR 2025; Liu et al., "TeaCache", CVPR
2025, for the idea of adding up changes until a bound is passed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from thbench.accel.changes import CachedGuidance, Cut, EncoderPropagation, PriorNoise
from thbench.accel.moves import Kind, Move
from thbench.accel.plans import EveryStep, LightningCP, uniform_keys
from thbench.errors import UsageError

if TYPE_CHECKING:
    from thbench.accel.moves import Change, Plan, Together, Trace

FASTER_DIFFUSION_KEYS = (0, 1, 2, 3, 5, 10, 15, 25, 35)
"""Key steps of 50 that Faster Diffusion publishes (its mode 50ls)."""
PUBLISHED_PRIOR = PriorNoise()
"""The initial noise that Faster Diffusion adds at low times."""
REUSED = CachedGuidance()
"""Guidance of the last pass of both halves."""


def uniform(steps: int, interval: int) -> LightningCP:
    """Return the whole network at every `interval`-th of `steps` steps and its last layer between: uniform caching."""
    return LightningCP(uniform_keys(steps, interval))


def deep_cache(key_steps: tuple[int, ...], branch: Literal["plug-in", "original"] = "original") -> LightningCP:
    """Return DeepCache at some key steps.

    Args:
        key_steps: Rising, the first is 0; `uniform_keys` gives the published ones.
        branch: Which layers a cached step runs. `plug-in`: the last up layer (branch 0 of the published helper), which
            are the same layers as LightningCP's. `original`: the last two and the first down layer (the published
            implementation at (0, 0), which is branch 1 of the helper), as in LightningCP's Table 1.
    """
    return LightningCP(key_steps, changes=(Cut(2),) if branch == "original" else ())


def faster_diffusion(key_steps: tuple[int, ...], prior: PriorNoise | None = PUBLISHED_PRIOR) -> LightningCP:
    """Return Faster Diffusion: the decoder of all steps behind a key step as one batch, on the key step's encoder.

    Args:
        key_steps: Rising, the first is 0; `faster_diffusion_keys` scales the published ones.
        prior: Initial noise that is added at low times; None adds none.
    """
    changes: tuple[Change, ...] = (EncoderPropagation(),) if prior is None else (EncoderPropagation(), prior)
    return LightningCP(key_steps, block=None, estimate_from=None, changes=changes)


def faster_diffusion_keys(steps: int, published: int = 50) -> tuple[int, ...]:
    """Return the published key steps of 50, scaled to another number of steps; some may fall together.

    Example:
        >>> faster_diffusion_keys(40)
        (0, 1, 2, 4, 8, 12, 20, 28)
    """
    return tuple(sorted({key * steps // published for key in FASTER_DIFFUSION_KEYS}))


def fewer_steps(steps: int, share: float) -> int:
    """Return how many steps of the whole network cost at most a share of `steps` of them; at least 1.

    Args:
        steps: Of the unaccelerated schedule.
        share: Cost of the accelerated clip over that of the unaccelerated one, above 0.

    Example:
        >>> fewer_steps(40, 745.72 / 2158.08)
        13
    """
    if not 0 < share <= 1:
        raise UsageError(f"a share of {share} of the cost; allowed is above 0 and at most 1")
    # A share that is a whole number of steps must not lose one to rounding.
    return max(1, math.floor(steps * share + 1e-9))


@dataclass(frozen=True, slots=True)
class CachedGuidancePlan:
    """Any plan, with full passes of the conditional half alone except for every `refresh`-th one."""

    inner: Plan
    """Says which moves are made."""
    refresh: int
    """Every how many full passes both halves are run, the first one included."""
    first_steps: int = 0
    """Full passes at steps below this one always run both halves."""
    changes: tuple[Change, ...] = (REUSED,)
    """What it alters; `cached_guidance` adds those of the inner plan."""
    together: Together | None = None
    """How a block is predicted; None for as one batch."""
    watches: bool = False
    """Nothing is watched."""

    def __post_init__(self) -> None:
        if self.refresh < 1:
            raise UsageError(f"guidance refreshed every {self.refresh} passes; at least 1 is allowed")
        if self.inner.watches:
            raise UsageError(
                f"cached guidance with {type(self.inner).__name__}, which compares features of both halves; allowed "
                "are plans that do not watch"
            )

    def decide(self, trace: Trace) -> Move:
        """Return the inner plan's move, or the conditional half of it."""
        move = self.inner.decide(trace)
        passes = [kind for kind in trace.kinds if kind is not Kind.SHALLOW]
        since = passes[::-1].index(Kind.FULL) if Kind.FULL in passes else self.refresh
        both = not passes or since + 1 >= self.refresh or move.first < self.first_steps
        return move if move.kind is not Kind.FULL or both else replace(move, kind=Kind.LED)


def cached_guidance(refresh: int, inner: Plan | None = None, first_steps: int = 0) -> CachedGuidancePlan:
    """Return a plan that reuses guidance between refreshes; over every step, or over another plan's full passes."""
    under = inner or EveryStep()
    return CachedGuidancePlan(under, refresh, first_steps, changes=(*under.changes, REUSED), together=under.together)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Decides while it runs: the next key step comes before the cached feature is expected to have changed too much.

    From one key step to the next the relative change of the cached feature is measured; over the steps between, it is
    taken to have grown evenly. The predictions, whose change is measured at every step, say whether it goes faster or
    slower now: the expected change since the last key step is the measured rate times how much the predictions have
    moved since, over how much they moved per step while the rate was measured. A key step is taken where that would
    pass the bound. The first two steps are key steps, since before them there is no rate.
    """

    bound: float
    """Largest relative change (L2) of the cached feature that is tolerated, as expected."""
    longest: int = 8
    """Most cached steps in a row."""
    changes: tuple[Change, ...] = ()
    """What it alters beside."""
    together: Together | None = None
    """Steps are not predicted at once."""
    watches: bool = True
    """It decides from measured changes."""

    def __post_init__(self) -> None:
        if not self.bound > 0 or self.longest < 1:
            raise UsageError(
                f"a bound of {self.bound} and {self.longest} cached steps; the bound must be above 0, the steps at "
                "least 1"
            )

    def decide(self, trace: Trace) -> Move:
        """Return a full pass, or one of the last layer."""
        keys = [index for index, kind in enumerate(trace.kinds) if kind is not Kind.SHALLOW]
        if len(keys) < 2:
            return Move(trace.done)
        waited = trace.done - keys[-1]
        if waited > self.longest or self._expected(trace, keys) > self.bound:
            return Move(trace.done)
        return Move(trace.done, kind=Kind.SHALLOW)

    def _expected(self, trace: Trace, keys: list[int]) -> float:
        """Return the change of the cached feature that is expected at the step to come."""
        before, last = keys[-2:]
        rate = trace.deep_changes[-1] / (last - before)
        # prediction_changes[i] leads from step i to step i + 1; the step to come is taken to be like the one before.
        then = sum(trace.prediction_changes[before:last]) / (last - before)
        since = trace.prediction_changes[last:]
        now = [*since, (since or [then])[-1]]
        return rate * (sum(now) / then if then > 0 else len(now))
