"""Networks filled by the parity recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch

from thbench.backbones.checkpoint import build
from thbench.parity.recipe import tensor

if TYPE_CHECKING:
    from collections.abc import Callable

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def filled(factory: Callable[[], ModuleT], salt: str = "net-tests") -> ModuleT:
    """The network with numbers in every key, in evaluation mode."""
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in factory().state_dict().items()}
    state = {key: torch.from_numpy(tensor(key, shape, salt)) for key, shape in shapes.items()}
    return build(factory, state, source="the recipe")
