"""DAWN's preset `paper`: published file names and layouts, filled with random weights, from request to frames."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.dawn.config import PAPER
from thbench_methods.dawn.diffusion import A2VFDM
from thbench_methods.dawn.face_mask import published_encoder
from thbench_methods.dawn.hearing import KERNEL, SEGMENT, STRIDE, Hubert, expected, segments
from thbench_methods.dawn.lfg import LatentFlowGenerator
from thbench_methods.dawn.pbnet import PBNet
from thbench_methods.dawn.pipeline import Dawn
from thbench_methods.dawn.state import PLACE, SCALE, State

from thbench.errors import MissingExtraError, WeightsMismatchError
from thbench.types import Audio, Request

HEARD = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed; it comes with thbench[text]",
)


def save_hubert(folder: Path, width: int = 1024) -> None:
    """A HuBERT of the published width and convolutions, of one layer."""
    import transformers

    config = transformers.HubertConfig(
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=16,
        intermediate_size=64,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
        conv_dim=(32,) * 7,
    )
    torch.manual_seed(1)
    transformers.HubertModel(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    lfg = LatentFlowGenerator()
    entries = {name: getattr(lfg, name).state_dict() for name in ("generator", "region_predictor", "bg_predictor")}
    torch.save({**entries, "epoch": 7, "optimizer_generator": {}}, folder / "LFG_128_1000ep.pth")
    torch.save({"diffusion": A2VFDM(PAPER.unet).state_dict(), "example": 3}, folder / "DAWN_128.pth")
    for what, name, sizes in (
        ("pose", "checkpoint_40000.pth.tar", PAPER.pose),
        ("blink", "checkpoint_95000.pth.tar", PAPER.blink),
    ):
        place = folder / "pbnet_seperate" / what
        place.mkdir(parents=True)
        torch.save(PBNet(sizes).state_dict(), place / name)
    (folder / "hubert-large-ls960-ft").mkdir()
    return folder


class Heard:
    """In the place of HuBERT, whose package need not be installed: features of the published width."""

    def __init__(self, folder: Path, width: int, device: torch.device) -> None:
        assert folder.name == "hubert-large-ls960-ft" and width == 1024 and device.type == "cpu"

    def __call__(self, samples: np.ndarray, frames: int, fps: float) -> torch.Tensor:
        return torch.randn(frames, 1024, generator=torch.Generator().manual_seed(len(samples)))


@pytest.fixture
def published(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Dawn:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(weights))
    # The portrait's state is given: the face landmarker is a file of its own, with tests of its own.
    state = State(torch.tensor([3.0, -2.0, 1.0, SCALE, *PLACE]), torch.tensor([0.3, 0.3]), torch.tensor(BOX))
    monkeypatch.setattr("thbench_methods.dawn.bundle.read_by_landmarks", lambda portrait: state)
    monkeypatch.setattr("thbench_methods.dawn.bundle.Hubert", Heard)
    return Dawn("paper")


BOX = [40.0, 150.0, 30.0, 170.0, 200.0, 190.0]


def test_the_published_layout_is_read_and_generates(published: Dawn) -> None:
    portrait = np.random.default_rng(0).integers(0, 256, (200, 190, 3), dtype=np.uint8)
    sound = np.random.default_rng(1).normal(0, 0.1, 8_000).astype(np.float32)
    request = Request(portrait, Audio(sound, 16_000), 25.0, 2, controls={"steps": 1})
    first = np.stack(list(published.generate(request).frames))
    assert first.shape == (2, 200, 190, 3)
    assert np.array_equal(first, np.stack(list(published.generate(request).frames)))


def test_the_defaults_are_the_published_ones(published: Dawn) -> None:
    settings = published.config
    assert (settings.diffusion.steps, settings.diffusion.eta, settings.diffusion.guidance) == (20, 1.0, 1.0)
    assert settings.unet.window == 40 and settings.motion.gain == 1 and not settings.motion.residual
    own = published_encoder(1234)
    assert torch.equal(published.networks.face.conv1.weight, own.conv1.weight)
    assert torch.equal(published.networks.face.conv2.bias, own.conv2.bias)


def test_a_file_of_another_network_is_refused(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pose = "checkpoint_40000.pth.tar"
    for path in weights.rglob("*"):
        if path.is_file() and path.name != pose:
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "hubert-large-ls960-ft").mkdir()
    torch.save(PBNet(PAPER.blink).state_dict(), tmp_path / pose)
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMismatchError, match="of another shape"):
        Dawn("paper")


def test_sound_is_heard_in_the_published_segments() -> None:
    sound = torch.arange(2 * SEGMENT + 1000.0)
    parts = segments(sound)
    assert [len(part) for part in parts] == [SEGMENT + KERNEL - STRIDE] * 2 + [1000]
    assert [int(part[0]) for part in parts] == [0, SEGMENT, 2 * SEGMENT]
    assert len(segments(sound[: SEGMENT + 100])) == 1 and segments(sound[:300]) == []


def test_features_are_as_many_as_the_whole_sound_has() -> None:
    features = torch.ones(60, 4)
    assert expected(features, torch.zeros(16_000)).shape == (49, 4)
    padded = expected(features[:40], torch.zeros(16_000))
    assert padded.shape == (49, 4) and padded[40:].abs().max() == 0
    assert expected(features[:0], torch.zeros(10)).tolist() == [[0, 0, 0, 0]]


@HEARD
def test_hubert_gives_a_row_per_frame(tmp_path: Path) -> None:
    save_hubert(tmp_path)
    hear = Hubert(tmp_path, 1024, torch.device("cpu"))
    sound = np.random.default_rng(2).normal(0, 0.1, 16_000).astype(np.float32)
    rows = hear(sound, 25, 25.0)
    assert rows.shape == (25, 1024) and rows.isfinite().all()
    # First and last rows are the first and last features, whatever lies between.
    torch.testing.assert_close(hear(sound, 49, 25.0)[[0, -1]], rows[[0, -1]])
    torch.testing.assert_close(hear(3 * sound, 25, 25.0), rows, atol=1e-3, rtol=1e-3)


@HEARD
def test_what_is_no_hubert_of_that_width_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsMismatchError, match="no HuBERT"):
        Hubert(tmp_path / "empty", 1024, torch.device("cpu"))
    save_hubert(tmp_path / "small", 64)
    with pytest.raises(WeightsMismatchError, match="64 values"):
        Hubert(tmp_path / "small", 1024, torch.device("cpu"))


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="transformers is installed")
def test_the_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="text"):
        Hubert(tmp_path, 1024, torch.device("cpu"))
