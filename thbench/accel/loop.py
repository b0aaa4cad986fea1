"""The one sampler loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from thbench.accel.denoiser import Estimating, Led, able
from thbench.accel.moves import Inputs, Kind, Move, Step, Trace
from thbench.accel.plans import EveryStep
from thbench.accel.together import Batched, times_of
from thbench.accel.tree import relative_change
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thbench.accel.denoiser import Denoiser, Schedule
    from thbench.accel.moves import Plan, Predict

EVERY_STEP = EveryStep()


def sample(
    denoiser: Denoiser,
    schedule: Schedule,
    noise: Tensor,
    condition: Any,
    plan: Plan = EVERY_STEP,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Denoise a clip from pure noise.

    Everything that is remembered between steps lives in this call: the next clip starts afresh, and an exception leaves
    nothing behind.

    Args:
        denoiser: Predicts; guidance included.
        schedule: Which times are visited, and how a latent moves from one to the next.
        noise: The latents to start from, shape (B, ...).
        condition: What is generated from, in the denoiser's own type.
        plan: What of the denoiser runs at each step.
        on_step: Told of each step once it is done, for progress, timing and counting.

    Returns:
        Clean latents, shape (B, ...).

    Raises:
        UsageError: The plan does not fit the schedule.
        MethodError: Denoiser or schedule lack what the plan needs.
    """

    def changed(inner: Denoiser) -> Denoiser:
        return reduce(lambda view, change: change.denoiser(view), plan.changes, inner)

    for change in plan.changes:
        change.begins(denoiser, schedule, noise, condition, plan)
    view = changed(denoiser)
    for change in plan.changes:
        schedule = change.schedule(schedule, noise)
    clip = _Clip(view, schedule, condition, plan, (plan.together or Batched()).start, changed, noise)
    while clip.trace.done < clip.trace.steps:
        move = _checked(plan.decide(clip.trace), clip.trace)
        predictions = clip.predictions(move)
        for index, prediction in enumerate(predictions, start=move.first):
            clip.advance(index, prediction, move.kind)
            if on_step is not None:
                on_step(Step(index, clip.trace.steps, move.kind, move.count, clip.deep, prediction, clip.latent))
    return clip.latent


def _checked(move: Move, trace: Trace) -> Move:
    """Refuse what no plan may ask for; plans may come from anywhere."""
    fits = move.first == trace.done and 1 <= move.count <= trace.steps - trace.done
    starts = move.kind is Kind.FULL or trace.done > 0
    if not fits or not starts or (move.count > 1 and move.kind is not Kind.SHALLOW):
        raise UsageError(
            f"the plan asks for {move} after {trace.done} of {trace.steps} steps; moves follow each other, the first "
            "is a full pass, and only shallow ones predict several steps at once"
        )
    return move


@dataclass(slots=True)
class _Clip:
    """What is known while a clip is denoised."""

    denoiser: Denoiser
    schedule: Schedule
    condition: Any
    plan: Plan
    start: Callable[[Denoiser, Callable[[Denoiser], Denoiser]], Predict]
    changed: Callable[[Denoiser], Denoiser]
    latent: Tensor
    deep: Any = None
    trace: Trace = field(init=False)
    together: Predict | None = None
    last: tuple[int, Tensor, Tensor] | None = None
    """Step, its input and what was predicted, of the step before."""

    def __post_init__(self) -> None:
        self.trace = Trace(len(self.schedule.times))

    def predictions(self, move: Move) -> list[Tensor]:
        """Return the predictions of a move's steps."""
        condition = self.condition
        for change in self.plan.changes:
            condition = change.condition(self.denoiser, condition, move)
        if move.kind is not Kind.SHALLOW:
            return [self._whole(move, condition)]
        times = [self.schedule.times[index] for index in range(move.first, move.first + move.count)]
        if move.count == 1:
            return [self.denoiser.shallow(self.latent, times_of(self.latent, times[0]), condition, self.deep)]
        if self.together is None:
            self.together = self.start(self.denoiser, self.changed)
        return self.together(self._inputs(move), times, condition, self.deep)

    def advance(self, index: int, prediction: Tensor, kind: Kind) -> None:
        """Take one step."""
        if self.plan.watches and self.last is not None:
            self.trace.prediction_changes.append(relative_change(self.last[2], prediction))
        self.last = (index, self.latent, prediction)
        self.latent = self.schedule.step(index, self.latent, prediction)
        self.trace.kinds.append(kind)

    def _whole(self, move: Move, condition: Any) -> Tensor:
        time, before = times_of(self.latent, self.schedule.times[move.first]), self.deep
        if move.kind is Kind.FULL:
            prediction, self.deep = self.denoiser.full(self.latent, time, condition)
        else:
            led = able(self.denoiser, Led, "a pass of the conditional half alone")  # type: ignore[type-abstract]
            prediction, self.deep = led.led(self.latent, time, condition, before)
        if self.plan.watches and before is not None:
            self.trace.deep_changes.append(relative_change(before, self.deep))
        return prediction

    def _inputs(self, move: Move) -> list[Tensor]:
        """Return the inputs of several steps: the first is known, and the others are estimated or equal to it."""
        if move.inputs is Inputs.FIRST or self.last is None:
            return [self.latent] * move.count
        index, latent, prediction = self.last
        inputs = [self.latent]
        for later in range(move.first + 1, move.first + move.count):
            if move.inputs is Inputs.RAW:
                inputs.append(self.schedule.step(later - 1, inputs[-1], prediction))
            else:
                estimating = able(self.schedule, Estimating, "input latent estimation")  # type: ignore[type-abstract]
                inputs.append(estimating.estimate(index, later, latent, prediction))
        return inputs
