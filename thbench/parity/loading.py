"""Fills torch modules with the weights of a fixture, strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

from thbench.backbones.checkpoint import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.parity.fixture import Fixture

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def fill_from(fixture: Fixture, module: ModuleT, weights: Mapping[str, NDArray[Any]] | None = None) -> ModuleT:
    """Load recipe weights into a module and put it into evaluation mode.

    Args:
        fixture: The fixture; its `kept` keys may be absent on either side.
        module: The network, in the published key names.
        weights: Tensors by key; `fixture.weights()` by default.

    Returns:
        The module itself.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs.
    """
    tensors = {key: torch.from_numpy(value) for key, value in (weights or fixture.weights()).items()}
    return fill(module, tensors, source=fixture.target, kept=fixture.kept).eval()
