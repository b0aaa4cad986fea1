"""Networks that metrics use, by the name of their weight file, read once in each process.

Here a verified file meets the function that reads its format; the observers of metrics know neither.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.backbones import published
from thbench.backbones.batches import BATCH, BatchQueue
from thbench.backbones.modes import prepare
from thbench.backbones.onnx_file import load_onnx
from thbench.backbones.weights import locate
from thbench.metrics.fvd import torchscript_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thbench.backbones.hopenet import Hopenet
    from thbench.backbones.inception import InceptionFID
    from thbench.backbones.lpips import LPIPS
    from thbench.backbones.s3fd import S3FD
    from thbench.backbones.sixdrepnet import SixDRepNet
    from thbench.backbones.syncnet import SyncNet

LPIPS_FILES = {"alex": "alexnet", "vgg": "vgg16"}
"""Trunk to weight file."""


def inception() -> InceptionFID:
    """The FID network.

    Raises:
        MissingWeightsError: The file is not there; so for all functions here.
        WeightsMismatchError: It is not the right one, or damaged; so for all functions here.
    """
    return _inception(_version("inception-fid"))


def i3d_torchscript() -> Callable[[Tensor], Tensor]:
    """StyleGAN-V's network of prepared clips."""
    return _i3d_torchscript(_version("i3d-torchscript"))


def i3d_videogpt(pool_frames: int) -> Callable[[Tensor], Tensor]:
    """VideoGPT's network of prepared clips."""
    return _i3d_videogpt(_version("i3d-videogpt"), pool_frames)


def syncnet() -> SyncNet:
    """The network of lips and speech."""
    return _syncnet(_version("syncnet"))


def s3fd() -> S3FD:
    """The face detector of the SyncNet pipeline."""
    return _s3fd(_version("s3fd"))


def lpips(trunk: str) -> LPIPS:
    """LPIPS with a trunk of `LPIPS_FILES`."""
    return _lpips(trunk, _version(LPIPS_FILES[trunk]))


def hopenet() -> Hopenet:
    """The head-pose network of Ruiz et al."""
    return _hopenet(_version("hopenet"))


def sixdrepnet() -> SixDRepNet:
    """The head-pose network of Hempel et al."""
    return _sixdrepnet(_version("sixdrepnet"))


def arcface(name: str) -> BatchQueue:
    """A queue of aligned faces before an ArcFace network, shared by all who embed faces in this process.

    Args:
        name: Weight file: insightface's ONNX file, or a state dict.
    """
    return _arcface(_version(name))


Version = tuple[str, int, int]
"""Path, size and modification time of a file: while these stay, so does the network."""


def _version(name: str) -> Version:
    path = locate(name)
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)
def _inception(version: Version) -> InceptionFID:
    return prepare(published.load_inception(Path(version[0])), "exact")


@lru_cache(maxsize=1)
def _i3d_torchscript(version: Version) -> Callable[[Tensor], Tensor]:
    return torchscript_network(published.load_i3d_torchscript(Path(version[0])))


@lru_cache(maxsize=2)
def _i3d_videogpt(version: Version, pool_frames: int) -> Callable[[Tensor], Tensor]:
    return prepare(published.load_i3d(Path(version[0]), pool_frames=pool_frames), "exact")


@lru_cache(maxsize=1)
def _syncnet(version: Version) -> SyncNet:
    return prepare(published.load_syncnet(Path(version[0])), "exact")


@lru_cache(maxsize=1)
def _s3fd(version: Version) -> S3FD:
    return prepare(published.load_s3fd(Path(version[0])), "exact")


@lru_cache(maxsize=2)
def _lpips(trunk: str, version: Version) -> LPIPS:
    return prepare(published.load_lpips(trunk, Path(version[0])), "exact")


@lru_cache(maxsize=1)
def _hopenet(version: Version) -> Hopenet:
    return prepare(published.load_hopenet(Path(version[0])), "exact")


@lru_cache(maxsize=1)
def _sixdrepnet(version: Version) -> SixDRepNet:
    return prepare(published.load_sixdrepnet(Path(version[0])), "exact")


@lru_cache(maxsize=2)
def _arcface(version: Version) -> BatchQueue:
    path = Path(version[0])
    network: Callable[[Tensor], Tensor]
    network = load_onnx(path) if path.suffix == ".onnx" else prepare(published.load_arcface(path), "exact")
    return BatchQueue(network, BATCH)
