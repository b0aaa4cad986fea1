"""Prepared networks: `exact` is the published network, `fast` is near it, and both leave the argument alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from net_helpers import filled
from torch import nn

from thbench.backbones import convolution
from thbench.backbones.arcface import LAYERS, IResNet
from thbench.backbones.hopenet import Hopenet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS
from thbench.backbones.modes import MODES, Mode, prepare
from thbench.backbones.s3fd import S3FD
from thbench.backbones.sixdrepnet import SixDRepNet
from thbench.backbones.syncnet import SyncNet
from thbench.errors import UsageError
from thbench.parity import check, loading
from thbench.parity import metric_networks as adapters
from thbench.parity.targets import METRICS

FIXTURES = Path(__file__).resolve().parent.parent / "parity"
NETWORKS = (
    "metrics.arcface_iresnet50",
    "metrics.hopenet",
    "metrics.i3d_fvd",
    "metrics.inception_fid",
    "metrics.lpips",
    "metrics.s3fd",
    "metrics.sixdrepnet",
    "metrics.sixdrepnet_deploy",
    "metrics.syncnet",
)


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_passes_the_published_fixture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every adapter gets its network prepared; the tolerances are the fixture's own."""
    count = _prepare_all(monkeypatch, "exact")
    outcome = check(FIXTURES / name, METRICS)
    assert outcome.message is None
    failed = {a.output: (a.error, a.tolerance, a.problem) for a in outcome.outputs if not a.passed}
    assert outcome.status == "passed", failed
    assert count[0] > 0


def _prepare_all(monkeypatch: pytest.MonkeyPatch, mode: Mode) -> list[int]:
    count = [0]

    def prepared(load: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
        count[0] += 1
        return prepare(load(*args, **kwargs), mode)

    monkeypatch.setattr(adapters, "network", partial(prepared, loading.network))
    monkeypatch.setattr(adapters, "build", partial(prepared, adapters.build))
    return count


def _images(count: int, side: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (count, 3, side, side)).astype(np.float32))


def _pair(network: LPIPS) -> torch.Tensor:
    images = _images(2, 96)
    return network(images, images.flip(3))


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], torch.Tensor]]] = {
    "inception": (InceptionFID, lambda net: net(_images(2, 299))),
    "i3d": (I3D, lambda net: net(_images(9, 224).transpose(0, 1)[None])),
    "iresnet18": (partial(IResNet, LAYERS["iresnet18"]), lambda net: net(_images(2, 112))),
    "hopenet": (Hopenet, lambda net: net(_images(2, 224))),
    "sixdrepnet": (SixDRepNet, lambda net: net(_images(1, 224))),
    "lpips-alex": (partial(LPIPS, "alex"), _pair),
    "s3fd": (S3FD, lambda net: net(100 * _images(1, 96)).loc),
    "syncnet-lips": (SyncNet, lambda net: net.lips_of_clip((127 + 127 * _images(7, 224)).round().transpose(0, 1))),
    "syncnet-audio": (SyncNet, lambda net: net.audio(_images(2, 20)[:, :1, :13] * 20)),
}


@pytest.mark.parametrize("name", CASES)
def test_modes_stay_near_the_published_network(name: str) -> None:
    """`exact` is off by rounding of float32, `fast` by that to 8 bits through all layers."""
    factory, run = CASES[name]
    network = filled(factory)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        published = run(network)
        ours = {mode: run(prepare(network, mode)) for mode in MODES}
    scale = float(published.abs().max())
    error = {mode: float((output - published).abs().max()) / scale for mode, output in ours.items()}
    assert all(output.dtype == torch.float32 and output.shape == published.shape for output in ours.values())
    assert error["exact"] < 2e-5
    assert 0 < error["fast"] < 0.05
    after = network.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[key], before[key]) for key in before)


@pytest.mark.skipif(
    not convolution.processor_multiplies_int8(), reason="this processor adds products of bytes in 16 bits"
)
@pytest.mark.parametrize("name", ["syncnet-lips", "hopenet", "i3d"])
def test_fast_gives_the_same_numbers_where_bytes_are_multiplied_in_float32(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a processor can multiply decides how products are made, not what is multiplied: sums stay exact."""
    factory, run = CASES[name]
    ready, found = prepare(filled(factory), "fast"), {}
    for able in (True, False):
        monkeypatch.setattr(convolution, "processor_multiplies_int8", lambda able=able: able)
        with torch.inference_mode():
            found[able] = run(ready)
    assert torch.equal(found[True], found[False])


@pytest.fixture(
    params=[nn.Conv2d(6, 5, 3, padding=1, stride=2), nn.Conv3d(5, 7, (3, 1, 3), padding=(1, 0, 1), bias=False)]
)
def layer(request: pytest.FixtureRequest) -> nn.Module:
    """A convolution with weights of its own size in each output channel; one of them has only zeros."""
    torch.manual_seed(0)
    found: nn.Conv2d | nn.Conv3d = request.param.requires_grad_(requires_grad=False)
    found.weight.copy_(
        torch.randn(found.weight.shape)
        * torch.logspace(-3, 3, len(found.weight)).view(-1, *[1] * (found.weight.dim() - 1))
    )
    found.weight[0] = 0
    return found


@pytest.mark.parametrize("shape", [(7, 5, 3, 3), (6, 40, 1, 1), (4, 3, 5, 1, 2), (1, 1, 1, 1)])
def test_weights_rounded_up_and_down_weigh_the_same(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    weight = weight / weight.abs().amax(tuple(range(1, len(shape))), keepdim=True) * 127
    whole = convolution.whole_weights(weight)
    assert torch.equal(whole, whole.round()) and whole.abs().max() <= 127
    errors = whole - weight
    assert errors.abs().max() < 1
    assert errors.flatten(1).sum(1).abs().max() <= 0.501
    nearest = weight.round() - weight
    assert (errors.flatten(1).sum(1).abs() <= nearest.flatten(1).sum(1).abs() + 1e-3).all()
    if errors.flatten(2).shape[2] > 1:  # What a kernel is given back for its output channel is less than what it lost.
        assert errors.flatten(2).sum(2).norm() < 0.7 * nearest.flatten(2).sum(2).norm()
    # Numbers turned over are those nearest to the other side: few, and at the price of little.
    assert errors.norm() < 1.3 * nearest.norm() + 1e-6


def _batch(layer: nn.Module) -> torch.Tensor:
    """Samples of other sizes: with and without negative numbers, and one of zeros."""
    generator = torch.Generator().manual_seed(1)
    dimensions = layer.weight.dim() - 2
    x = torch.randn((5, layer.weight.shape[1], *[9, 11, 4][:dimensions]), generator=generator)
    x = x * torch.logspace(-4, 4, 5).view(-1, *[1] * (dimensions + 1))
    x[1:3], x[3] = x[1:3].relu(), 0
    return x


def test_rounded_convolutions_are_near_in_every_sample_and_channel(layer: nn.Module) -> None:
    x = _batch(layer)
    with torch.inference_mode():
        rounded, true = convolution.Int8Convolution(layer)(x), layer(x)
    bias = 0 if layer.bias is None else layer.bias.view(1, -1, *[1] * (x.dim() - 2))
    error = (rounded - true).flatten(2).norm(dim=2)
    assert (error <= 0.02 * (true - bias).flatten(2).norm(dim=2) + 2e-6 * true.flatten(2).norm(dim=2)).all()
    assert error.sum() > 0


def test_a_sample_gives_the_same_in_any_batch(layer: nn.Module) -> None:
    x, rounded = _batch(layer), convolution.Int8Convolution(layer)
    with torch.inference_mode():
        whole = rounded(x)
        alone = torch.cat([rounded(sample[None]) for sample in x])
        turned = rounded(x.flip(0)).flip(0)
    assert torch.equal(whole, alone) and torch.equal(whole, turned)


def test_a_sample_without_values_gives_none_and_leaves_the_others(layer: nn.Module) -> None:
    x, rounded = _batch(layer), convolution.Int8Convolution(layer)
    with torch.inference_mode():
        before = rounded(x)
        x[2, 1] = torch.nan
        after = rounded(x)
    assert after[2].isnan().all()
    kept = [0, 1, 3, 4]
    assert torch.equal(after[kept], before[kept])


@pytest.mark.parametrize("mode", MODES)
def test_a_window_has_the_same_embedding_wherever_the_clip_begins(mode: Mode) -> None:
    """The tower takes four windows at a time; what remains at the end of a clip is not a case of its own."""
    network = prepare(filled(SyncNet), mode)
    frames = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 13, 224, 224)).astype(np.float32))
    with torch.inference_mode():
        whole, tail = network.lips_of_clip(frames), network.lips_of_clip(frames[:, 3:])
    assert len(whole) == 9 and len(tail) == 6
    assert torch.allclose(whole[3:], tail, rtol=0, atol=2e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("mode", MODES)
def test_a_prepared_network_is_one_for_inference(mode: Mode) -> None:
    network = prepare(filled(SyncNet), mode)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    kinds = [type(layer) for layer in network.netcnnlip.modules() if hasattr(layer, "weight")]
    assert kinds == [convolution.Convolution if mode == "exact" else convolution.Int8Convolution] * len(kinds)
    assert len(kinds) == 6


def test_pictures_and_heads_stay_in_float32() -> None:
    network = prepare(filled(I3D), "fast")
    assert isinstance(network.Conv3d_1a_7x7.conv3d, convolution.Convolution)
    assert isinstance(network.logits.conv3d, convolution.Convolution)
    rounded = [layer for layer in network.modules() if isinstance(layer, convolution.Int8Convolution)]
    assert len(rounded) == 56


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_is_returned_as_it_is() -> None:
    program = torch.jit.trace(nn.ReLU().eval(), torch.zeros(1))
    assert prepare(program, "fast") is program


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="exact"):
        prepare(filled(SyncNet), "exakt")  # type: ignore[arg-type]


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        prepare(filled(SyncNet).train(), "exact")
