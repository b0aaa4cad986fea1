"""The `paper` presets read the published layout, strictly: random weights, saved as the authors save theirs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from thbench_methods.kdtalker import bundle as kdtalker_files
from thbench_methods.kdtalker import config as kdtalker
from thbench_methods.kdtalker.motion import LAYOUT as KDTALKER_LAYOUT
from thbench_methods.kdtalker.networks import PREFIX, SpatiotemporalTransformer
from thbench_methods.kdtalker.pipeline import KDTalker
from thbench_methods.moda import bundle as moda_files
from thbench_methods.moda import config as moda
from thbench_methods.moda.networks import MotionDiffusion
from thbench_methods.nets.liveportrait.animate import FILES, STITCHING_ENTRIES, load_published
from thbench_methods.nets.liveportrait.appearance import AppearanceExtractor
from thbench_methods.nets.liveportrait.generator import SpadeGenerator
from thbench_methods.nets.liveportrait.motion import MotionExtractor
from thbench_methods.nets.liveportrait.stitching import StitchingRetargeting
from thbench_methods.nets.liveportrait.warping import WarpingNetwork
from thbench_methods.nets.speech.hidden_layers import HiddenLayers
from thbench_methods.nets.wav2lip_audio import AudioEncoder

from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MissingWeightsError, WeightsMismatchError
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

SMALL_KDTALKER = replace(
    kdtalker.PAPER,
    sizes=kdtalker.Sizes(width=48, layers=2, heads=4, audio=20, time_embedding=28),
    audio_widths=(4, 8, 8, 8, 20),
)
SMALL_MODA = replace(moda.PAPER, sizes=moda.Sizes(width=32, heads=4, blocks4=1, blocks2=1, blocks=1, audio=24))
LIVEPORTRAIT = {
    "appearance": AppearanceExtractor,
    "motion": MotionExtractor,
    "warping": WarpingNetwork,
    "generator": SpadeGenerator,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def save_kdtalker(folder, config):
    torch.manual_seed(0)
    denoiser, audio = SpatiotemporalTransformer(config.sizes), AudioEncoder(config.audio_widths)
    torch.save({"model": {PREFIX + k: v for k, v in denoiser.state_dict().items()}, "step": 3}, folder / "KDTalker.pth")
    state = {f"module.{key}": value for key, value in audio.state_dict().items()}
    # The whole Wav2Lip, of which only the audio encoder is read.
    state["module.face_encoder_blocks.0.0.conv_block.0.weight"] = torch.zeros(16, 6, 7, 7)
    torch.save({"state_dict": state, "optimizer": None}, folder / "wav2lip.pth")
    sizes = {**KDTALKER_LAYOUT.sizes, "kp": 63}
    # The published arrays are repeated on a trailing axis; what is read is theirs without it.
    arrays = {f"{name}_{what}": np.ones(size, np.float32) for name, size in sizes.items() for what in ("mean", "std")}
    np.savez(folder / "norm.npz", **arrays)
    return denoiser, audio


def save_moda(folder, config, *, null=True):
    torch.manual_seed(0)
    state = MotionDiffusion(config.sizes).state_dict()
    if not null:
        state = {key: value for key, value in state.items() if not key.startswith("null_")}
    torch.save(state, folder / "net-200.pth")
    torch.save({"mean": torch.ones(1, 70), "std": torch.ones(1, 70)}, folder / "mean.pt")
    (folder / "chinese-hubert-base").mkdir()
    return state


@pytest.fixture
def no_speech_encoder(monkeypatch):
    """Its files are transformers' matter, see `test_hubert_is_read_from_its_folder`."""
    monkeypatch.setattr(moda_files, "HiddenLayers", lambda folder: SimpleNamespace(features=folder))


def save_liveportrait(folder):
    torch.manual_seed(0)
    for part, factory in LIVEPORTRAIT.items():
        torch.save(factory().state_dict(), folder / FILES[part])
    state = StitchingRetargeting().state_dict()
    parts = {
        entry: {f"module.{key.removeprefix(entry + '.')}": v for key, v in state.items() if key.startswith(entry + ".")}
        for entry in STITCHING_ENTRIES
    }
    torch.save(parts, folder / FILES["stitching"])


def test_kdtalkers_files_are_read(folder):
    denoiser, audio = save_kdtalker(folder, SMALL_KDTALKER)
    bundle = kdtalker_files.load_published(SMALL_KDTALKER)
    for ours, theirs in ((bundle.denoiser, denoiser), (bundle.audio, audio)):
        read = ours.state_dict()
        assert all(torch.equal(read[key], value) for key, value in theirs.state_dict().items())
    assert bundle.statistics.motion_mean.tolist() == [1.0] * 70


@pytest.mark.parametrize("missing", ["KDTalker.pth", "wav2lip.pth", "norm.npz"])
def test_a_missing_file_of_kdtalker_is_named(folder, missing):
    save_kdtalker(folder, SMALL_KDTALKER)
    (folder / missing).unlink()
    with pytest.raises(MissingWeightsError, match=missing):
        kdtalker_files.load_published(SMALL_KDTALKER)


def test_another_network_than_kdtalkers_is_refused(folder):
    save_kdtalker(folder, replace(SMALL_KDTALKER, sizes=replace(SMALL_KDTALKER.sizes, layers=1)))
    with pytest.raises(WeightsMismatchError, match="layers"):
        kdtalker_files.load_published(SMALL_KDTALKER)


@pytest.mark.usefixtures("no_speech_encoder")
def test_modas_files_are_read(folder):
    state = save_moda(folder, SMALL_MODA)
    bundle, speech = moda_files.load_published(SMALL_MODA)
    read = bundle.diffusion.state_dict()
    assert all(torch.equal(read[key], value) for key, value in state.items())
    assert bundle.statistics.mean.tolist() == [1.0] * 70
    assert speech == folder / "chinese-hubert-base"


def test_hubert_is_read_from_its_folder(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra `text` is not installed")
    hubert = transformers.HubertConfig(
        hidden_size=24, num_hidden_layers=12, num_attention_heads=4, intermediate_size=32, conv_dim=(16,) * 7
    )
    transformers.HubertModel(hubert).save_pretrained(tmp_path)
    assert HiddenLayers(tmp_path).features(np.zeros(16_000, np.float32), 25, 25.0).shape == (25, 12, 24)


@pytest.mark.usefixtures("no_speech_encoder")
def test_modas_null_feature_is_drawn_from_the_published_seed_where_the_file_lacks_it(folder):
    save_moda(folder, SMALL_MODA, null=False)
    first, _ = moda_files.load_published(SMALL_MODA)
    torch.manual_seed(1)
    second, _ = moda_files.load_published(SMALL_MODA)
    assert torch.equal(first.diffusion.null_audio_feat, second.diffusion.null_audio_feat)
    assert first.diffusion.null_audio_feat.std() > 0.5


@pytest.mark.usefixtures("no_speech_encoder")
def test_another_network_than_modas_is_refused(folder):
    save_moda(folder, replace(SMALL_MODA, sizes=replace(SMALL_MODA.sizes, blocks=2)))
    with pytest.raises(WeightsMismatchError, match="blocks"):
        moda_files.load_published(SMALL_MODA)


@pytest.mark.full
def test_liveportraits_files_are_read_and_kdtalker_makes_frames_of_them(folder):
    save_liveportrait(folder)
    save_kdtalker(folder, kdtalker.PAPER)
    assert load_published(folder).stitching is not None
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb.repeat(4, 0).repeat(4, 1)
    sound = read_audio(clip.path)
    request = Request(portrait, Audio(sound.samples, 16_000), 25.0, 2, controls={"steps": 1})
    made = list(KDTalker("paper").generate(request).frames)
    assert [frame.shape for frame in made] == [(512, 512, 3)] * 2
