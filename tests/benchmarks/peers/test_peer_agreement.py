"""The published code itself beside ours on inputs that no fixture has: odd sizes, other lengths, other sets.

Needs the extra `oracle-peers`. Weights are the parity recipe's, or random ones on both sides.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from peer_packages import ABSENT, WHY
from torch import nn

from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS
from thbench.backbones.mfcc import filter_bank, mfcc
from thbench.backbones.modes import prepare
from thbench.backbones.s3fd import S3FD, find_faces
from thbench.backbones.syncnet import SyncNet
from thbench.faces.alignment import arcface_matrix
from thbench.metrics import fid, fvd, kid, lse
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import moments
from thbench.parity.recipe import tensor

pytestmark = pytest.mark.skipif(bool(ABSENT), reason=WHY)

SIZES = ((37, 53), (299, 299), (300, 298), (64, 400), (481, 270), (2, 3))
"""Rows and columns: smaller and larger than the networks', odd, wide, high, tiny."""


@pytest.fixture(scope="module", autouse=True)
def shim() -> None:
    from peer_shim import install

    install()


def state(factory: Callable[[], nn.Module], salt: str = "agreement") -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in factory().state_dict().items()}
    return {key: torch.from_numpy(tensor(key, shape, salt)) for key, shape in shapes.items()}


def ours(factory: Callable[[], nn.Module], values: dict[str, torch.Tensor]) -> Any:
    net = factory()
    net.load_state_dict(values)
    return prepare(net.eval(), "exact")


def difference(a: Any, b: Any) -> float:
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))


def frames(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 160, 399, 400, 401, 559, 560, 561, 720, 12345, 40000])
def test_mfcc_of_any_length(count: int) -> None:
    published = importlib.import_module("python_speech_features")
    random = np.random.default_rng(count)
    loud = random.integers(-32768, 32768, count).astype(np.int16)
    for audio in (loud, (loud // 3000).astype(np.int16), np.zeros(count, np.int16)):
        assert difference(mfcc(audio), published.mfcc(audio, 16000)) < 1e-9
        energies, total = published.fbank(audio, 16000, nfft=512)
        found = filter_bank(audio)
        assert difference(found.energies, energies) < 1e-9 and difference(found.total, total) < 1e-9


class Seen(Exception):
    """Carries what a network's first layer was given."""


def first_input(net: nn.Module, layer: nn.Module, call: Callable[[], Any]) -> torch.Tensor:
    def stop(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        raise Seen(inputs[0].detach().clone())

    handle = layer.register_forward_pre_hook(stop)
    try:
        call()
    except Seen as seen:
        return seen.args[0]
    finally:
        handle.remove()
    raise AssertionError(f"{type(net).__name__} did not reach its first layer")


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[np.ndarray], torch.Tensor]]:
    """Each tool's own way from frames (N, H, W, 3) to the first layer of its network."""
    import pytorch_fid.inception as published
    from cleanfid.resize import build_resizer
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchmetrics.image.fid import NoTrainInceptionV3

    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(state(InceptionFID), path)
    published.load_state_dict_from_url = lambda *_args, **_kwargs: torch.load(path)
    pytorch_fid = published.InceptionV3([3]).eval()
    fidelity = FeatureExtractorInceptionV3("a", ["2048"], feature_extractor_weights_path=str(path))
    metrics = NoTrainInceptionV3("b", ["2048"], str(path))
    clean = build_resizer("clean")

    def images(given: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(given).permute(0, 3, 1, 2)

    def by_pytorch_fid(given: np.ndarray) -> torch.Tensor:
        return first_input(pytorch_fid, pytorch_fid.blocks[0][0], lambda: pytorch_fid(images(given).float() / 255))

    def by_clean_fid(given: np.ndarray) -> torch.Tensor:
        resized = np.stack([clean(frame) for frame in given])
        return (torch.from_numpy(resized).permute(0, 3, 1, 2) - 128) / 128

    return {
        "pytorch-fid": by_pytorch_fid,
        "clean-fid": by_clean_fid,
        "torch-fidelity": lambda g: first_input(fidelity, fidelity.Conv2d_1a_3x3, lambda: fidelity(images(g))),
        "torchmetrics": lambda g: first_input(metrics, metrics.Conv2d_1a_3x3, lambda: metrics(images(g))),
    }


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tool", fid.PREPARATIONS)
def test_frames_of_any_size_reach_inception_as_the_tool_prepares_them(
    tool: str, size: tuple[int, int], inception: dict[str, Callable[[np.ndarray], torch.Tensor]]
) -> None:
    given = frames(2, *size)
    assert difference(fid.prepare(torch.from_numpy(given), tool), inception[tool](given)) < 1e-5


@pytest.mark.parametrize("length", [9, 10, 17, 33])
def test_i3d_of_any_length(length: int, tmp_path: Any) -> None:
    from cdfvd.third_party.i3d.utils import load_i3d_model, preprocess_i3d

    torch.save(state(I3D), tmp_path / "i3d.pth")
    published = load_i3d_model("cpu", tmp_path / "i3d.pth")
    given = frames(1, length, 150, 201)
    clips = fvd.stretched(torch.from_numpy(given))
    assert difference(clips, preprocess_i3d(given)) < 1e-6
    net = ours(I3D, state(I3D))
    with torch.no_grad():
        assert difference(net(200 * clips), published(200 * clips)) < 1e-5


@pytest.fixture(scope="module")
def syncnets() -> tuple[Any, Any]:
    from syncnet_python.SyncNetModel import S

    published = S(num_layers_in_fc_layers=1024)
    published.load_state_dict(state(SyncNet))
    return ours(SyncNet, state(SyncNet)), published.eval()


@pytest.mark.parametrize(("count", "samples"), [(6, 3840), (9, 40000), (41, 11 * 640 + 639), (23, 23 * 640)])
def test_syncnet_of_any_length(count: int, samples: int, syncnets: tuple[Any, Any]) -> None:
    """`SyncNetInstance.evaluate` written out on arrays: windows, embeddings, distances, offset and confidence."""
    import python_speech_features

    published = importlib.import_module("syncnet_python.SyncNetInstance")
    pictures = np.kron(frames(count, 14, 14, seed=count), np.ones((1, 16, 16, 1), np.uint8))
    audio = np.random.default_rng(1).integers(-9000, 9000, samples).astype(np.int16)
    windows = min(count, samples // 640) - 5
    video = torch.from_numpy(pictures).permute(3, 0, 1, 2).float()
    columns = torch.from_numpy(python_speech_features.mfcc(audio, 16000).T.astype(float)).float()
    with torch.no_grad():
        lips = syncnets[1].forward_lip(torch.stack([video[:, i : i + 5] for i in range(windows)]))
        speech = syncnets[1].forward_aud(torch.stack([columns[None, :, 4 * i : 4 * i + 20] for i in range(windows)]))
    between = torch.stack(published.calc_pdist(lips, speech, vshift=15))
    curve = between.mean(dim=0)
    found = lse.score(*lse.clip_embeddings(syncnets[0], pictures, audio))
    assert difference(found.distances, between) < 1e-5
    assert difference(found.curve, curve) < 1e-5
    assert (found.lse_d, found.offset) == (pytest.approx(float(curve.min()), rel=1e-5), 15 - int(curve.argmin()))
    assert found.lse_c == pytest.approx(float(curve.median() - curve.min()), rel=1e-3)


@pytest.mark.parametrize("size", [(133, 217), (190, 150)])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 0.75)])
def test_s3fd_at_any_size_and_scale(size: tuple[int, int], scales: tuple[float, ...]) -> None:
    from syncnet_python.detectors.s3fd import S3FD as Detector
    from syncnet_python.detectors.s3fd.nets import S3FDNet

    net = S3FDNet(device="cpu")
    net.load_state_dict(state(S3FD))
    picture = np.kron(frames(-(-size[0] // 19), -(-size[1] // 19)), np.ones((19, 19, 1), np.uint8))[
        : size[0], : size[1]
    ]
    expected = Detector(net, device="cpu").detect_faces(picture, conf_th=0.4, scales=list(scales))
    found = find_faces(ours(S3FD, state(S3FD)), picture, scales=scales, threshold=0.4)
    assert len(found) == len(expected) > 0
    # Random scores lie near each other, so neighbours may change places.
    order = [np.lexsort(rows[:, :4].round(2).T) for rows in (found, expected)]
    assert difference(found[order[0]], expected[order[1]]) < 1e-4


@pytest.mark.parametrize("trunk", ["alex", "vgg", "squeeze"])
@pytest.mark.parametrize("size", [(64, 64), (65, 97), (131, 70)], ids=str)
def test_lpips_at_any_size(trunk: str, size: tuple[int, int]) -> None:
    published = importlib.import_module("lpips").LPIPS(net=trunk, pnet_rand=True, verbose=False)
    torch.manual_seed(0)
    net = LPIPS(trunk)
    theirs = [m for m in published.net.modules() if isinstance(m, nn.Conv2d)]
    mine = [m for m in net.features.modules() if isinstance(m, nn.Conv2d)]
    for source, target in zip(theirs, mine, strict=True):
        target.load_state_dict(source.state_dict())
    for index, head in enumerate(published.lins):
        getattr(net, f"lin{index}").model[1].load_state_dict(head.model[1].state_dict())
    images = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 3, 3, *size)).astype(np.float32))
    with torch.no_grad():
        expected = published(images[0], images[1]).flatten()
        assert difference(prepare(net.eval(), "exact")(images[0], images[1]), expected) < 1e-5


def similarities() -> Iterator[np.ndarray]:
    """Five points as a face shows them, turned, mirrored, tiny, huge and far away."""
    random = np.random.default_rng(0)
    face = np.array([[-1, -1], [1, -1], [0, 0], [-0.8, 1], [0.8, 1]])
    for scale in (3.0, 40.0, 900.0):
        for turn in (0.0, 1.0, 3.1):
            for mirrored in (1, -1):
                spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
                points = scale * (face * (mirrored, 1) + random.uniform(-0.2, 0.2, (5, 2))) @ spin
                yield (points + random.uniform(-500, 1500, 2)).astype(np.float32)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("side", [112, 128, 224, 256])
def test_the_alignment_of_any_face(side: int) -> None:
    from insightface.utils.face_align import estimate_norm

    for points in similarities():
        expected = estimate_norm(points, side)
        found = arcface_matrix(points, side)
        # The published fit works in float32, where far points lose digits of the shift.
        corners = np.array([[*point, 1.0] for point in points])
        assert difference(corners @ found.T, corners @ expected.T) < 2e-3
        assert difference(found[:, :2], expected[:, :2]) < 1e-4


@pytest.mark.parametrize(("first", "second"), [(2, 2), (7, 90), (90, 7), (31, 32), (33, 32), (64, 200), (400, 300)])
def test_frechet_of_any_numbers(first: int, second: int) -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    random = np.random.default_rng(first)
    mix = random.standard_normal((32, 32)) * 0.8 ** np.arange(32)
    x, y = random.standard_normal((first, 32)) @ mix, random.standard_normal((second, 32)) @ mix + 0.1
    parts = [part for rows in (x, y) for part in (rows.mean(axis=0), np.cov(rows, rowvar=False))]
    found = frechet_distance(moments(x), moments(y), ddof=1)
    # scipy's root of a singular product is itself off by up to 1e-6 of the traces.
    assert abs(found.value - calculate_frechet_distance(*parts)) < 2e-6 * (found.trace_first + found.trace_second)


@pytest.mark.parametrize(("first", "second", "size", "count"), [(40, 60, 20, 7), (33, 33, 33, 3), (200, 150, 120, 5)])
def test_kid_of_any_subsets(first: int, second: int, size: int, count: int) -> None:
    from cleanfid.fid import kernel_distance
    from torch_fidelity.metric_kid import kid_features_to_metric

    random = np.random.default_rng(size)
    x, y = random.random((first, 48)), random.random((second, 48)) * 1.1
    settings = {"kid_subsets": count, "kid_subset_size": size, "verbose": False, "rng_seed": 2020}
    expected = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **settings)
    found = kid.kid(x, y, kid.Subsets(count=count, size=size, seed=2020))
    assert found.value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-7, abs=1e-12)
    np.random.seed(0)
    expected_clean = kernel_distance(x, y, num_subsets=count, max_subset_size=size)
    clean = kid.kid(x, y, kid.Subsets(count=count, size=size, seed=0, draw="second-then-first", shrink=True))
    assert clean.value == pytest.approx(expected_clean, rel=1e-9)
