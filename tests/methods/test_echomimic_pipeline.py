"""EchoMimic and EchoMimic Acc from request to frames, with random weights; published files; what a frame hears."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from echomimic_weights import random_mini
from thbench_methods.common import Noise
from thbench_methods.echomimic import bundle as files
from thbench_methods.echomimic.acc.pipeline import EchoMimicAcc
from thbench_methods.echomimic.acc.spec import ECHOMIMIC_ACC
from thbench_methods.echomimic.config import ACCELERATED, MINI, PAPER, Config, Hearing
from thbench_methods.echomimic.flops import offer, offer_acc
from thbench_methods.echomimic.hearing import heard_around
from thbench_methods.echomimic.networks import EchoMimic as Networks
from thbench_methods.echomimic.pipeline import EchoMimic
from thbench_methods.echomimic.portrait import boxed, region_of
from thbench_methods.echomimic.spec import ECHOMIMIC
from thbench_methods.echomimic.whisper import ENTRY, TINY, WhisperEncoder, WhisperSizes, load_whisper, whisper_mel
from thbench_methods.hallo.portrait import Outlines
from thbench_methods.nets.unet3d.config import Sizes
from thbench_methods.nets.unet3d.guidance import Guided
from thbench_methods.nets.vae.autoencoder import AutoencoderKL
from thbench_methods.nets.vae.config import VAEConfig

from thbench.accel.captured import heard as loops_of
from thbench.accel.captured import method_receipt
from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MethodError, MissingWeightsError, UsageError, WeightsMismatchError
from thbench.media import read_audio, read_frames
from thbench.registry import ACCELERATIONS
from thbench.spec import load
from thbench.types import Audio, Request

FAST = {"steps": 1}
LONG = 15
"""Frames that take two windows of 12."""


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def method(_weights: None) -> EchoMimic:
    return EchoMimic("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, read_audio(clip.path), 25.0, 3, seed=1, controls=FAST)


def frames_of(method: EchoMimic, request: Request) -> np.ndarray:
    made = method.generate(request).frames
    assert not isinstance(made, Path)
    return np.stack(list(made))


def test_frames_are_as_asked_and_the_same_whatever_came_before(method: EchoMimic, asked: Request) -> None:
    longer = replace(asked, frames=LONG, controls={"steps": 2})
    first = frames_of(method, longer)
    assert first.shape == (LONG, 128, 128, 3)
    assert first.dtype == np.uint8
    next(iter(method.generate(replace(asked, seed=5)).frames))  # type: ignore[arg-type]
    assert np.array_equal(first, frames_of(method, longer))
    short = frames_of(method, asked)
    assert np.array_equal(short, frames_of(EchoMimic("mini"), asked))
    assert not np.array_equal(short, frames_of(method, replace(asked, seed=2)))


@pytest.mark.parametrize(
    ("audio", "frames"),
    [
        (Audio(np.ones(1, np.float32), 16_000), 1),
        (Audio(np.full(16_000, 3.0, np.float32), 16_000), 12),
        (Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000), 13),
        (Audio(np.zeros(8_000, np.float32), 16_000), 2),
    ],
    ids=["single-sample", "clipped", "8k", "silence"],
)
def test_odd_sound_and_any_length_work(method: EchoMimic, asked: Request, audio: Audio, frames: int) -> None:
    assert len(frames_of(method, replace(asked, audio=audio, frames=frames))) == frames


def test_other_frame_rates_and_sizes(method: EchoMimic, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:, 20:236]
    made = frames_of(method, replace(asked, portrait=portrait, fps=50.0, frames=4))
    assert made.shape == (4, 256, 216, 3)
    assert np.array_equal(made[1], made[2])


def test_speech_matters_to_every_frame(method: EchoMimic, asked: Request) -> None:
    seen, start = method.look(asked.portrait), method.start(3, Noise(0))
    told, predicted = method.told({"steps": 1, "guidance": 1.0}), []
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, 2_000).astype(np.float32)
    for sound in (loud, np.zeros(2_000, np.float32)):
        run = method.sampling(seen, method.hear(sound, 3), told, start)
        with torch.inference_mode():
            predicted.append(run.denoiser.full(start, torch.tensor([999]), run.condition)[0])
    assert ((predicted[0] - predicted[1]).abs().amax(dim=(0, 1, 3, 4)) > 1e-5).all()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"frames": 0}, "0 frames"),
        ({"audio": Audio(np.zeros(0, np.float32), 16_000)}, "sound"),
        ({"portrait": np.zeros((8, 8), np.uint8)}, "portrait"),
        ({"portrait": np.zeros((64, 64, 3), np.uint8)}, "sees no head"),
        ({"controls": {"emotion": "happy"}}, "echomimic has no control 'emotion'"),
        ({"controls": {"guidance": -1.0}}, "guidance"),
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(
    method: EchoMimic, asked: Request, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(MethodError, match=says) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_video_is_made_when_it_is_read_and_stages_are_told(method: EchoMimic, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(replace(asked, controls={"steps": 2}), lambda *step: told.append(step))
    assert "denoise" not in generation.seconds
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    assert told == [("denoise", 0, 2), ("denoise", 1, 2)]
    assert set(generation.seconds) == {"portrait", "audio", "denoise", "decode"}


def test_a_loop_runs_in_the_stated_windows_from_noise_that_is_not_far_out(method: EchoMimic, asked: Request) -> None:
    seen, audio = method.look(asked.portrait), torch.randn(40, 20, 96)
    start = method.start(40, Noise(3))
    assert start.shape == (1, MINI.unet.latent, 40, 8, 8)
    assert float(start.abs().max()) == MINI.sampling.noise
    run = method.sampling(seen, audio, method.told({"steps": 0, "guidance": 0.0}), start)
    assert isinstance(run.denoiser.denoiser, Guided)
    assert len(run.schedule.times) == PAPER.sampling.steps == 30
    assert run.condition.guided and run.condition.batch == 2
    assert not run.condition.audio[0].any() and torch.equal(run.condition.audio[1], audio)
    assert not run.condition.locator[0].any() and run.condition.locator[1].any()
    assert not run.denoiser.keeps
    _, kept = run.denoiser.full(start, torch.tensor([run.schedule.times[1]]), run.condition)
    # Starts 9 frames apart, moved by 2 at the second step, and from the end on at the beginning.
    assert [part[0] for part in kept.parts] == [2, 11, 20, 29, 38]
    assert kept.parts[-1] == tuple(frame % 40 for frame in range(38, 50))
    assert kept.deep == ()


def test_acc_takes_six_steps_without_guidance_by_a_network_of_its_own(asked: Request) -> None:
    base, acc = EchoMimic("mini"), EchoMimicAcc("mini")
    told = acc.told({"steps": 6, "guidance": 1.0})
    seen, audio = acc.look(asked.portrait), torch.randn(3, 20, 96)
    run = acc.sampling(seen, audio, told, acc.start(3, Noise(3)))
    assert list(run.schedule.times) == [999, 832, 666, 499, 332, 166]
    assert not isinstance(run.denoiser.denoiser, Guided)
    assert not run.condition.guided and run.condition.batch == 1
    for part in ("reference_unet", "face_locator", "base"):
        ours, theirs = (m.bundle.networks.get_submodule(part).state_dict() for m in (base, acc))
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    weights = [m.bundle.networks.denoising_unet.conv_in.weight for m in (base, acc)]
    assert not torch.equal(*weights)
    told_of: list[tuple[str, int, int]] = []
    frames = acc.generate(replace(asked, controls={}), lambda *step: told_of.append(step)).frames
    assert len(list(frames)) == 3  # type: ignore[arg-type]
    assert told_of == [("denoise", step, 6) for step in range(6)]


def test_key_steps_are_those_of_the_preset_for_its_own_steps(method: EchoMimic) -> None:
    assert method.key_steps(30) == (0, 1, 2, 5, 9, 14, 20, 26)
    assert method.key_steps(29) is None
    assert EchoMimicAcc("mini").key_steps(6) == (0, 1, 3, 5)


@pytest.mark.full
@pytest.mark.parametrize("name", [*ACCELERATIONS])
def test_every_acceleration_applies(asked: Request, name: str) -> None:
    request = replace(asked, frames=2, controls={"steps": 6, "guidance": 2.0})
    base, fast = (frames_of(EchoMimic("mini", accelerations=names), request) for names in ((), (name,)))
    assert fast.shape == base.shape
    # They change cached steps, of which there are none without another acceleration.
    assert np.array_equal(fast, base) == (name in ("dfa", "refdrop"))


def test_accelerations_save_what_they_say_and_all_key_steps_save_nothing(asked: Request) -> None:
    short = replace(asked, controls={"steps": 4})
    base = loops_of(EchoMimic, "mini", (), short, "cpu")
    fast = loops_of(EchoMimic, "mini", ("lightningcp", "dfa", "refdrop"), short, "cpu")
    assert len(base.loops) == 1
    found = method_receipt(base, fast)
    assert found.flop_ratio > 2
    assert not np.array_equal(base.frames, fast.frames)
    # Every step of one is a key step, so nothing is cached.
    one = replace(asked, controls={"steps": 1})
    alone, cached = (frames_of(EchoMimic("mini", accelerations=names), one) for names in ((), ("lightningcp",)))
    assert np.array_equal(alone, cached)


def test_specs_and_offers_name_what_there_is() -> None:
    for spec in (ECHOMIMIC, ECHOMIMIC_ACC):
        for name in (spec.factory, spec.flops, spec.trainers["mini"]):
            assert callable(load(name, purpose="a test"))
        assert spec.presets == ("mini", "paper")
    mini, acc = offer("mini"), offer_acc("mini")
    assert mini.workload == "12 frames at 128 px, 30 steps, guided"
    assert acc.workload == "12 frames at 128 px, 6 steps"
    assert offer_acc("paper").workload == offer("accelerated").workload == "12 frames at 512 px, 6 steps"
    assert [part.name for part in mini.parts] == ["face_locator", "reference_unet", "base"]
    with pytest.raises(UsageError, match=r"echomimic-acc has no preset 'tiny'"):
        offer_acc("tiny")


def test_weights_are_small() -> None:
    assert files.FILE.stat().st_size < 6e6
    assert files.ACC_FILE.stat().st_size < 6e6


def test_a_frame_hears_two_features_a_side_for_every_layer() -> None:
    features = torch.arange(30.0)[:, None, None] + torch.arange(5.0)[:, None] / 10
    found = heard_around(features, Hearing(), 12, 24.0)
    assert found.shape == (12, 50, 1)
    assert Hearing().tokens == 50
    for frame, tokens in enumerate(found[..., 0].view(12, 10, 5)):
        middle = int(frame * 50 / 24)
        places = [min(max(place, 0), 29) for place in range(middle - 4, middle + 6)]
        torch.testing.assert_close(tokens, torch.tensor(places)[:, None] + torch.arange(5.0) / 10)


def test_the_box_of_the_face_grows_by_a_tenth_at_each_edge() -> None:
    picture = boxed(np.array([[0.2, 0.4], [0.6, 0.9]]), 100)
    rows, columns = np.nonzero(picture)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (35, 95, 16, 64)
    assert set(np.unique(picture)) == {0.0, 1.0}
    corner = boxed(np.array([[0.0, 0.05], [0.5, 1.0]]), 100)
    assert corner[:, :55].all() and not corner[:, 55:].any()


def test_the_published_locator_sees_a_box_and_the_small_one_the_portrait() -> None:
    outlines = Outlines(np.array([[0.25, 0.3], [0.75, 0.9]]), np.array([[0.42, 0.7], [0.58, 0.76]]))
    box = region_of(outlines, torch.rand(1, 3, 512, 512), PAPER)
    assert box.shape == (1, 1, 512, 512)
    portrait = torch.rand(1, 3, 128, 128)
    assert region_of(outlines, portrait, MINI).shape == (1, 3, 128, 128)


SMALL = Config(
    unet=Sizes(channels=(8, 16, 16, 16), layers=1, heads=2, groups=4, tokens=384),
    reference=Sizes(channels=(8, 16, 16, 16), layers=1, heads=2, groups=4, tokens=6),
    locator=(4, 5, 6, 7),
    size=64,
    vae=VAEConfig(channels=(8, 8, 8, 8), layers=1, groups=4),
)


def save_published(folder: Path, *, acc: bool = False) -> dict[str, dict[str, torch.Tensor]]:
    """Random weights as the authors save theirs: motion modules apart, and all of Whisper."""
    torch.manual_seed(0)
    net, suffix = Networks(SMALL), "_acc" if acc else ""
    state = net.denoising_unet.state_dict()
    motion = {key: value for key, value in state.items() if files.MOTION in key}
    saved = {
        f"denoising_unet{suffix}.pth": {key: value for key, value in state.items() if key not in motion},
        f"motion_module{suffix}.pth": motion,
        "reference_unet.pth": net.reference_unet.state_dict(),
        "face_locator.pth": net.face_locator.state_dict(),
    }
    for name, tensors in saved.items():
        torch.save(tensors, folder / name)
    (folder / "sd-vae-ft-mse").mkdir()
    torch.save(AutoencoderKL(SMALL.vae).state_dict(), folder / "sd-vae-ft-mse" / "diffusion_pytorch_model.bin")
    own = {f"encoder.{key}": value for key, value in WhisperEncoder(TINY).state_dict().items()}
    torch.save(
        {"dims": {"n_mels": 80}, ENTRY: {**own, "decoder.ln.weight": torch.ones(384)}}, folder / "whisper_tiny.pt"
    )
    return saved


@pytest.mark.parametrize("acc", [False, True])
def test_the_published_files_are_read_strictly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acc: bool) -> None:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    saved = save_published(tmp_path, acc=acc)
    read = files.load_published_acc if acc else files.load_published
    bundle = read(SMALL)
    ours = bundle.networks.denoising_unet.state_dict()
    denoising, motion, reference, locator = saved.values()
    assert all(torch.equal(ours[key], value) for key, value in {**denoising, **motion}.items())
    for net, state in ((bundle.networks.reference_unet, reference), (bundle.networks.face_locator, locator)):
        assert all(torch.equal(net.state_dict()[key], value) for key, value in state.items())
    assert bundle.hear(np.zeros(16_000, np.float32), 24, 24.0).shape == (50, 5, 384)
    assert not any(p.is_meta for p in bundle.networks.parameters())
    path = tmp_path / next(iter(saved))
    torch.save({**denoising, "conv_in.weight": torch.zeros(8, 5, 3, 3)}, path)
    with pytest.raises(WeightsMismatchError, match="conv_in"):
        read(SMALL)
    path.unlink()
    with pytest.raises(MissingWeightsError, match=path.name):
        read(SMALL)


def test_the_paper_preset_generates_from_published_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Request
) -> None:
    from thbench_methods.echomimic import pipeline

    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    save_published(tmp_path)

    def face(picture: np.ndarray, name: str) -> Outlines:
        points = np.array([[0.3, 0.2], [0.7, 0.8]])
        return Outlines(points, points)

    monkeypatch.setattr(files, "look_published", face)
    small = {**pipeline.PRESETS, "paper": pipeline.Preset(SMALL, files.load_published)}
    made = EchoMimic("paper", kind=replace(pipeline.BASE, presets=small)).generate(asked).frames
    assert np.stack(list(made)).shape == (3, 128, 128, 3)  # type: ignore[arg-type]


def test_unknown_presets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"echomimic-acc has no preset 'minni'"):
        EchoMimicAcc("minni")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(
        MissingWeightsError,
        match=r"echomimic-acc@paper needs denoising_unet_acc\.pth, motion_module_acc\.pth, reference_unet",
    ):
        EchoMimicAcc("paper")
    assert ACCELERATED.sampling.key_steps == (0, 1, 3, 5)


def test_whisper_hears_thirty_seconds_at_a_time(tmp_path: Path) -> None:
    sizes = WhisperSizes(width=8, heads=2, blocks=2)
    torch.manual_seed(0)
    encoder = WhisperEncoder(sizes).eval()
    encoder.positional_embedding.normal_()
    draw = np.random.default_rng(0)
    sound = draw.uniform(-0.5, 0.5, 31 * 16_000).astype(np.float32)
    found = encoder.features(sound)
    assert found.shape == (31 * 50, 3, 8)
    mel = whisper_mel(sound)
    assert mel.shape == (80, 3100)
    rest = torch.zeros(1, 80, 3000)
    rest[0, :, :100] = mel[:, 3000:]
    with torch.inference_mode():
        torch.testing.assert_close(found[1500:], encoder(rest)[0, :50])
    # By hand: the layers are what enters the transformer, and what each block gives.
    with torch.inference_mode():
        hidden = torch.nn.functional.gelu(encoder.conv1(rest))
        x = torch.nn.functional.gelu(encoder.conv2(hidden))[0].T + encoder.positional_embedding
        torch.testing.assert_close(found[1500:, 0], x[:50])
        block = encoder.blocks[0]
        query, key, value = (
            part(block.attn_ln(x)).unflatten(1, (2, 4)) for part in (block.attn.query, block.attn.key, block.attn.value)
        )
        weight = torch.einsum("ihd,jhd->hij", query, key).div(2).softmax(-1)
        x = x + block.attn.out(torch.einsum("hij,jhd->ihd", weight, value).flatten(1))
        x = x + block.mlp(block.mlp_ln(x))
        torch.testing.assert_close(found[1500:, 1], x[:50], atol=1e-5, rtol=1e-4)
    path = tmp_path / "tiny.pt"
    state = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
    torch.save({"dims": {}, ENTRY: {**state, "decoder.x": torch.ones(1)}}, path)
    again = load_whisper(path, sizes)
    assert torch.equal(again.positional_embedding, encoder.positional_embedding)
    torch.save({"dims": {}, ENTRY: {**state, "encoder.more": torch.ones(1)}}, path)
    with pytest.raises(WeightsMismatchError, match="more"):
        load_whisper(path, sizes)


def test_whispers_spectrogram_is_in_decades_of_the_loudest() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    mel = whisper_mel(tone)
    assert mel.shape == (80, 100)
    # A tone of 1 kHz is 15 mels of Slaney's scale, of which 45.245 reach 8 kHz in 81 steps.
    assert int(mel[:, 50].argmax()) == round(15 / 45.245 * 81) - 1
    assert float(mel.max() - mel.min()) == pytest.approx(8 / 4)
    louder = whisper_mel(2 * tone)
    assert float(louder.max() - mel.max()) == pytest.approx(np.log10(4) / 4, abs=1e-5)
