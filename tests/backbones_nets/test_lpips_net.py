"""LPIPS: heads, identity, symmetry, trunks."""

from __future__ import annotations

import pytest
import torch

from thbench.backbones.checkpoint import build
from thbench.backbones.lpips import LPIPS, TRUNKS, published_heads, trunk_state, unit_channels
from thbench.errors import UsageError
from thbench.parity.recipe import tensor

CLASSIFIER = {"classifier.1.weight": torch.zeros(1), "classifier.1.bias": torch.zeros(1)}


def network(trunk: str) -> LPIPS:
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in LPIPS(trunk).state_dict().items() if k.startswith("features.")}
    published = {key: torch.from_numpy(tensor(key, shape, "lpips")) for key, shape in shapes.items()} | CLASSIFIER
    return build(lambda: LPIPS(trunk), trunk_state(published) | published_heads(trunk), source="test")


def images(seed: int) -> torch.Tensor:
    return torch.rand(3, 3, 64, 80, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("trunk", TRUNKS)
def test_equal_images_have_no_distance_and_others_a_symmetric_one(trunk: str) -> None:
    net = network(trunk)
    a, b = images(0), images(1)
    with torch.inference_mode():
        assert net(a, a).tolist() == [0, 0, 0]
        forward = net(a, b)
        assert bool((forward > 0).all()) and torch.allclose(forward, net(b, a))
        assert torch.allclose(net.layers(a, b).sum(dim=1), forward)
        assert torch.allclose(net(a, b, "torchmetrics"), forward, rtol=1e-3)
        single = torch.cat([net(a[i : i + 1], b[i : i + 1]) for i in range(3)])
    assert torch.allclose(single, forward, rtol=1e-4)


@pytest.mark.parametrize(("trunk", "numbers"), [("alex", 1152), ("vgg", 1472), ("squeeze", 2240)])
def test_the_published_heads_are_whole_and_not_negative(trunk: str, numbers: int) -> None:
    heads = published_heads(trunk)
    assert [head.shape[1] for head in heads.values()] == list(TRUNKS[trunk].channels)
    assert sum(head.numel() for head in heads.values()) == numbers
    assert all(bool((head >= 0).all()) for head in heads.values())


def test_squeezenet_has_torchvisions_keys() -> None:
    with torch.device("meta"):
        keys = set(LPIPS("squeeze").state_dict())
    assert {"features.0.weight", "features.3.squeeze.weight", "features.12.expand3x3.bias"} <= keys
    assert sum(key.startswith("features.") for key in keys) == 2 + 8 * 6


@pytest.mark.parametrize("convention", ["lpips", "torchmetrics"])
def test_features_come_to_unit_length(convention: str) -> None:
    x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(unit_channels(x, convention).norm(dim=1), torch.ones(2, 3, 3))  # type: ignore[arg-type]
    assert bool(torch.isfinite(unit_channels(x * 0, convention)).all())  # type: ignore[arg-type]


def test_an_unknown_trunk_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'alex'"):
        LPIPS("alexnet")
