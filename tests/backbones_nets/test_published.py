"""Files in the published formats become the networks that were saved; anything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from net_helpers import filled
from torch import nn

from thbench.backbones import published
from thbench.backbones.arcface import IResNet
from thbench.backbones.hopenet import Hopenet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS, published_heads
from thbench.backbones.s3fd import S3FD
from thbench.backbones.sixdrepnet import SixDRepNet
from thbench.backbones.syncnet import SyncNet
from thbench.errors import WeightsMismatchError

Load = Callable[[Path], nn.Module]
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Load]] = {
    "inception": (InceptionFID, published.load_inception),
    "i3d": (I3D, published.load_i3d),
    "syncnet": (SyncNet, published.load_syncnet),
    "s3fd": (S3FD, published.load_s3fd),
    "hopenet": (Hopenet, published.load_hopenet),
    "sixdrepnet": (SixDRepNet, published.load_sixdrepnet),
    "arcface": (lambda: IResNet((1, 2, 3, 1)), published.load_arcface),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_is_loaded_with_every_number(name: str, tmp_path: Path) -> None:
    factory, load = NETWORKS[name]
    net = filled(factory)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    loaded = load(tmp_path / "net.pth")
    assert not loaded.training
    state = loaded.state_dict()
    assert state.keys() == net.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_another_networks_file_is_refused(name: str, tmp_path: Path) -> None:
    torch.save({"elsewhere.weight": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(WeightsMismatchError, match=r"net\.pth"):
        NETWORKS[name][1](tmp_path / "net.pth")


def test_a_training_checkpoint_of_6drepnet_is_merged(tmp_path: Path) -> None:
    net = filled(lambda: SixDRepNet(deploy=False))
    torch.save({"model_state_dict": net.state_dict(), "epoch": 3}, tmp_path / "net.tar")
    loaded = published.load_sixdrepnet(tmp_path / "net.tar")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(loaded(x), net(x), rtol=1e-4, atol=1e-4 * float(net(x).abs().max()))
    assert not any("rbr_dense" in key for key in loaded.state_dict())


def test_lpips_takes_its_trunk_from_torchvisions_file(tmp_path: Path) -> None:
    net = filled(lambda: LPIPS("squeeze"))
    trunk = {key: value for key, value in net.state_dict().items() if key.startswith("features.")}
    torch.save(trunk | {"classifier.1.weight": torch.zeros(4)}, tmp_path / "squeezenet.pth")
    state = published.load_lpips("squeeze", tmp_path / "squeezenet.pth").state_dict()
    assert all(torch.equal(state[key], value) for key, value in trunk.items())
    assert all(torch.equal(state[key], value) for key, value in published_heads("squeeze").items())
