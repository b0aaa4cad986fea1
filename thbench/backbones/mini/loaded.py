"""The mini networks with their shipped weights, read once in each process and made ready to run."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from thbench.backbones.batches import BatchQueue
from thbench.backbones.mini.clip_encoder import MiniClipEncoder
from thbench.backbones.mini.digests import digest, weights_folder
from thbench.backbones.mini.face import MiniFace
from thbench.backbones.mini.frame_encoder import MiniFrameEncoder
from thbench.backbones.mini.identity import MiniIdentity
from thbench.backbones.mini.sync import MiniSync
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


@lru_cache(maxsize=1)
def identity() -> MiniIdentity:
    """The network of identity similarity (mini)."""
    return load("identity", MiniIdentity())


@lru_cache(maxsize=1)
def identity_queue() -> BatchQueue:
    """A queue of whole frames before the identity network, shared by all who embed frames in this process."""
    return BatchQueue(identity())


@lru_cache(maxsize=1)
def frame_encoder() -> MiniFrameEncoder:
    """The network of frames behind FID (mini) and KID (mini)."""
    return load("frame_encoder", MiniFrameEncoder())


@lru_cache(maxsize=1)
def frame_queue() -> BatchQueue:
    """A queue of whole frames before the frame encoder, shared by all who want features in this process."""
    return BatchQueue(frame_encoder())


@lru_cache(maxsize=1)
def clip_encoder() -> MiniClipEncoder:
    """The network of clips behind FVD (mini)."""
    return load("clip_encoder", MiniClipEncoder())


@lru_cache(maxsize=1)
def face() -> MiniFace:
    """The regressor of landmarks, head pose and expression."""
    return load("face", MiniFace())


@lru_cache(maxsize=1)
def sync() -> MiniSync:
    """The network of lips and speech."""
    return load("sync", MiniSync())
