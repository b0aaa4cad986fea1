"""How a training begins with the weights of a relative of its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


def carried(network: nn.Module, state: Mapping[str, Tensor], is_new: Callable[[str], bool]) -> None:
    """Fill a network with weights of another one under the same keys.

    Args:
        network: Filled in place.
        state: Of the other one; what the network does not have is left out.
        is_new: Whether a key of the network keeps what it has.

    Raises:
        ValueError: A weight is missing, or of another size.
    """
    own = network.state_dict()
    wrong = [key for key in own if not is_new(key) and (key not in state or state[key].shape != own[key].shape)]
    if wrong:
        raise ValueError(f"these are no weights of this size: {wrong[:3]}; train the small preset that it begins with")
    network.load_state_dict({key: value if is_new(key) else state[key] for key, value in own.items()})


def silence(layer: nn.Module) -> None:
    """Let a layer give zeros."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
