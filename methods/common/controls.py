"""Controls of a request: what a method lets its user set, and refusals by name. Imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thbench.errors import MethodError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Control:
    """One setting."""

    about: str
    """What it does, for people."""
    default: Any
    """Taken where the request is silent; its type is the control's, and None stands for any text."""
    low: float = -math.inf
    """Smallest number allowed."""
    high: float = math.inf
    """Largest number allowed."""
    choices: tuple[str, ...] = ()
    """Words allowed; empty for all."""

    @property
    def help(self) -> str:
        """What a `MethodSpec` says of it."""
        limits = f"; {', '.join(self.choices)}" if self.choices else ""
        if not self.choices and math.isfinite(self.low) and math.isfinite(self.high):
            limits = f"; {self.low:g} to {self.high:g}"
        return f"{self.about} (default {self.default}{limits})"


def read_controls(method: str, given: Mapping[str, Any], controls: Mapping[str, Control]) -> dict[str, Any]:
    """Return every control's value.

    Args:
        method: Name of the method, for errors.
        given: Of the request.
        controls: What the method has.

    Raises:
        MethodError: A control is unknown, of another type or out of range.
    """
    for name in given:
        if name not in controls:
            known = ", ".join(controls) or "none"
            raise MethodError(f"{method} has no control {name!r}{did_you_mean(name, controls)}; it has: {known}")
    return {name: _value(method, name, given.get(name, c.default), c) for name, c in controls.items()}


def helps(controls: Mapping[str, Control]) -> dict[str, str]:
    """Return what a `MethodSpec` says of each control."""
    return {name: control.help for name, control in controls.items()}


def _value(method: str, name: str, value: Any, control: Control) -> Any:
    if value == control.default and type(value) is type(control.default):
        return value
    if isinstance(control.default, bool):
        return _switch(method, name, value)
    if isinstance(control.default, (int, float)):
        return _number(method, name, value, control)
    if not isinstance(value, str) or (control.choices and value not in control.choices):
        allowed = f"one of {', '.join(control.choices)}" if control.choices else "a text"
        raise MethodError(f"{method}: {name} is {value!r}; it must be {allowed}")
    return value


def _switch(method: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise MethodError(f"{method}: {name} is {value!r}; it must be true or false")
    return value


def _number(method: str, name: str, value: Any, control: Control) -> float:
    whole = isinstance(control.default, int)
    number = not isinstance(value, bool) and isinstance(value, (int, float))
    if not number or (whole and value != int(value)) or not control.low <= value <= control.high:
        kind = "a whole number" if whole else "a number"
        raise MethodError(f"{method}: {name} is {value!r}; it must be {kind} from {control.low:g} to {control.high:g}")
    return int(value) if whole else float(value)
