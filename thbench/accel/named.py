"""Accelerations by name: `hallo@mini+lightningcp+dfa` to a plan. Needs no torch until a change needs it.

A method that samples takes the names from its variant (`factory(preset=..., device=..., accelerations=(...))`), asks
`steps_of` how many steps its schedule is to have, and `planned` for the plan of a clip:

    steps = steps_of(names, config.steps)
    plan = planned(names, Setting(steps, key_steps=config.key_steps, foreground=mask))
    latents = sample(denoiser, sampler(steps), noise, condition, plan, on_step)

Each factory takes the plan so far and the setting, and returns the next plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from thbench.accel.changes import ForegroundAttention, ReferenceRemoval
from thbench.accel.moves import Change, Plan, with_changes
from thbench.accel.plans import EveryStep, LightningCP, spread_keys
from thbench.accel.rivals import (
    Adaptive,
    cached_guidance,
    deep_cache,
    faster_diffusion,
    fewer_steps,
    uniform,
)
from thbench.errors import MethodError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from thbench.accel.denoiser import Denoiser, Schedule

KEY_SHARE = 11 / 40
"""Key steps over steps where a method brings none of its own: those of Hallo in the paper."""
THRESHOLD_SHARE = 10 / 40
"""Steps over steps before which inputs are not estimated: as the paper draws it for Hallo."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What an acceleration may know of the method and the clip."""

    steps: int
    """Denoising steps of the schedule, after `steps_of`."""
    key_steps: tuple[int, ...] | None = None
    """Calibrated for the method; None spreads `KEY_SHARE` of the steps evenly. They are for the unaccelerated number
    of steps."""
    foreground: Tensor | None = None
    """Foreground of the clip's portrait, (h, w) of the latent, bool; None where the method has no such picture."""
    places: Sequence[str] | None = None
    """Layers that read no reference under `refdrop`; None for the last one."""
    bound: float = 0.1
    """Relative change of the cached feature that `adaptive` tolerates."""

    @property
    def keys(self) -> tuple[int, ...]:
        """Key steps, the method's own where it has them."""
        if self.key_steps is not None:
            return self.key_steps
        return spread_keys(self.steps, max(1, round(self.steps * KEY_SHARE)))


Factory = Callable[[Plan, Setting], Plan]
"""What `AccelerationSpec.factory` names."""


def planned(names: Sequence[str | Change], setting: Setting) -> Plan:
    """Return the plan of some accelerations, applied in order.

    Args:
        names: Of the registry; or changes themselves, for what has no name.
        setting: Of the method and the clip.

    Raises:
        UsageError: A name is unknown, comes twice, or two of them decide which steps run.
        MethodError: One of them cannot be applied to this method.
    """
    from thbench.registry import ACCELERATIONS
    from thbench.spec import load

    twice = sorted({name for name in names if isinstance(name, str) and names.count(name) > 1})
    if twice:
        raise UsageError(f"acceleration {', '.join(twice)} is named twice; name each once")
    plan: Plan = EveryStep()
    for name in names:
        if isinstance(name, Change):
            plan = _changed(plan, name)
            continue
        factory: Factory = load(ACCELERATIONS[name].factory, purpose=f"acceleration {name!r}")
        plan = factory(plan, setting)
    return plan


def steps_of(
    names: Sequence[str | Change], steps: int, key_steps: tuple[int, ...] | None = None, cached: float = 0.1
) -> int:
    """Return how many steps the schedule is to have: fewer under `fewer-steps`, and as many as ever otherwise.

    Args:
        names: Accelerations.
        steps: Unaccelerated.
        key_steps: As in `Setting`.
        cached: Operations of a cached step over those of a full one; `fewer-steps` spends what LightningCP would.
    """
    if "fewer-steps" not in names:
        return steps
    keys = len(Setting(steps, key_steps).keys)
    return fewer_steps(steps, (keys + cached * (steps - keys)) / steps)


def why_not(names: Sequence[str], denoiser: Denoiser, schedule: Schedule, setting: Setting) -> str | None:
    """Return why accelerations cannot be applied to a method, for tables; None where they can.

    Args:
        names: Of the registry.
        denoiser: Of the method, guidance included.
        schedule: Of the method.
        setting: Of the method; with any foreground where it has one.
    """
    from thbench.accel.denoiser import Estimating, Repeating, able

    try:
        plan = planned(names, setting)
        for change in plan.changes:
            denoiser = change.denoiser(denoiser)
        if isinstance(plan, LightningCP) and plan.block != 1:
            able(denoiser, Repeating, "prediction of several steps as one batch")  # type: ignore[type-abstract]
            if plan.estimate_from is not None:
                able(schedule, Estimating, "input latent estimation")  # type: ignore[type-abstract]
    except MethodError as reason:
        return str(reason)
    return None


def lightningcp(plan: Plan, setting: Setting) -> Plan:
    """LightningCP, step by step."""
    return _instead(plan, LightningCP(setting.keys))


def lightningcp_parallel(plan: Plan, setting: Setting) -> Plan:
    """LightningCP with all steps between two key steps predicted at once, from estimated latents."""
    threshold = round(setting.steps * THRESHOLD_SHARE)
    return _instead(plan, LightningCP(setting.keys, block=None, estimate_from=threshold))


def uniform_caching(plan: Plan, setting: Setting) -> Plan:
    """The same layers at key steps of equal distance, as many as LightningCP would run or a few more."""
    return _instead(plan, uniform(setting.steps, max(1, setting.steps // len(setting.keys))))


def deepcache(plan: Plan, setting: Setting) -> Plan:
    """DeepCache's original layers at the same key steps."""
    return _instead(plan, deep_cache(setting.keys, "original"))


def deepcache_plugin(plan: Plan, setting: Setting) -> Plan:
    """DeepCache's plug-in at its default: branch 0, uniform interval of 3."""
    return _instead(plan, replace(deep_cache((0,), "plug-in"), key_steps=uniform(setting.steps, 3).key_steps))


def faster_diffusion_parallel(plan: Plan, setting: Setting) -> Plan:
    """Faster Diffusion at the same key steps, decoders in parallel."""
    return _instead(plan, faster_diffusion(setting.keys))


def adaptive(plan: Plan, setting: Setting) -> Plan:
    """Key steps decided at run time from the change of the feature."""
    return _instead(plan, Adaptive(setting.bound))


def cfg_cache(plan: Plan, setting: Setting) -> Plan:
    """Every second full pass runs the conditional half alone."""
    del setting
    return cached_guidance(2, plan)


def same(plan: Plan, setting: Setting) -> Plan:
    """The plan as it is: the acceleration is in the number of steps (`steps_of`)."""
    del setting
    return plan


def dfa(plan: Plan, setting: Setting) -> Plan:
    """Foreground attention in the last layer.

    Raises:
        MethodError: The method gives no foreground.
    """
    if setting.foreground is None:
        raise MethodError(
            "foreground attention cannot be applied: this method does not say where in its latents the portrait's "
            "foreground is; use dfa with a method that attends over a picture"
        )
    return _changed(plan, ForegroundAttention(setting.foreground))


def refdrop(plan: Plan, setting: Setting) -> Plan:
    """Cached steps read no reference."""
    return _changed(plan, ReferenceRemoval(setting.places))


def _instead(plan: Plan, other: LightningCP | Adaptive) -> Plan:
    """Return the other plan with the changes of the one before; only one may decide which steps run."""
    if not isinstance(plan, EveryStep):
        raise UsageError(
            f"{type(plan).__name__} and {type(other).__name__} both decide which steps run; name one of them, first"
        )
    return replace(other, changes=(*other.changes, *plan.changes))


def _changed(plan: Any, change: Change) -> Plan:
    result: Plan = with_changes(plan, change)
    return result
