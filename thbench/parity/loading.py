"""Builds torch networks with the weights of a fixture, strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

from thbench.backbones.checkpoint import build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from thbench.parity.fixture import Fixture

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def tensors(weights: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Return arrays as tensors."""
    return {key: torch.from_numpy(value) for key, value in weights.items()}


def network(fixture: Fixture, factory: Callable[[], ModuleT]) -> ModuleT:
    """Build a network and fill it with the recipe's weights, in evaluation mode.

    Args:
        fixture: The fixture; every key must fit, as `thbench.backbones.checkpoint.fill` asks.
        factory: Makes the network, in the published key names.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs.
    """
    return build(factory, tensors(fixture.weights()), source=fixture.target)
