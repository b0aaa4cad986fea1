"""The count of a whole workload: every network, and a sampler loop under any plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from thbench.accel.moves import Kind, Move, Trace
from thbench.accel.named import Setting, planned, steps_of
from thbench.accel.plans import EveryStep
from thbench.cost.counted import WorkCount
from thbench.cost.flops import Tally, count_part, part_of, tally, tensors_in
from thbench.errors import MethodError, UsageError
from thbench.registry import METHODS
from thbench.spec import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.accel.moves import Plan
    from thbench.cost.counted import PartCount
    from thbench.cost.offer import Denoising, Offer, Provider
    from thbench.run.suite import Variant

EVERY_STEP = EveryStep()


@dataclass(frozen=True, slots=True)
class Counted:
    """A part with the operations that it is made of, for bounds on a machine."""

    part: PartCount
    tally: Tally


def count(offer: Offer, variant: str, plan: Plan = EVERY_STEP) -> tuple[WorkCount, tuple[Counted, ...]]:
    """Count the workload of a method.

    Args:
        offer: Its networks.
        variant: Its name, for the record.
        plan: What of the denoiser runs at each step.

    Returns:
        The count, and its parts with their operations.

    Raises:
        MethodError: The plan decides from values, which meta tensors do not have, or does not fit the method.
    """
    dtype = dtype_of(offer.dtype)
    parts = [
        Counted(*count_part(p.name, p.module, p.call, inputs=p.inputs, calls=p.calls, dtype=dtype)) for p in offer.parts
    ]
    if offer.denoising is not None:
        parts += count_loop(offer.denoising, plan, dtype)
    work = WorkCount(
        variant=variant,
        workload=offer.workload,
        frames=offer.frames,
        parts=tuple(counted.part for counted in parts),
        uncounted=offer.uncounted,
    )
    return work, tuple(parts)


def count_variants(variants: Sequence[Variant]) -> tuple[Offer, dict[str, tuple[WorkCount, tuple[Counted, ...]]]]:
    """Count a method unaccelerated and accelerated.

    Args:
        variants: Of one method and preset.

    Returns:
        What the method offers, and name of a variant to its count and its parts.

    Raises:
        UsageError: The method offers nothing, or has no such acceleration.
        MethodError: See `count`.
    """
    offer = offer_of(variants[0].method, variants[0].preset)
    found = {}
    for variant in variants:
        changed, plan = accelerated(offer, variant.accelerations)
        found[variant.name] = count(changed, variant.name, plan)
    return offer, found


def offer_of(method: str, preset: str) -> Offer:
    """The networks that a method offers.

    Raises:
        UsageError: It offers none.
    """
    spec = METHODS[method]
    if spec.flops is None:
        raise UsageError(
            f"method {method!r} offers no networks for counting; those that do: "
            + (", ".join(name for name, s in METHODS.items() if s.flops) or "none")
        )
    provider: Provider = load(spec.flops, purpose=f"counting method {method!r}")
    return provider(preset)


def accelerated(offer: Offer, accelerations: Sequence[str]) -> tuple[Offer, Plan]:
    """The offer and the plan under some accelerations, as the method's own factory is given them.

    Raises:
        UsageError: They do not go together, or the method has no sampler loop.
        MethodError: One of them cannot be applied to the method.
    """
    if not accelerations:
        return offer, EVERY_STEP
    loop = offer.denoising
    if loop is None:
        raise UsageError(f"accelerations {', '.join(accelerations)} change a sampler loop, and this method has none")
    steps = steps_of(accelerations, loop.steps, loop.key_steps)
    setting = Setting(steps, key_steps=loop.key_steps, foreground=loop.foreground)
    return replace(offer, denoising=replace(loop, steps=steps)), planned(accelerations, setting)


def dtype_of(name: str) -> torch.dtype:
    """The number format of that name.

    Raises:
        MethodError: torch has none of that name.
    """
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise MethodError(f"number format {name!r} is none of torch's; write float32, float16 or bfloat16")
    return dtype


def count_loop(denoising: Denoising, plan: Plan, dtype: torch.dtype) -> list[Counted]:
    """Count a sampler loop; steps that run the same operations are one part.

    Each kind of step is run once on meta tensors and counted as often as the plan asks for it.

    Raises:
        MethodError: See `count`.
    """
    if plan.watches:
        raise MethodError(
            "operations of a plan that decides from values cannot be counted in advance; count the steps of a real run"
        )
    view = denoising.denoiser
    for change in plan.changes:
        view = change.denoiser(view)
    time = torch.empty(len(denoising.noise), device="meta")
    deep: Any = None
    deeps: dict[tuple[Any, ...], Any] = {}
    kinds: dict[tuple[Any, ...], tuple[PartCount, Tally]] = {}
    times: Counter[tuple[Any, ...]] = Counter()
    for move in moves_of(plan, denoising.steps):
        condition = denoising.condition
        for change in plan.changes:
            condition = change.condition(view, condition, move)
        # What a cached step does depends on what was kept.
        kept = deep if move.kind is Kind.SHALLOW else ()
        key = (move.kind, *(tuple(t.shape) for t in tensors_in((condition, kept))))
        # A batch of cached steps does the work of each of them.
        times[key] += move.count
        if key in kinds:
            deep = deeps.get(key, deep)
            continue
        found, result = tally(partial(_run, view, move, denoising.noise, time, condition, deep), dtype=dtype)
        if move.kind is not Kind.SHALLOW:
            deep = deeps[key] = result[1]
        touched = (denoising.noise, condition, kept, result)
        part = part_of(found, _named(denoising.name, move.kind, kinds), denoising.module, touched, dtype=dtype)
        kinds[key] = (part, found)
    return [
        Counted(part.model_copy(update={"calls": denoising.loops * times[key]}), found)
        for key, (part, found) in kinds.items()
    ]


def moves_of(plan: Plan, steps: int) -> Sequence[Move]:
    """The moves of a plan that does not look at values."""
    trace, moves = Trace(steps), []
    while trace.done < steps:
        move = plan.decide(trace)
        moves.append(move)
        trace.kinds.extend([move.kind] * move.count)
    return moves


def _run(view: Any, move: Move, noise: torch.Tensor, time: torch.Tensor, condition: Any, deep: Any) -> Any:
    """One evaluation of the denoiser for one step."""
    match move.kind:
        case Kind.FULL:
            return view.full(noise, time, condition)
        case Kind.LED:
            return view.led(noise, time, condition, deep)
        case Kind.SHALLOW:
            return view.shallow(noise, time, condition, deep)


def _named(name: str, kind: Kind, known: dict[tuple[Any, ...], Any]) -> str:
    """Name of a kind of step: the network's own for the first, with what runs of it for the others."""
    same = sum(1 for key in known if key[0] is kind)
    label = name if kind is Kind.FULL else f"{name}, {kind.value}"
    return f"{label} ({same + 1})" if same else label
