"""One sampler loop for all diffusion methods, and the plans that make it cheaper.

`sample` is the loop. A plan says at each step what of the denoiser runs: `EveryStep` is the baseline, `LightningCP`
runs the whole network at key steps only. Changes (`ForegroundAttention`, `ReferenceRemoval`, ...) alter what is run and
are added to any plan with `with_changes`. Importing this package, or its specs, needs no torch.

Example:
    >>> from thbench.accel import EveryStep, Trace
    >>> EveryStep().decide(Trace(steps=4))
    Move(first=0, count=1, kind=<Kind.FULL: 'full'>, inputs=<Inputs.FIRST: 'first'>)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from thbench.accel.changes import (
    CachedGuidance,
    Cut,
    EncoderPropagation,
    ForegroundAttention,
    PriorNoise,
    ReferenceRemoval,
)
from thbench.accel.moves import Change, Inputs, Kind, Move, Plan, Step, Trace, with_changes
from thbench.accel.plans import EveryStep, LightningCP, spread_keys, uniform_keys
from thbench.accel.rivals import (
    Adaptive,
    cached_guidance,
    deep_cache,
    faster_diffusion,
    faster_diffusion_keys,
    fewer_steps,
    uniform,
)

if TYPE_CHECKING:
    from thbench.accel.denoiser import Denoiser, Schedule
    from thbench.accel.loop import sample
    from thbench.accel.together import Batched, OneByOne, Replicas

_HEAVY = {
    "Batched": "together",
    "Denoiser": "denoiser",
    "OneByOne": "together",
    "Replicas": "together",
    "Schedule": "denoiser",
    "sample": "loop",
}
"""Names that need torch, and the module that each is read from at first use."""

__all__ = [
    "Adaptive",
    "Batched",
    "CachedGuidance",
    "Change",
    "Cut",
    "Denoiser",
    "EncoderPropagation",
    "EveryStep",
    "ForegroundAttention",
    "Inputs",
    "Kind",
    "LightningCP",
    "Move",
    "OneByOne",
    "Plan",
    "PriorNoise",
    "ReferenceRemoval",
    "Replicas",
    "Schedule",
    "Step",
    "Trace",
    "cached_guidance",
    "deep_cache",
    "faster_diffusion",
    "faster_diffusion_keys",
    "fewer_steps",
    "sample",
    "spread_keys",
    "uniform",
    "uniform_keys",
    "with_changes",
]


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HEAVY[name]}"), name)
