"""The mini networks with their shipped weights, read once in each process and made ready to run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from thbench.backbones.mini.digests import digest, weights_folder
from thbench.backbones.modes import prepare
from thbench.errors import WeightsMismatchError
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from torch import nn

NetworkT = TypeVar("NetworkT", bound="nn.Module")


def load(name: str, network: NetworkT) -> NetworkT:
    """Fill a fresh network with its shipped weights and make it ready to run.

    Args:
        name: Of the weight file, without its suffix.
        network: As it was trained.

    Raises:
        WeightsMismatchError: The file is not the one that was shipped.
        MissingExtraError: safetensors is not installed.
    """
    path = weights_folder() / f"{name}.safetensors"
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != digest(name):
        raise WeightsMismatchError(
            f"{path} is not the file that belongs to this version (SHA-256 {found} instead of {digest(name)});"
            " install thbench again"
        )
    load_weights(path, network)
    return prepare(network, "exact")
