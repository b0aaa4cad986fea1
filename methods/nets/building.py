"""Fills networks that hold computed tables (positions, frequencies, schedules) beside their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch

from thbench.backbones.checkpoint import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def build(
    factory: Callable[[], ModuleT],
    state: Mapping[str, torch.Tensor],
    *,
    source: str,
    kept: Collection[str] = frozenset(),
) -> ModuleT:
    """Make a network without spending time on random weights, fill it strictly, and put it into evaluation mode.

    Unlike `thbench.backbones.checkpoint.build` it keeps the tables that a network computes: the factory makes them with
    `table`, on the CPU, while the weights are left empty until they are filled.

    Args:
        factory: Makes the network.
        state: Key to tensor.
        source: What the state dict is, for errors.
        kept: Keys that the network computes itself; they may be absent on either side.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs.
    """
    with torch.device("meta"):
        module = factory()
    tables = {name: table for name, table in module.named_buffers() if not table.is_meta}
    module.to_empty(device="cpu")
    for name, values in tables.items():
        module.get_buffer(name).copy_(values)
    return fill(module, state, source=source, kept=kept).eval()


def table(values: torch.Tensor | list[float]) -> torch.Tensor:
    """Return computed numbers as a float32 tensor that has values even where `build` makes everything else empty."""
    return torch.as_tensor(values, device="cpu").to(torch.float32)
