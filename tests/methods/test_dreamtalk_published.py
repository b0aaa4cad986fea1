"""DreamTalk's `paper` preset: published sizes and layout with random weights, files of 3DMM fits, wav2vec 2.0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from thbench_methods.dreamtalk import pipeline
from thbench_methods.dreamtalk.bundle import load_published
from thbench_methods.dreamtalk.config import PAPER
from thbench_methods.dreamtalk.fits import read_fit
from thbench_methods.dreamtalk.hearing import Wav2Vec
from thbench_methods.dreamtalk.motion import STATIC_POSE
from thbench_methods.dreamtalk.networks import PREFIX, DiffusionNet
from thbench_methods.dreamtalk.pipeline import DreamTalk
from thbench_methods.nets.liveportrait import stage as liveportrait
from thbench_methods.nets.pirenderer import FaceGenerator

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.errors import MethodError, MissingWeightsError, WeightsMismatchError
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

SPEECH = "wav2vec2-large-xlsr-53-english"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder as the authors hand it out, with random numbers."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    state = {PREFIX + key: value for key, value in DiffusionNet().state_dict().items()}
    # What else a checkpoint of the training holds is not read.
    torch.save(
        {"model_state_dict": state | {"lip_expert.weight": torch.zeros(3)}, "step": 7}, folder / "denoising_network.pth"
    )
    torch.save({"net_G_ema": FaceGenerator().state_dict(), "net_G": {}}, folder / "renderer.pt")
    (folder / SPEECH).mkdir()
    return folder


@pytest.fixture
def weights(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(published))
    return published


class Hears:
    """In the place of wav2vec 2.0, whose files are transformers' matter: features that depend on the sound."""

    def __init__(self, folder: Path, width: int) -> None:
        assert folder.name == SPEECH
        self.width, self.model = width, torch.nn.Identity()

    def __call__(self, samples: np.ndarray, frames: int, fps: float) -> torch.Tensor:
        del fps
        loudness = torch.from_numpy(np.array([part.std() for part in np.array_split(samples, 2 * frames)]))
        return loudness[:, None].float() * torch.linspace(-5, 5, self.width)


@pytest.fixture
def method(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DreamTalk]:
    del weights
    clip = clips_of()[0]
    monkeypatch.setattr(pipeline, "Wav2Vec", Hears)
    monkeypatch.setattr(liveportrait, "face_points", lambda method, portrait: truth_of(clip).landmarks68[0])
    return DreamTalk("paper")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, Audio(read_audio(clip.path).samples, 16_000), 25.0, 1, seed=1, controls={"steps": 2})


def fit(path: Path, frames: int, seed: int = 0, crop: bool = True) -> Path:
    rng = np.random.default_rng(seed)
    arrays = {"coeff": rng.normal(size=(frames, 257)).astype(np.float32)}
    if crop:
        arrays["transform_params"] = rng.normal(size=(frames, 5)).astype(np.float32)
    savemat(path, arrays)
    return path


def test_the_published_files_are_read(weights: Path) -> None:
    diffusion, renderer, folder = load_published(PAPER)
    assert folder == weights / SPEECH
    saved = torch.load(weights / "denoising_network.pth")["model_state_dict"]
    assert all(torch.equal(saved[PREFIX + key], value) for key, value in diffusion.state_dict().items())
    drawn = torch.load(weights / "renderer.pt")["net_G_ema"]
    assert all(torch.equal(drawn[key], value) for key, value in renderer.state_dict().items())
    assert not diffusion.training
    assert not renderer.training


@pytest.mark.parametrize("missing", ["denoising_network.pth", "renderer.pt", SPEECH])
def test_a_missing_file_is_named(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for path in published.iterdir():
        if path.name != missing:
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=missing):
        load_published(PAPER)


def test_another_network_is_refused(weights: Path) -> None:
    other = replace(PAPER, sizes=replace(PAPER.sizes, layers=2))
    with pytest.raises(WeightsMismatchError, match="denoising_network"):
        load_published(other)
    del weights


def test_a_request_becomes_frames(method: DreamTalk, asked: Request, tmp_path: Path) -> None:
    def frame(**controls: object) -> np.ndarray:
        return next(iter(method.generate(replace(asked, controls={**asked.controls, **controls})).frames))  # type: ignore[arg-type]

    plain = frame()
    assert plain.shape == (256, 256, 3)
    assert plain.dtype == np.uint8
    assert np.array_equal(plain, frame(style="none", pose="still"))
    for controls in (
        {"style": str(fit(tmp_path / "style.mat", 30, crop=False))},
        {"pose": str(fit(tmp_path / "pose.mat", 30))},
        {"style": str(tmp_path / "style.mat"), "guidance": 2.0},
    ):
        assert not np.array_equal(plain, frame(**controls)), controls


def test_the_pose_of_a_fit_is_taken_over_and_its_last_row_goes_on(method: DreamTalk, tmp_path: Path) -> None:
    stage = method.parts.stage
    given: tuple[object, ...] = (None, 5, None, None)
    path = fit(tmp_path / "pose.mat", 3)
    pose = stage.pose(str(path), *given)  # type: ignore[arg-type]
    whole = read_fit(path)
    assert whole.crop is not None
    wanted = torch.cat((whole.coefficients[:, 224:227], whole.coefficients[:, 254:257], whole.crop[:, 2:]), dim=1)
    torch.testing.assert_close(pose, wanted[[0, 1, 2, 2, 2]])
    assert stage.pose("still", *given)[4].tolist() == pytest.approx(STATIC_POSE)  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="transform_params"):
        stage.pose(str(fit(tmp_path / "other.mat", 3, crop=False)), *given)  # type: ignore[arg-type]


def test_no_style_predictor_was_released(method: DreamTalk, asked: Request) -> None:
    """So without a style clip the published preset has no style, whatever the scale of the guidance."""
    first, second = (
        next(iter(method.generate(replace(asked, controls={"steps": 2, "guidance": scale})).frames))  # type: ignore[arg-type]
        for scale in (1.0, 3.0)
    )
    assert np.abs(first.astype(int) - second).max() <= 1


@pytest.mark.parametrize(
    "arrays",
    [
        {"coeff": np.zeros((4, 256), np.float32)},
        {"coeff": np.zeros((0, 257), np.float32)},
        {"other": np.zeros((4, 257), np.float32)},
        {"coeff": np.zeros((4, 257), np.float32), "transform_params": np.zeros((3, 5), np.float32)},
        {"coeff": np.array(["a" * 257])},
    ],
)
def test_files_that_are_no_fit_are_refused(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    savemat(tmp_path / "fit.mat", arrays)
    with pytest.raises(MethodError) as caught:
        read_fit(tmp_path / "fit.mat")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_matlab_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fit.mat").write_bytes(b"no MATLAB file at all, but long enough to be looked at" * 9)
    with pytest.raises(MethodError, match="no MATLAB file"):
        read_fit(tmp_path / "fit.mat")
    with pytest.raises(MethodError, match="does not exist"):
        read_fit(tmp_path / "absent.mat")


def test_a_fit_is_cut_by_the_order_of_the_face_model(tmp_path: Path) -> None:
    savemat(tmp_path / "fit.mat", {"coeff": np.arange(514, dtype=np.float64).reshape(2, 257)})
    assert read_fit(tmp_path / "fit.mat").expression[0].tolist() == list(range(80, 144))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers", reason="the extra `text` is not installed")
    folder = tmp_path_factory.mktemp("wav2vec")
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    config = transformers.Wav2Vec2Config(**sizes, conv_dim=(16,) * 7, num_conv_pos_embeddings=16)
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("frames", [1, 2, 25, 26])
def test_wav2vec_gives_two_features_for_every_frame(encoder: Path, frames: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, round(frames * 640)).astype(np.float32)
    assert Wav2Vec(encoder, 24)(sound, frames, 25.0).shape == (2 * frames, 24)


def test_wav2vec_is_the_last_hidden_state_of_normal_sound(encoder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sound = np.random.default_rng(0).normal(0.2, 0.1, 16_000).astype(np.float32)
    processor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    values = processor(sound, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        wanted = transformers.Wav2Vec2Model.from_pretrained(encoder).eval()(values).last_hidden_state[0]
    heard = Wav2Vec(encoder, 24)(sound, 25, 25.0)
    # The silence behind the sound gives the last frame its second feature, and is heard a little by the others.
    assert len(wanted) == 49
    torch.testing.assert_close(heard[:40], wanted[:40], atol=0.05, rtol=0.05)


def test_another_width_and_no_encoder_are_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatchError, match="24 values"):
        Wav2Vec(encoder, 1024)
    with pytest.raises(WeightsMismatchError, match="no speech encoder"):
        Wav2Vec(tmp_path, 1024)
