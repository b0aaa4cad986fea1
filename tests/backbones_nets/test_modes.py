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
    """`exact` is off by rounding of float32, `fast` by that of bfloat16 (8 bits) through all layers."""
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


@pytest.mark.parametrize("name", ["syncnet-lips", "hopenet", "lpips-alex"])
def test_fast_gives_the_same_numbers_where_bfloat16_is_multiplied_in_float32(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a processor gains by bfloat16 decides how products are made, not what is multiplied."""
    factory, run = CASES[name]
    network, found, held = filled(factory), {}, {}
    for gains in (True, False):
        monkeypatch.setattr(convolution, "processor_gains_by_bfloat16", lambda gains=gains: gains)
        ready = prepare(network, "fast")
        with torch.inference_mode():
            found[gains] = run(ready)
        layers = [layer for layer in ready.modules() if isinstance(layer, convolution.Convolution)]
        held[gains] = {layer.weight.dtype for layer in layers if layer.dtype == torch.bfloat16}
    with torch.inference_mode():
        exact = run(prepare(network, "exact"))
    # Layers that did not run (the tower of the sound) hold what they were made with.
    assert held[True] == {torch.bfloat16} and torch.float32 in held[False]
    ours, theirs = (float((found[gains] - exact).norm()) for gains in (True, False))
    assert float((found[True] - found[False]).norm()) < 0.5 * min(ours, theirs)
    assert ours == pytest.approx(theirs, rel=0.3)


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
    assert {p.dtype for p in network.netcnnlip.parameters()} == {torch.float32 if mode == "exact" else torch.bfloat16}
    assert {p.dtype for p in network.netfclip.parameters()} == {torch.float32}


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
