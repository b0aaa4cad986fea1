"""Fills networks that hold computed tables (positions, frequencies, schedules) beside their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch

from thbench.backbones.checkpoint import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def build(factory: Callable[[], ModuleT], state: Mapping[str, torch.Tensor], *, source: str) -> ModuleT:
    """Make a network without spending time on random weights, fill it strictly, and put it into evaluation mode.

    Unlike `thbench.backbones.checkpoint.build` it keeps the tables that the network made with `computed`. A state dict
    may hold them or not; the computed values stay.

    Args:
        factory: Makes the network; it must keep all its numbers in parameters and persistent buffers.
        state: Key to tensor.
        source: What the state dict is, for errors.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs.
    """
    with torch.device("meta"):
        module = factory()
    tables = {key: values for key, values in module.state_dict().items() if not values.is_meta}
    empty = module.to_empty(device="cpu").state_dict()
    for key, values in tables.items():
        empty[key].copy_(values)
    return fill(module, state, source=source, kept=tables.keys()).eval()


def computed(make: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Return what `make` gives, with values even where `build` leaves everything else empty."""
    with torch.device("cpu"):
        return make()
