"""The words of a plan: moves, what they are decided from, and changes of what is run. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from thbench.accel.denoiser import Denoiser, Schedule


class Kind(Enum):
    """What of the denoiser runs."""

    FULL = "full"
    """Everything."""
    SHALLOW = "shallow"
    """The last layer, on what entered it at the last full pass."""
    LED = "led"
    """The conditional half of everything; guidance is reused."""


class Inputs(Enum):
    """What the steps behind the first of a move are given, since their own latents are not known yet."""

    FIRST = "first"
    """The input of the first."""
    NOISE = "noise"
    """Where clean latent and noise of the step before would lead if they stayed."""
    RAW = "raw"
    """Where the raw prediction of the step before would lead if it were used in each step; the same for noise
    prediction, but not for velocities."""


@dataclass(frozen=True, slots=True)
class Move:
    """One evaluation of the denoiser."""

    first: int
    """Step that it predicts, 0 for the first."""
    count: int = 1
    """Consecutive steps that it predicts at once; above 1 only where `kind` is SHALLOW."""
    kind: Kind = Kind.FULL
    """What of the denoiser runs."""
    inputs: Inputs = Inputs.FIRST
    """What the steps behind the first are given."""


@dataclass(frozen=True, slots=True)
class Step:
    """What `on_step` is told after a denoising step."""

    index: int
    """0 for the first."""
    count: int
    """Steps of the schedule."""
    kind: Kind
    """What of the denoiser ran."""
    together: int
    """Steps that were predicted by the same evaluation."""
    deep: Any
    """What entered the last layer at the last full pass, in the denoiser's own type."""
    prediction: Tensor
    """What the denoiser predicted."""
    latent: Tensor
    """After the step."""


@dataclass(slots=True)
class Trace:
    """What has happened so far in one clip; a plan decides from it."""

    steps: int
    """Steps of the schedule."""
    kinds: list[Kind] = field(default_factory=list)
    """What ran at each step that is done."""
    deep_changes: list[float] = field(default_factory=list)
    """Relative change of `deep` from each full pass to the next; only for plans that watch it."""
    prediction_changes: list[float] = field(default_factory=list)
    """Relative change of the prediction from each step to the next; only for plans that watch."""

    @property
    def done(self) -> int:
        """Steps that are done."""
        return len(self.kinds)


class Change:
    """Alters what is run, whatever the plan; each method by default alters nothing."""

    def begins(self, denoiser: Denoiser, schedule: Schedule, noise: Tensor, condition: Any, plan: Plan) -> None:
        """Be told of a clip before it is denoised: what the loop was given, before any change.

        Args:
            denoiser: As given to `sample`.
            schedule: As given.
            noise: As given.
            condition: As given.
            plan: As given, this change included.
        """

    def denoiser(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser that takes the place of another, once per clip."""
        return denoiser

    def schedule(self, schedule: Schedule, noise: Tensor) -> Schedule:
        """Return the schedule that takes the place of another, once per clip that starts from some noise."""
        del noise
        return schedule

    def condition(self, denoiser: Denoiser, condition: Any, move: Move) -> Any:
        """Return the condition that a move is given."""
        del denoiser, move
        return condition


Predict = Callable[["list[Tensor]", "list[float]", Any, Any], "list[Tensor]"]
"""Latents and times of several steps, condition and `deep` to the prediction of the last layer for each step."""


class Together(Protocol):
    """How several steps are predicted at once."""

    def start(self, denoiser: Denoiser, changed: Callable[[Denoiser], Denoiser], /) -> Predict:
        """Return the function that predicts steps of a clip.

        Args:
            denoiser: With the plan's changes.
            changed: Makes these changes, for denoisers that `Together` brings itself.
        """
        ...


class Plan(Protocol):
    """Says which move is next."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What it alters, the first one innermost."""
        ...

    @property
    def together(self) -> Together | None:
        """How several steps are predicted at once; None for as one batch."""
        ...

    @property
    def watches(self) -> bool:
        """Whether it decides from `Trace.deep_changes` and `Trace.prediction_changes`."""
        ...

    def decide(self, trace: Trace, /) -> Move:
        """Return the move that starts at step `trace.done`, below `trace.steps`."""
        ...


PlanT = TypeVar("PlanT", bound=Plan)


def with_changes(plan: PlanT, *changes: Change) -> PlanT:
    """Return a plan (a dataclass) that alters some more."""
    return replace(plan, changes=(*plan.changes, *changes))  # type: ignore[type-var]
