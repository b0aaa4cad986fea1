"""Tensors inside conditions: dataclasses, tuples, lists and mappings of tensors, nested as they like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def mapped(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return the same structure with a function applied to each tensor; everything else stays as it is."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, function) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: mapped(getattr(value, field.name), function) for field in fields(value)})
    return value


def moved(value: Any, device: torch.device) -> Any:
    """Return the same structure with its tensors on a device."""
    return mapped(value, lambda tensor: tensor.to(device))


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a structure, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors(getattr(value, field.name))


def relative_change(before: Any, after: Any) -> float:
    """Return the L2 norm of the difference of two structures of tensors over that of the first.

    Zero for equal ones; infinite where only the first is all zeros.
    """
    pairs = [(a.float(), b.float()) for a, b in zip(tensors(before), tensors(after), strict=True)]
    moved_by = sum(float((b - a).square().sum()) for a, b in pairs)
    size = sum(float(a.square().sum()) for a, _ in pairs)
    if moved_by == 0:
        return 0.0
    return float("inf") if size == 0 else float((moved_by / size) ** 0.5)
