"""Networks and their inputs on different devices: nothing is mixed, and nothing is computed elsewhere in silence.

The device `meta` stands for an accelerator: it takes part in every check of devices and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from thbench.backbones.arcface import LAYERS, IResNet
from thbench.backbones.device import checked_device, computing_on, current
from thbench.backbones.hopenet import Hopenet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS
from thbench.backbones.modes import MODES, Mode, prepare
from thbench.backbones.s3fd import S3FD
from thbench.backbones.sixdrepnet import SixDRepNet
from thbench.backbones.syncnet import SyncNet
from thbench.errors import UsageError

CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], torch.Tensor]]] = {
    "inception": (InceptionFID, lambda net: net(torch.zeros(2, 3, 299, 299))),
    "i3d": (I3D, lambda net: net(torch.zeros(1, 3, 16, 224, 224))),
    "arcface": (partial(IResNet, LAYERS["iresnet18"]), lambda net: net(torch.zeros(2, 3, 112, 112))),
    "hopenet": (Hopenet, lambda net: net(torch.zeros(2, 3, 224, 224))),
    "sixdrepnet": (SixDRepNet, lambda net: net(torch.zeros(1, 3, 224, 224))),
    "lpips": (partial(LPIPS, "alex"), lambda net: net(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))),
    "s3fd": (S3FD, lambda net: net(torch.zeros(1, 3, 64, 64)).score),
    "lips": (SyncNet, lambda net: net.lips_of_clip(torch.zeros(3, 13, 224, 224))),
    "speech": (SyncNet, lambda net: net.audio(torch.zeros(3, 1, 13, 20))),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_frames_from_the_cpu_go_to_the_device_of_the_network(name: str, mode: Mode) -> None:
    factory, run = CASES[name]
    with torch.device("meta"):
        network = factory().eval()
    network = prepare(network.to_empty(device="cpu"), mode).to("meta")
    with torch.inference_mode():
        output = run(network)
    assert (output.device.type, output.dtype) == ("meta", torch.float32)


def test_a_device_holds_within_its_block_only() -> None:
    assert current() == "cpu"
    with computing_on("cuda:1"):
        assert current() == "cuda:1"
        with computing_on("cpu"):
            assert current() == "cpu"
    assert current() == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "mps", ""])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="devices are cpu, cuda and cuda:N"):
        checked_device(name)


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="sees no CUDA device; use cpu"):
        checked_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert checked_device("cuda:1") == "cuda:1"
    with pytest.raises(UsageError, match="cuda:0 to cuda:1"):
        checked_device("cuda:2")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_gives_what_the_cpu_gives(name: str) -> None:
    factory, _ = CASES[name]
    torch.manual_seed(0)
    network = prepare(factory().eval(), "exact")
    run = CASES[name][1]
    with torch.inference_mode():
        ours, theirs = run(network.to("cuda")).cpu(), run(network.to("cpu"))
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
