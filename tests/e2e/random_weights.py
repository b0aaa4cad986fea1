"""Weight files with random numbers in the published formats, put in place as a user puts files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from thbench.backbones.arcface import IResNet
from thbench.backbones.deep3d import Deep3D
from thbench.backbones.hopenet import Hopenet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS
from thbench.backbones.s3fd import S3FD
from thbench.backbones.sixdrepnet import SixDRepNet
from thbench.backbones.syncnet import SyncNet
from thbench.backbones.weights import add
from thbench.parity.recipe import tensor


class TinyI3D(nn.Module):
    """A small program with the arguments and the output of StyleGAN-V's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 400, (4, 16, 16), stride=(4, 16, 16))

    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> torch.Tensor:
        if rescale or resize or not return_features:
            raise ValueError("thbench prepares its clips itself")
        return self.conv(x).abs().flatten(2).mean(dim=2)


def state_of(network: Callable[[], nn.Module], only: str = "") -> dict[str, torch.Tensor]:
    """Recipe numbers for every key of a network."""
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    return {k: torch.from_numpy(tensor(k, s, "e2e")) for k, s in shapes.items() if k.startswith(only)}


def filled(network: nn.Module) -> nn.Module:
    """The network with recipe numbers, in evaluation mode."""
    network.load_state_dict(state_of(lambda: network))
    return network.eval()


def _state(network: Callable[[], nn.Module], only: str = "") -> Callable[[Path], None]:
    return lambda path: torch.save(state_of(network, only), path)


def _script(path: Path) -> None:
    torch.jit.script(filled(TinyI3D())).save(str(path))


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    more = value >> 7
    return bytes([value & 127 | 128]) + varint(more) if more else bytes([value])


def tiny_faces() -> bytes:
    """An ONNX file with the input and the output of an ArcFace network: 8x8 means, then a matrix."""
    matrix = tensor("fc", (512, 588), "e2e").T.astype("<f4")
    weights = field(1, 588) + field(1, 512) + field(2, 1) + field(8, "w") + field(9, matrix.tobytes())

    def value(name: str, *sizes: int) -> bytes:
        shape = b"".join(field(1, field(1, n) if n else field(2, "n")) for n in sizes)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    def node(kind: str, inputs: tuple[str, ...], output: str, attributes: bytes = b"") -> bytes:
        return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind) + attributes

    eights = b"".join(
        field(5, field(1, name) + field(8, 8) + field(8, 8) + field(20, 7)) for name in ("kernel_shape", "strides")
    )
    nodes = (
        node("AveragePool", ("input",), "p", eights),
        node("Flatten", ("p",), "f"),
        node("MatMul", ("f", "w"), "output"),
    )
    graph = b"".join(field(1, n) for n in nodes) + field(2, "faces") + field(5, weights)
    graph += field(11, value("input", 0, 3, 112, 112)) + field(12, value("output", 0, 512))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def _onnx(path: Path) -> None:
    path.write_bytes(tiny_faces())


def _deep3d(path: Path) -> None:
    torch.save({"net_recon": state_of(Deep3D), "opt_00": {"state": {}, "param_groups": [{"lr": 1e-4}]}}, path)


def standard_face() -> np.ndarray:
    """68 points on a face-like plane, a unit being about a face."""
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (68, 3))
    for index, place in {
        36: (-0.5, 0.3),
        39: (-0.2, 0.3),
        42: (0.2, 0.3),
        45: (0.5, 0.3),
        30: (0, 0),
        48: (-0.3, -0.4),
        54: (0.3, -0.4),
    }.items():
        points[index] = (*place, 0.2 if index == 30 else 0)
    return points


def _standard_face(path: Path) -> None:
    from scipy.io import savemat

    savemat(path, {"lm": standard_face()})


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "inception-fid": ("inception.pth", _state(InceptionFID)),
    "i3d-torchscript": ("i3d.pt", _script),
    "i3d-videogpt": ("i3d.pth", _state(I3D)),
    "syncnet": ("syncnet.model", _state(SyncNet)),
    "s3fd": ("s3fd.pth", _state(S3FD)),
    "alexnet": ("alexnet.pth", _state(lambda: LPIPS("alex"), "features.")),
    "vgg16": ("vgg16.pth", _state(lambda: LPIPS("vgg"), "features.")),
    "arcface-iresnet": ("backbone.pth", _state(lambda: IResNet((1, 1, 1, 1)))),
    "arcface-w600k-r50": ("faces.onnx", _onnx),
    "hopenet": ("hopenet.pkl", _state(Hopenet)),
    "sixdrepnet": ("sixdrepnet.pth", _state(SixDRepNet)),
    "deep3d": ("epoch_20.pth", _deep3d),
    "deep3d-standard-face": ("similarity_Lm3D_all.mat", _standard_face),
}
"""Weight name to file name and what writes it."""


def add_random(folder: Path, names: Iterable[str]) -> None:
    """Write and add random files; `THBENCH_WEIGHTS` names where they go."""
    for name in names:
        file, write = FILES[name]
        write(folder / file)
        add(name, folder / file)
        (folder / file).unlink()
