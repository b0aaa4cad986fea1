"""Networks that metrics use, by the name of their weight file, read once in each process.

Here a verified file meets the function that reads its format; the observers of metrics know neither. A network is made
ready for a mode and put on the device of `thbench.backbones.device.computing_on`; it takes inputs from any device, and
what it gives lies on its own.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from thbench.backbones import published
from thbench.backbones.batches import BATCH, BatchQueue
from thbench.backbones.deep3d import load_deep3d, load_standard_face
from thbench.backbones.device import current
from thbench.backbones.modes import Mode, prepare
from thbench.backbones.onnx_network import load_onnx
from thbench.backbones.weights import locate
from thbench.metrics.fvd import torchscript_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from thbench.backbones.hopenet import Hopenet
    from thbench.backbones.inception import InceptionFID
    from thbench.backbones.lpips import LPIPS
    from thbench.backbones.s3fd import S3FD
    from thbench.backbones.sixdrepnet import SixDRepNet
    from thbench.backbones.syncnet import SyncNet

NetworkT = TypeVar("NetworkT", bound="nn.Module")

LPIPS_FILES = {"alex": "alexnet", "vgg": "vgg16"}
"""Trunk to weight file."""
_LOAD_LPIPS: Mapping[str, Callable[[Path], LPIPS]] = {
    trunk: partial(published.load_lpips, trunk) for trunk in LPIPS_FILES
}
_LOAD_I3D = {pool_frames: partial(published.load_i3d, pool_frames=pool_frames) for pool_frames in (1, 2)}


def inception(mode: Mode = "exact") -> InceptionFID:
    """The FID network.

    Raises:
        MissingWeightsError: The file is not there; so for all functions here.
        WeightsMismatchError: It is not the right one, or damaged; so for all functions here.
    """
    return _ready("inception-fid", published.load_inception, mode)


def i3d_torchscript(mode: Mode = "exact") -> Callable[[Tensor], Tensor]:
    """StyleGAN-V's network of prepared clips."""
    return _program(_version("i3d-torchscript"), mode, current())


def i3d_videogpt(pool_frames: int, mode: Mode = "exact") -> Callable[[Tensor], Tensor]:
    """VideoGPT's network of prepared clips, whose last pool takes one or two time steps."""
    return _ready("i3d-videogpt", _LOAD_I3D[pool_frames], mode)


def syncnet(mode: Mode = "exact") -> SyncNet:
    """The network of lips and speech."""
    return _ready("syncnet", published.load_syncnet, mode)


def s3fd(mode: Mode = "exact") -> S3FD:
    """The face detector of the SyncNet pipeline."""
    return _ready("s3fd", published.load_s3fd, mode)


def lpips(trunk: str, mode: Mode = "exact") -> LPIPS:
    """LPIPS with a trunk of `LPIPS_FILES`."""
    return _ready(LPIPS_FILES[trunk], _LOAD_LPIPS[trunk], mode)


def hopenet(mode: Mode = "exact") -> Hopenet:
    """The head-pose network of Ruiz et al."""
    return _ready("hopenet", published.load_hopenet, mode)


def sixdrepnet(mode: Mode = "exact") -> SixDRepNet:
    """The head-pose network of Hempel et al."""
    return _ready("sixdrepnet", published.load_sixdrepnet, mode)


def arcface(name: str, mode: Mode = "exact") -> BatchQueue:
    """A queue of aligned faces before an ArcFace network, shared by all who embed faces in this process.

    Args:
        name: Weight file: insightface's ONNX file, or a state dict.
        mode: `exact` or `fast`.
    """
    return _arcface(_version(name), mode, current())


def deep3d(mode: Mode = "exact") -> BatchQueue:
    """A queue of aligned faces before Deep3DFaceRecon, shared by all who ask for coefficients in this process."""
    return _deep3d(_version("deep3d"), mode, current())


def deep3d_standard_face() -> NDArray[np.float64]:
    """The points, shape (5, 3), that faces are aligned to for Deep3DFaceRecon."""
    return load_standard_face(locate("deep3d-standard-face"))


Version = tuple[str, int, int]
"""Path, size and modification time of a file: while these stay, so does the network."""


def _version(name: str) -> Version:
    path = locate(name)
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _ready(name: str, load: Callable[[Path], NetworkT], mode: Mode) -> NetworkT:
    return cast("NetworkT", _network(_version(name), load, mode, current()))


@lru_cache(maxsize=20)
def _network(version: Version, load: Callable[[Path], nn.Module], mode: Mode, device: str) -> nn.Module:
    return prepare(load(Path(version[0])), mode).to(device)


@lru_cache(maxsize=2)
def _program(version: Version, mode: Mode, device: str) -> Callable[[Tensor], Tensor]:
    return torchscript_network(published.load_i3d_torchscript(Path(version[0])), mode, device)


@lru_cache(maxsize=4)
def _deep3d(version: Version, mode: Mode, device: str) -> BatchQueue:
    return BatchQueue(prepare(load_deep3d(Path(version[0])), mode).to(device), BATCH)


@lru_cache(maxsize=4)
def _arcface(version: Version, mode: Mode, device: str) -> BatchQueue:
    path = Path(version[0])
    load: Callable[[Path], nn.Module] = load_onnx if path.suffix == ".onnx" else published.load_arcface
    return BatchQueue(prepare(load(path), mode).to(device), BATCH)
