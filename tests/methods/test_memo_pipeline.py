"""MEMO from request to frames, with random weights; published files; emotions of a voice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from memo_weights import random_mini
from safetensors.torch import save_file
from thbench_methods.hallo.bundle import Looked
from thbench_methods.hallo.portrait import Outlines
from thbench_methods.memo import bundle as files
from thbench_methods.memo.config import MINI, PAPER, Config, EmotionSizes
from thbench_methods.memo.emotion import EmotionClassifier, PublishedFeel, felt, most_often, voice_features
from thbench_methods.memo.flops import offer
from thbench_methods.memo.held_out import emotions_heard
from thbench_methods.memo.networks import EMOTIONS
from thbench_methods.memo.networks import MEMO as Networks
from thbench_methods.memo.pipeline import MEMO, Heard, Preset, emotion_of
from thbench_methods.memo.spec import MEMO as SPEC
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.vae.autoencoder import AutoencoderKL
from thbench_methods.nets.vae.config import VAEConfig

from thbench.accel.captured import heard as loops_of
from thbench.accel.captured import method_receipt
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.emotion import EMOTIONS as SYNTH_HEADS
from thbench.errors import MethodError, MissingWeightsError, UsageError, WeightsMismatchError
from thbench.media import read_audio, read_frames
from thbench.registry import ACCELERATIONS
from thbench.spec import load
from thbench.types import Audio, Request

FAST = {"steps": 1, "guidance": 1.0}


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def method(_weights: None) -> MEMO:
    return MEMO("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, read_audio(clip.path), 25.0, 3, seed=1, controls=FAST)


def frames_of(method: MEMO, request: Request) -> np.ndarray:
    made = method.generate(request).frames
    assert not isinstance(made, Path)
    return np.stack(list(made))


def test_frames_are_as_asked_and_the_same_whatever_came_before(method: MEMO, asked: Request) -> None:
    longer = replace(asked, frames=18, controls={"steps": 1})
    first = frames_of(method, longer)
    assert first.shape == (18, 128, 128, 3)
    assert first.dtype == np.uint8
    next(iter(method.generate(replace(asked, seed=5)).frames))  # type: ignore[arg-type]
    assert np.array_equal(first, frames_of(method, longer))
    short = frames_of(method, asked)
    assert np.array_equal(short, frames_of(MEMO("mini"), asked))
    assert not np.array_equal(short, frames_of(method, replace(asked, seed=2)))


@pytest.mark.parametrize(
    ("audio", "frames"),
    [
        (Audio(np.ones(1, np.float32), 16_000), 1),
        (Audio(np.full(16_000, 3.0, np.float32), 16_000), 16),
        (Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000), 17),
        (Audio(np.zeros(8_000, np.float32), 16_000), 2),
    ],
    ids=["single-sample", "clipped", "8k", "silence"],
)
def test_odd_sound_and_any_length_work(method: MEMO, asked: Request, audio: Audio, frames: int) -> None:
    assert len(frames_of(method, replace(asked, audio=audio, frames=frames))) == frames


def test_other_frame_rates_and_sizes(method: MEMO, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:, 20:236]
    made = frames_of(method, replace(asked, portrait=portrait, fps=50.0, frames=4))
    assert made.shape == (4, 256, 216, 3)
    assert np.array_equal(made[1], made[2])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"frames": 0}, "0 frames"),
        ({"audio": Audio(np.zeros(0, np.float32), 16_000)}, "sound"),
        ({"portrait": np.zeros((8, 8), np.uint8)}, "portrait"),
        ({"portrait": np.zeros((64, 64, 3), np.uint8)}, "sees no head"),
        ({"controls": {"style": "happy"}}, "memo has no control 'style'"),
        (
            {"controls": {"emotion": "glad"}},
            "emotion is 'glad'; it must be voice, none, 0 to 8 as a text, or one of an",
        ),
        ({"controls": {"emotion": 3}}, "emotion is 3"),
        ({"controls": {"guidance": -1.0}}, "guidance"),
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(
    method: MEMO, asked: Request, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(MethodError, match=says) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_clips_are_made_as_they_are_read_and_stages_are_told(method: MEMO, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    request = replace(asked, frames=20, controls={"steps": 2, "guidance": 1.0})
    generation = method.generate(request, lambda *step: told.append(step))
    assert "denoise" not in generation.seconds
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    assert told == [("denoise", 0, 2), ("denoise", 1, 2)]
    assert set(generation.seconds) == {"portrait", "audio", "emotion", "denoise", "decode"}


def test_every_clip_is_told_of_the_last_frames_and_remembers_the_others(asked: Request) -> None:
    method, runs, pasts = MEMO("mini"), [], []
    inner = method.sampling

    def watched(seen: Any, heard: Any, past: Any, before: Any, *rest: Any) -> Any:
        run = inner(seen, heard, past, before, *rest)
        runs.append((before, run))
        pasts.append(past)
        return run

    method.sampling = watched  # type: ignore[method-assign]
    frames = frames_of(method, replace(asked, frames=40))
    portrait = method.look(asked.portrait).picture
    assert runs[0][0] is None
    assert torch.equal(pasts[0], portrait.expand(16, -1, -1, -1))
    for (before, _), (_, earlier) in zip(runs[1:], runs, strict=False):
        assert before is earlier.condition.memory
    # Past frames are the ones before, as generated.
    rounded = ((pasts[1] + 1) / 2 * 255).round().clamp(0, 255).to(torch.uint8)
    assert np.array_equal(rounded.permute(0, 2, 3, 1).numpy(), frames[:16])
    place = "mid_block.motion_modules.0"
    sums = [run.condition.memory[place][0].keys for _, run in runs]
    assert not torch.equal(sums[0], sums[1]) and not torch.equal(sums[1], sums[2])


def test_a_loop_begins_with_what_is_published(method: MEMO, asked: Request) -> None:
    seen, frames = method.look(asked.portrait), MINI.sampling.frames
    noise = torch.randn(1, MINI.unet.latent, frames, 8, 8)
    heard = Heard(torch.randn(frames, 5, 4, 96), 4)
    past = seen.picture.expand(16, -1, -1, -1)
    told = method.told({"steps": 0, "guidance": 0.0})
    run = method.sampling(seen, heard, past, None, told, noise)
    assert len(run.schedule.times) == MINI.sampling.steps
    assert run.condition.emotion.tolist() == [EMOTIONS, 4]
    assert not run.condition.audio[0].any() and run.condition.audio[1].any()
    assert not run.condition.seen[0].any() and run.condition.seen[1].any()
    alone = method.sampling(seen, heard, past, None, told._replace(guidance=1.0), noise)
    assert alone.condition.batch == 1 and not alone.condition.guided
    with torch.inference_mode():
        both, _ = run.denoiser.denoiser.full(torch.cat((noise, noise)), torch.tensor([900.0]), run.condition)
        other = Heard(torch.zeros(frames, 5, 4, 96), 4)
        deaf = method.sampling(seen, other, past, None, told, noise)
        silent, _ = deaf.denoiser.denoiser.full(torch.cat((noise, noise)), torch.tensor([900.0]), deaf.condition)
    torch.testing.assert_close(both[0], silent[0])
    assert ((both[1] - silent[1]).abs().amax(dim=(0, 2, 3)) > 1e-5).all()


def test_the_emotion_is_heard_or_stated(method: MEMO, asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    inner = method.sampling

    def watched(seen: Any, heard: Heard, *rest: Any) -> Any:
        given.append(heard.emotion)
        return inner(seen, heard, *rest)

    monkeypatch.setattr(method, "sampling", watched)
    sad = MINI.emotions.index("sad")
    for stated, wanted in (("sad", sad), ("2", 2), ("none", EMOTIONS)):
        frames_of(method, replace(asked, controls={**FAST, "emotion": stated}))
        assert given.pop() == wanted
    heard: list[int] = []

    def feel(sound: np.ndarray) -> int:
        heard.append(len(sound))
        return 7

    monkeypatch.setattr(method, "bundle", replace(method.bundle, feel=feel))
    frames_of(method, replace(asked, frames=20))
    # Of 20 frames at 25 per second, and not of the silence that fills the last clip.
    assert given == [7, 7] and heard == [12_800]


def test_emotions_are_asked_for_second_by_second() -> None:
    sound, heard = np.repeat(np.arange(5, dtype=np.float32), 16_000)[:76_000], []

    def feel(part: np.ndarray) -> int:
        heard.append((float(part[0]), len(part)))
        return len(heard)

    classes = felt(sound, 125, 25.0, feel)
    second = 16_000
    assert heard == [(0, 2 * second), (0, 3 * second), (1, 3 * second), (2, 76_000 - 2 * second), (2, 2 * second)]
    assert classes.tolist() == [1] * 25 + [2] * 25 + [3] * 25 + [4] * 19 + [5] * 31
    heard.clear()
    assert felt(sound[:100], 3, 25.0, feel).tolist() == [1, 1, 1]
    assert most_often(np.array([3, 1, 1, 3, 2])) == 1


def test_how_often_emotions_are_heard_is_a_share_of_clips(method: MEMO, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clips_of()[:4]
    said = [truth_of(clip).about.emotion for clip in clips]
    number = MINI.emotions.index(said[0])
    monkeypatch.setattr(method, "bundle", replace(method.bundle, feel=lambda sound: number))
    score = emotions_heard(method, clips)
    assert score.value == said.count(said[0]) / 4
    assert (score.n, score.people) == (4, len({clip.identity for clip in clips}))


def test_states_of_emotion() -> None:
    assert emotion_of("voice", ()) is None
    assert emotion_of("none", ()) == EMOTIONS
    assert emotion_of("8", ()) == 8
    assert emotion_of("happy", MINI.emotions) == MINI.emotions.index("happy")
    for wrong in ("happy", "9", "-1", "1.0"):
        with pytest.raises(MethodError, match="emotion is"):
            emotion_of(wrong, ())


def test_a_voice_is_its_layers_means_and_deviations() -> None:
    hidden = torch.randn(2, 7, 4, 3)
    found = voice_features(hidden)
    assert found.shape == (2, 24)
    torch.testing.assert_close(found[1, :12].view(4, 3), hidden[1].mean(0))
    torch.testing.assert_close(found[1, 12:].view(4, 3), hidden[1].var(0, unbiased=False).sqrt())
    assert voice_features(hidden[:, :1]).isfinite().all()


@pytest.mark.full
@pytest.mark.parametrize("name", [*ACCELERATIONS])
def test_every_acceleration_applies(asked: Request, name: str) -> None:
    request = replace(asked, frames=2, controls={"steps": 6, "guidance": 2.0})
    base, fast = (frames_of(MEMO("mini", accelerations=names), request) for names in ((), (name,)))
    assert fast.shape == base.shape
    # They change cached steps, of which there are none without another acceleration.
    assert np.array_equal(fast, base) == (name in ("dfa", "refdrop"))


def test_accelerations_save_what_they_say_and_all_key_steps_save_nothing(asked: Request) -> None:
    short = replace(asked, controls={"steps": 4})
    base = loops_of(MEMO, "mini", (), short, "cpu")
    fast = loops_of(MEMO, "mini", ("lightningcp", "dfa", "refdrop"), short, "cpu")
    found = method_receipt(base, fast)
    assert found.flop_ratio > 1.5
    assert not np.array_equal(base.frames, fast.frames)
    # Every step of one is a key step, so nothing is cached.
    alone, cached = (frames_of(MEMO("mini", accelerations=names), asked) for names in ((), ("lightningcp",)))
    assert np.array_equal(alone, cached)


def test_spec_and_offer_name_what_there_is(method: MEMO) -> None:
    for name in (SPEC.factory, SPEC.flops, SPEC.trainers["mini"]):
        assert callable(load(name, purpose="a test"))
    assert offer("mini").workload == "16 frames at 128 px, 5 steps, guided"
    assert [part.name for part in offer("mini").parts][-1] == "base"
    assert method.key_steps(MINI.sampling.steps) == MINI.sampling.key_steps == (0, 1, 3)
    assert (PAPER.sampling.steps, len(PAPER.sampling.key_steps)) == (20, 8)
    assert method.key_steps(19) is None


def test_the_small_preset_knows_the_emotions_of_synth_heads() -> None:
    assert MINI.emotions == SYNTH_HEADS


def test_weights_are_small() -> None:
    assert files.FILE.stat().st_size < 6e6


SMALL = Config(
    unet=Sizes(channels=(8, 16, 16, 16), layers=1, heads=2, groups=4, tokens=6, audio=5),
    audio=AudioProjection(window=5, layers=2, channels=3, hidden=7, tokens=4),
    face=FaceProjection(embedding=9, tokens=2),
    emotion=EmotionSizes(features=6, hidden=5, layers=5),
    size=64,
    vae=VAEConfig(channels=(8, 8, 8, 8), layers=1, groups=4),
)


def save_published(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Random weights as the authors save theirs: each network in a folder of its own."""
    torch.manual_seed(0)
    net, classifier = Networks(SMALL), EmotionClassifier(SMALL.emotion)
    parts = {
        "diffusion_net": net.diffusion_net,
        "reference_net": net.reference_net,
        "image_proj": net.image_proj,
        "audio_proj": net.audio_proj,
        "misc/audio_emotion_classifier": classifier,
        "sd-vae-ft-mse": AutoencoderKL(SMALL.vae),
    }
    saved = {name: module.state_dict() for name, module in parts.items()}
    for name, state in saved.items():
        (folder / name).mkdir(parents=True)
        save_file({key: value.contiguous() for key, value in state.items()}, folder / name / files.STATE)
    for name in ("emotion2vec_plus_large", "wav2vec2-base-960h"):
        (folder / name).mkdir()
    (folder / "glintr100.onnx").touch()
    return saved


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, torch.Tensor]]:
    """Files of the authors; the speech encoder and the recogniser are other packages' matter."""
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))

    def speech(folder: Path) -> Any:
        return SimpleNamespace(features=lambda sound, frames, fps: torch.zeros(frames, 2, 3))

    def recogniser(path: Path) -> Any:
        points = np.array([[0.3, 0.2], [0.7, 0.8]])
        return lambda picture: Looked(Outlines(points, points), torch.ones(1, 9))

    monkeypatch.setattr(files, "HiddenLayers", speech)
    monkeypatch.setattr(files, "Recogniser", recogniser)
    return save_published(tmp_path)


def test_the_published_files_are_read_strictly(published: dict[str, dict[str, torch.Tensor]], tmp_path: Path) -> None:
    bundle = files.load_published(SMALL)
    for name in ("diffusion_net", "reference_net", "image_proj", "audio_proj"):
        read = bundle.networks.get_submodule(name).state_dict()
        assert all(torch.equal(read[key], value) for key, value in published[name].items())
    assert not any(p.is_meta for p in bundle.networks.parameters())
    assert list(published["misc/audio_emotion_classifier"]) == [
        f"layers.fc{n}.{kind}" for n in range(1, 6) for kind in ("weight", "bias")
    ]
    path = tmp_path / "diffusion_net" / files.STATE
    save_file({**published["diffusion_net"], "more": torch.ones(1)}, path)
    with pytest.raises(WeightsMismatchError, match="more"):
        files.load_published(SMALL)
    (tmp_path / "glintr100.onnx").unlink()
    with pytest.raises(MissingWeightsError, match=r"glintr100\.onnx"):
        files.load_published(SMALL)


@pytest.mark.usefixtures("published")
def test_the_paper_preset_generates_from_published_files(monkeypatch: pytest.MonkeyPatch, asked: Request) -> None:
    from thbench_methods.memo import pipeline

    monkeypatch.setitem(pipeline.PRESETS, "paper", Preset(SMALL, files.load_published))
    stated = replace(asked, controls={**FAST, "emotion": "none"})
    assert frames_of(MEMO("paper"), stated).shape == (3, 128, 128, 3)
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(MethodError, match=r"funasr, which is not installed; run: pip install funasr, or state"):
        MEMO("paper").generate(asked)


def test_emotion2vec_is_read_by_funasr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[torch.Tensor] = []

    class Encoder(torch.nn.Module):
        def extract_features(self, sound: torch.Tensor) -> dict[str, torch.Tensor]:
            calls.append(sound)
            return {"x": torch.arange(12.0).view(1, 2, 6)}

    def made(**told: Any) -> Any:
        assert told["model"] == str(tmp_path)
        return SimpleNamespace(model=Encoder())

    fake = ModuleType("funasr")
    fake.AutoModel = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "funasr", fake)
    torch.manual_seed(0)
    classifier = EmotionClassifier(SMALL.emotion).eval()
    feel = PublishedFeel(tmp_path, classifier)
    sound = np.linspace(-1, 3, 16_000, dtype=np.float32)
    with torch.inference_mode():
        wanted = int(classifier((torch.arange(6.0) + 3)[None]).argmax())
    assert feel(sound) == wanted
    assert calls[0].shape == (1, 16_000)
    assert float(calls[0].mean()) == pytest.approx(0, abs=1e-5)
    assert float(calls[0].std()) == pytest.approx(1, abs=1e-3)


def test_unknown_presets_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="memo has no preset 'minni'"):
        MEMO("minni")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(
        MissingWeightsError, match="diffusion_net, reference_net, image_proj, audio_proj, audio_emotion"
    ):
        MEMO("paper")
