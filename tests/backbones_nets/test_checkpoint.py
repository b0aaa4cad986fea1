"""Reading weight files: what is accepted, and one clear sentence for everything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from thbench.backbones.checkpoint import build, fill, read_state_dict, read_torchscript
from thbench.errors import MissingWeightsError, WeightsMismatchError

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


class Mischief:
    """A pickle that creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_are_read(tmp_path: Path, zipped: bool) -> None:
    torch.save(STATE, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    read = read_state_dict(tmp_path / "net.pth")
    assert read.keys() == STATE.keys() and torch.equal(read["weight"], STATE["weight"])


def test_an_entry_and_a_prefix_are_taken_off(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state": {f"module.{k}": v for k, v in STATE.items()}}, tmp_path / "net.pth")
    assert read_state_dict(tmp_path / "net.pth", entry="state", prefix="module.").keys() == STATE.keys()
    with pytest.raises(WeightsMismatchError, match="has no entry 'model'"):
        read_state_dict(tmp_path / "net.pth", entry="model")
    with pytest.raises(WeightsMismatchError, match="holds no state dict"):
        read_state_dict(tmp_path / "net.pth")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97])
def test_a_truncated_file_is_refused(tmp_path: Path, zipped: bool, share: float) -> None:
    path = tmp_path / "net.pth"
    torch.save({"w": torch.randn(100, 100)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsMismatchError, match=r"net\.pth .* is truncated or damaged") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"not a checkpoint", b"PK\x03\x04 nor a zip", os.urandom(2000)])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(WeightsMismatchError) as caught:
        read_state_dict(tmp_path / "net.pth")
    assert "net.pth" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "torch-legacy", "pickle"])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    content, path = {"w": Mischief(tmp_path / "proof")}, tmp_path / "net.pth"
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(WeightsMismatchError, match=r"is refused|damaged") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "proof").exists()


def test_a_whole_network_instead_of_its_tensors_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2), tmp_path / "net.pth")
    with pytest.raises(WeightsMismatchError, match="could run code when read, and is refused"):
        read_state_dict(tmp_path / "net.pth")


def test_an_absent_file_is_missing_not_wrong(tmp_path: Path) -> None:
    for read in (read_state_dict, read_torchscript):
        with pytest.raises(MissingWeightsError, match="does not exist"):
            read(tmp_path / "net.pth")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_loaded_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    traced = torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3))
    torch.jit.save(traced, path)
    x = torch.randn(4, 3)
    assert torch.equal(read_torchscript(path)(x), traced(x))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsMismatchError, match="is truncated or damaged"):
        read_torchscript(path)


def test_filling_is_strict() -> None:
    net = fill(nn.Linear(3, 2), STATE, source="x")
    assert torch.equal(net.weight, STATE["weight"])
    with pytest.raises(WeightsMismatchError, match=r"x does not fit Linear: 1 missing \(bias\)"):
        fill(nn.Linear(3, 2), {"weight": STATE["weight"]}, source="x")
    with pytest.raises(WeightsMismatchError, match=r"1 unexpected \(extra\)"):
        fill(nn.Linear(3, 2), STATE | {"extra": torch.ones(1)}, source="x")
    with pytest.raises(WeightsMismatchError, match=r"weight \(2, 3\) instead of \(5, 3\); |weight \(2, 3\) instead"):
        fill(nn.Linear(3, 5), STATE, source="x")


def test_kept_keys_may_be_absent_on_either_side_and_stay_as_computed() -> None:
    net = nn.BatchNorm1d(2)
    state = {key: value + 3 for key, value in net.state_dict().items() if key != "num_batches_tracked"}
    fill(net, state | {"elsewhere": torch.ones(1)}, source="x", kept={"num_batches_tracked", "elsewhere", "weight"})
    assert torch.equal(net.weight, torch.ones(2)) and torch.equal(net.bias, torch.full((2,), 3.0))


def test_building_gives_a_filled_network_in_evaluation_mode() -> None:
    net = build(lambda: nn.Linear(3, 2), STATE, source="x")
    assert not net.training and torch.equal(net(torch.ones(1, 3)), torch.tensor([[4.0, 13.0]]))
