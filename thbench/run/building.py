"""From a variant's spec to the method itself: the one place that calls a method's factory."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from thbench.errors import UsageError
from thbench.spec import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.types import Method


def build_method(
    factory: str, *, name: str, preset: str, device: str = "cpu", accelerations: Sequence[str] = ()
) -> Method:
    """Import a method and build it.

    Args:
        factory: `module:callable`, as in the method's spec.
        name: For errors.
        preset: One of its presets.
        device: Where it computes.
        accelerations: Names of the registry; given to the factory where there are any, so that a method which samples
            nothing need not know of them.

    Raises:
        MissingExtraError: A package is not installed.
        UsageError: The factory is not there, or knows no accelerations.
    """
    make = load(factory, purpose=f"method {name!r}")
    options: dict[str, Any] = {}
    if accelerations:
        taken = inspect.signature(make).parameters.values()
        if not any(p.name == "accelerations" or p.kind is p.VAR_KEYWORD for p in taken):
            raise UsageError(
                f"method {name!r} takes no accelerations (asked for: {', '.join(accelerations)}); it has no sampler "
                "loop, so time it as it is"
            )
        options["accelerations"] = tuple(accelerations)
    made: Method = make(preset=preset, device=device, **options)
    return made
