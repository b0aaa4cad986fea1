"""What MEMO's training draws and minimises, and how it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from svp_weights import small_split
from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.hallo.networks import Hallo
from thbench_methods.memo import bundle
from thbench_methods.memo import train as training
from thbench_methods.memo.config import MINI, EmotionSizes, Sampling
from thbench_methods.memo.emotion import EmotionClassifier
from thbench_methods.memo.networks import EMOTIONS, MEMO
from thbench_methods.memo.objective import Noisy, losses, noisy
from thbench_methods.memo.pipeline import MEMO as Method
from thbench_methods.memo.train import STAGE_1, DiffusionTask, EmotionTask, Stage, begun, condition_of
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.unet3d.train import LatentClips

from thbench.data.synth_heads.dataset import clips_of
from thbench.media import read_audio, read_frames
from thbench.training import Card
from thbench.training.order import Order
from thbench.training.weights import save_weights
from thbench.types import Request

CLIPS, FRAMES, SIDE = 6, 100, 4
UNET = Sizes(latent=4, channels=(8, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, idle=False)
AUDIO = AudioProjection(window=3, layers=2, channels=3, hidden=7, tokens=4)
FACE = FaceProjection(embedding=9, tokens=2)
BASE = replace(HALLO, unet=UNET, audio=AUDIO, face=FACE, size=32, components=0, packing=1)
CONFIG = replace(
    MINI,
    unet=UNET,
    audio=AUDIO,
    face=FACE,
    emotion=EmotionSizes(features=12, hidden=8, layers=2),
    sampling=Sampling(frames=3, past_frames=2),
    size=32,
    components=0,
    packing=1,
)
TOGETHER = Stage("", STAGE_1, clips=2, frames=3, hears=True, windows=True)
SAID = ("sad", "happy", "neutral", "angry", "sad", "fear")
"""Emotions of the clips."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    """Latents tell clip and frame: clip + frame / 128; sound tells the frame."""

    class Pictures:
        pass

    pictures: Any = Pictures()
    pictures.emotion = SAID
    number = torch.arange(CLIPS)[:, None] + torch.arange(FRAMES) / 128
    return LatentClips(
        latents=number.view(CLIPS, FRAMES, 1, 1, 1).expand(-1, -1, 4, SIDE, SIDE).half(),
        speech=torch.arange(FRAMES).view(1, FRAMES, 1, 1).expand(CLIPS, FRAMES, 2, 3).half(),
        weight=torch.ones(CLIPS, FRAMES, 1, SIDE, SIDE).half(),
        identity=torch.randn(CLIPS, 5, 9),
        pictures=pictures,
    )


def hallo_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Hallo(BASE).state_dict()


def fresh(*, loud: bool = False) -> MEMO:
    """Networks before training; `loud`: what begins silent has an effect."""
    torch.manual_seed(0)
    network = begun(CONFIG, hallo_state())
    for module in network.diffusion_net.modules():
        if loud and isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.3)
    return network


def test_windows_go_on_from_their_past(clips: LatentClips) -> None:
    task, starts, unfelt = DiffusionTask(fresh(), clips, TOGETHER, CONFIG), 0, 0
    for seed in range(20):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.clean.shape == (2, 4, 3, SIDE, SIDE)
        assert batch.latents.shape == (2, 3, 4, SIDE, SIDE)
        assert batch.audio.shape == (2, 3, 3, 2, 3)
        known = batch.latents[:, 0, :, None] + batch.clean / CONFIG.change
        for row in range(2):
            clip, first = divmod(float(known[row, 0, 0, 0, 0]) + 1e-4, 1)
            heard = batch.audio[row, :, 1, 0, 0]
            assert float(heard[0]) == pytest.approx(first * 128, abs=0.1)
            assert torch.equal(heard.diff(), torch.ones(2))
            past = batch.latents[row, 1:].mean(dim=(1, 2, 3))
            begins = (past - batch.latents[row, 0].mean()).abs().max() < 0.1 and int(heard[0]) in (0, 20, 40, 60, 80)
            starts += bool(begins)
            assert ((past + 0.05).floor() == clip).all()
            emotion = int(batch.emotion[row])
            assert emotion in (EMOTIONS, MINI.emotions.index(SAID[int(clip)]))
            unfelt += emotion == EMOTIONS
        assert (batch.emotion[: batch.plain] == EMOTIONS).all()
    assert 0 < starts < 40 and 4 < unfelt < 28


@pytest.mark.parametrize("hears", [False, True])
def test_single_frames_leave_memory_out_and_hear_their_own_sound(clips: LatentClips, hears: bool) -> None:
    network, seen = fresh(), []
    task = DiffusionTask(network, clips, Stage("", STAGE_1, 6, 4, hears, windows=False), CONFIG)
    batch = task.batch(np.random.default_rng(1))._replace(plain=1)
    assert batch.clean.shape == (6, 4, 4, SIDE, SIDE)
    inner = network.diffusion_net.full

    def watched(z: Any, t: Any, told: Any) -> Any:
        seen.append((z, t, told))
        return inner(z, t, told)

    network.diffusion_net.full = watched  # type: ignore[method-assign]
    task.losses(batch)["loss"].backward()
    z, t, told = seen[0]
    assert z.shape == (24, 4, 1, SIDE, SIDE) and t.shape == (24,)
    assert told.plain == 4 and told.batch == 24 and not told.memory
    torch.testing.assert_close(told.audio[4:, 0], network.audio_proj(batch.audio)[1:].flatten(0, 1))
    touched = {name for name, p in network.named_parameters() if p.grad is not None}
    assert any("reference_net" in name for name in touched) and any("base" in name for name in touched)
    assert any("audio_modules" in name for name in touched) == hears
    assert not any("motion_modules" in name for name in touched)


def test_windows_train_everything(clips: LatentClips) -> None:
    network = fresh()
    task = DiffusionTask(network, clips, TOGETHER, CONFIG)
    task.losses(task.batch(np.random.default_rng(1)))["loss"].backward()
    missing = {name for name, p in network.diffusion_net.named_parameters() if p.grad is None}
    # What the last joint attention's audio asks for is dropped.
    assert all("attn2.add_q_proj" in name for name in missing)


def test_clips_without_condition_see_none_of_it(clips: LatentClips) -> None:
    network = fresh(loud=True)
    task = DiffusionTask(network, clips, TOGETHER, CONFIG)
    batch = task.batch(np.random.default_rng(2))._replace(plain=1, emotion=torch.tensor([EMOTIONS, 2]))
    portraits = batch.latents.clone()
    portraits[:, 0] += 1
    other = batch._replace(latents=portraits, audio=torch.randn_like(batch.audio), face=torch.randn_like(batch.face))
    z, time = torch.randn_like(batch.clean), torch.tensor([500.0, 500.0])

    memory = condition_of(network, batch).memory

    def predicted(told: Any) -> torch.Tensor:
        # What lies before a window is remembered in either case.
        condition = replace(condition_of(network, told), memory=memory)
        return network.diffusion_net.full(z, time, condition)[0]

    with torch.no_grad():
        one, two = predicted(batch), predicted(other)
    torch.testing.assert_close(one[0], two[0])
    assert (one[1] - two[1]).abs().max() > 1e-4
    with torch.no_grad():
        glad = predicted(batch._replace(emotion=torch.tensor([EMOTIONS, 4])))
    torch.testing.assert_close(one[0], glad[0])
    assert (one[1] - glad[1]).abs().max() > 1e-5


def test_training_begins_as_hallos_frames_without_sound_and_memory(clips: LatentClips) -> None:
    hallo, network = hallo_state(), fresh()
    own = network.state_dict()
    assert torch.equal(own["diffusion_net.conv_in.weight"], hallo["denoising_unet.conv_in.weight"])
    assert torch.equal(own["audio_proj.proj1.weight"], hallo["audioproj.proj1.weight"])
    assert torch.equal(own["base.weight"], hallo["base.weight"])
    batch = DiffusionTask(network, clips, TOGETHER, CONFIG).batch(np.random.default_rng(0))
    latents = batch.latents.clone()
    latents[:, 1:] += 1
    with torch.no_grad():
        torch.manual_seed(0)
        one = network.diffusion_net.full(batch.clean, torch.tensor(300), condition_of(network, batch))[0]
        torch.manual_seed(0)
        other = batch._replace(audio=0 * batch.audio, latents=latents, emotion=batch.emotion * 0)
        two = network.diffusion_net.full(batch.clean, torch.tensor(300), condition_of(network, other))[0]
    torch.testing.assert_close(one, two)
    with pytest.raises(ValueError, match="no weights of this size"):
        begun(CONFIG, {**hallo, "denoising_unet.conv_in.weight": torch.zeros(8, 5, 3, 3)})
    assert set(begun(MINI, Hallo(HALLO).state_dict()).state_dict()) == set(MEMO(MINI).state_dict())


def test_the_flow_is_straight_and_its_levels_are_near_the_middle() -> None:
    torch.manual_seed(0)
    clean = torch.randn(2000, 2, 1, 2, 2)
    drawn = noisy(clean)
    torch.testing.assert_close(drawn.latents - drawn.level * drawn.velocity, clean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(drawn.latents + (1 - drawn.level) * drawn.velocity, drawn.velocity + clean)
    level = drawn.level.flatten()
    assert level.min() > 0 and level.max() <= 1
    assert float((level.logit().clamp(-9, 9)).std()) == pytest.approx(1, abs=0.1)
    assert torch.equal(drawn.times, 1000 * level)
    torch.testing.assert_close(drawn.times, drawn.times.round(), atol=1e-3, rtol=0)


def test_errors_are_of_the_clean_latents_and_large_ones_are_left_out() -> None:
    shape = (2, 1, 1, 1, 2)
    drawn = Noisy(torch.zeros(shape), torch.zeros(shape), torch.tensor([0.5, 1.0]).view(2, 1, 1, 1, 1))
    predicted = torch.tensor([[1.0, 1.0], [2.0, 2.0]]).view(shape)
    weight = torch.tensor([[0.5, 1.5], [2.0, 0.0]]).view(shape)
    # A clean latent is the noisy one less level times velocity: squares of 0.5 and of 2.
    every = losses(predicted, drawn, weight)
    assert float(every["loss"]) == pytest.approx((0.25 + 4) / 2)
    robust = losses(predicted, drawn, weight, most=1.0)
    assert float(robust["loss"]) == pytest.approx(0.25)
    assert float(robust["kept"]) == 0.5
    none = losses(predicted, drawn, weight, most=0.1)
    assert float(none["loss"]) == 0 and float(none["kept"]) == 0


def test_steps_lower_the_loss_of_one_batch(clips: LatentClips) -> None:
    task = DiffusionTask(fresh(), clips, TOGETHER, CONFIG)
    batch = task.batch(np.random.default_rng(0))
    optimiser = torch.optim.Adam(task.network.parameters(), lr=2e-3)

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        found = task.losses(batch)
        assert float(found["kept"]) == 1
        return found["loss"]

    before = float(loss().detach())
    for _ in range(15):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < 0.9 * before


def test_emotions_are_learned_from_parts_of_voices(clips: LatentClips) -> None:
    torch.manual_seed(0)
    sounds = torch.randn(len(MINI.emotions), 1, 2, 3)[[MINI.emotions.index(name) for name in SAID]]
    spoken = replace(clips, speech=(sounds + 0.5 * torch.randn(CLIPS, FRAMES, 2, 3)).half())
    task = EmotionTask(EmotionClassifier(CONFIG.emotion), spoken, MINI.emotions)
    optimiser, rng = torch.optim.Adam(task.network.parameters(), lr=1e-2), np.random.default_rng(0)
    right = []
    for _ in range(150):
        features, classes = task.batch(rng)
        assert features.shape == (64, 12) and set(classes.tolist()) <= {0, 3, 4, 5, 6}
        found = task.losses((features, classes))
        optimiser.zero_grad()
        found["loss"].backward()
        optimiser.step()
        right.append(float(found["right"]))
    assert np.mean(right[-10:]) > 0.8


def test_the_whole_training_writes_a_file_that_generates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, out, hallo = tmp_path / "split", tmp_path / "out", tmp_path / "hallo.safetensors"
    small_split(split, 2)
    torch.manual_seed(0)
    save_weights(hallo, Hallo(HALLO).state_dict(), torch.float16)
    monkeypatch.setattr(training, "HALLO_FILE", hallo)
    # Heads at rest are drawn for minutes.
    monkeypatch.setattr(training, "still", lambda folder, pictures: pictures)
    training.train(Order("memo", "mini", "typed", split, tmp_path / "work", out, share=1e-4))
    card = Card.model_validate_json((out / "mini.json").read_bytes())
    assert card.bytes == (out / "mini.safetensors").stat().st_size < 6e6
    assert card.data.endswith("first 2 clips of 2 people")
    monkeypatch.setattr(bundle, "FILE", out / "mini.safetensors")
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    request = Request(portrait, read_audio(clip.path), 25.0, 2, controls={"steps": 1})
    assert np.stack(list(Method("mini").generate(request).frames)).shape == (2, 128, 128, 3)  # type: ignore[arg-type]
