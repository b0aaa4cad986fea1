"""What EchoMimic's trainings draw and minimise, how they begin, and what the accelerated network is taught."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from svp_weights import small_split
from thbench_methods.echomimic import bundle
from thbench_methods.echomimic import train as training
from thbench_methods.echomimic.acc import train as acc_training
from thbench_methods.echomimic.acc.pipeline import EchoMimicAcc
from thbench_methods.echomimic.acc.train import Distillation, leading, substeps
from thbench_methods.echomimic.config import MINI, MINI_ACCELERATED, Sampling
from thbench_methods.echomimic.networks import EchoMimic as Networks
from thbench_methods.echomimic.pipeline import EchoMimic
from thbench_methods.echomimic.train import AROUND, DiffusionTask, begun, condition_of
from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.unet3d import drawing
from thbench_methods.nets.unet3d.config import Sizes
from thbench_methods.nets.unet3d.schedule import Diffusion, sampler
from thbench_methods.nets.unet3d.train import PORTRAITS, LatentClips

from thbench.data.synth_heads.dataset import clips_of
from thbench.media import read_audio, read_frames
from thbench.training import Card
from thbench.training.order import Order
from thbench.training.weights import save_weights
from thbench.types import Request

CLIPS, FRAMES, SIDE = 6, 100, 4
UNET = Sizes(latent=4, channels=(8, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, idle=False)
BASE = replace(HALLO, unet=UNET, locator=(4, 5, 6, 7), size=32, components=0, packing=1)
CONFIG = replace(
    MINI,
    unet=replace(UNET, tokens=3),
    reference=UNET,
    hearing=replace(MINI.hearing, layers=2, before=2, after=2),
    locator=BASE.locator,
    sampling=Sampling(window=3, overlap=1),
    size=32,
    components=0,
    packing=1,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    """Latents and sound tell clip and frame: clip + frame / 128; sound tells the frame."""

    class Pictures:
        pass

    draw = np.random.default_rng(0)
    pictures: Any = Pictures()
    pictures.frames = draw.integers(0, 256, (CLIPS, FRAMES, 32, 32, 3), dtype=np.uint8)
    pictures.landmarks68 = draw.uniform(8, 24, (CLIPS, FRAMES, 68, 2)).astype(np.float32)
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


def fresh() -> Networks:
    torch.manual_seed(0)
    return begun(CONFIG, hallo_state())


def test_windows_are_of_one_clip_and_go_on_from_before(clips: LatentClips) -> None:
    starts = 0
    for seed in range(20):
        drawn = drawing.windows(np.random.default_rng(seed), clips, 2, 5, past=3)
        assert len(set(drawn.clips.tolist())) == 2
        assert set(drawn.portraits.tolist()) <= set(PORTRAITS)
        assert (np.diff(drawn.frames, axis=1) == 1).all()
        assert drawn.frames.min() >= 0 and drawn.frames.max() < FRAMES
        for portrait, frames, before in zip(drawn.portraits, drawn.frames, drawn.before, strict=True):
            begins = (before == portrait).all() and frames[0] == portrait
            assert begins or before.tolist() == [frames[0] - 3, frames[0] - 2, frames[0] - 1]
            starts += bool(begins)
    assert 0 < starts < 40


def test_a_batch_is_what_changes_of_the_portrait_with_what_is_heard(clips: LatentClips) -> None:
    task = DiffusionTask(fresh(), clips, CONFIG)
    batch = task.batch(np.random.default_rng(0))
    assert batch.clean.shape == (3, 4, 3, SIDE, SIDE)
    assert batch.audio.shape == (3, 3, 10, 3)
    assert batch.region.shape == (3, 3, 32, 32)
    known = batch.latents[:, :, None] + batch.clean / CONFIG.change
    for row in range(3):
        clip, first = divmod(float(known[row, 0, 0, 0, 0]) + 1e-4, 1)
        assert clip == batch.latents[row, 0, 0, 0].floor()
        # Five features of two layers: the frame's own is the third.
        own = batch.audio[row, :, 4:6, 0]
        assert torch.equal(own[:, 0], own[:, 1])
        assert float(own[0, 0]) == pytest.approx(first * 128, abs=0.1)
        assert torch.equal(own[:, 0].diff(), torch.ones(2))


def test_a_frame_that_hears_its_own_time_alone(clips: LatentClips) -> None:
    assert (MINI.hearing.tokens, AROUND.hearing.tokens) == (4, 20)
    hearing = replace(CONFIG.hearing, before=0, after=0)
    batches = [
        DiffusionTask(fresh(), clips, config).batch(np.random.default_rng(0))
        for config in (CONFIG, replace(CONFIG, hearing=hearing))
    ]
    assert torch.equal(batches[1].audio, batches[0].audio[:, :, 4:6])


def test_stage_1_shows_frames_by_themselves_with_their_own_sound(clips: LatentClips) -> None:
    task, seen = DiffusionTask(fresh(), clips, CONFIG, motion=False), []
    batch = task.batch(np.random.default_rng(1))._replace(plain=2)
    inner = task.network.denoising_unet.full

    def watched(z: Any, t: Any, told: Any) -> Any:
        seen.append((z, t, told))
        return inner(z, t, told)

    task.network.denoising_unet.full = watched  # type: ignore[method-assign]
    task.losses(batch)["loss"].backward()
    z, t, told = seen[0]
    assert z.shape == (24, 4, 1, SIDE, SIDE) and t.shape == (24,)
    assert told.plain == 8 and told.batch == 24
    heard = told.audio.view(6, 4, 10, 3)
    assert not heard[:2].any()
    torch.testing.assert_close(heard[2:], batch.audio[2:])
    touched = {name for name, p in task.network.denoising_unet.named_parameters() if p.grad is not None}
    assert touched and not any("motion_modules" in name for name in touched)
    later = DiffusionTask(task.network, clips, CONFIG)
    later.network.zero_grad()
    later.losses(later.batch(np.random.default_rng(1)))["loss"].backward()
    assert not [name for name, p in later.network.denoising_unet.named_parameters() if p.grad is None]


def test_clips_without_condition_see_none_of_it(clips: LatentClips) -> None:
    task = DiffusionTask(fresh(), clips, CONFIG)
    network = task.network
    for module in network.denoising_unet.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight)
    batch = task.batch(np.random.default_rng(2))._replace(plain=1)
    other = batch._replace(
        latents=batch.latents + 1, audio=torch.randn_like(batch.audio), region=torch.rand_like(batch.region)
    )
    noisy, time = torch.randn_like(batch.clean), torch.tensor([500.0] * 3)
    with torch.no_grad():
        one, two = (network.denoising_unet.full(noisy, time, condition_of(network, b))[0] for b in (batch, other))
    torch.testing.assert_close(one[0], two[0])
    assert (one[1:] - two[1:]).abs().amax(dim=(1, 2, 3, 4)).min() > 1e-4


def test_training_begins_as_hallo_without_its_hearing(clips: LatentClips) -> None:
    hallo, network = hallo_state(), fresh()
    own = network.state_dict()
    shared = [key for key in own if key in hallo and ".attn2." not in key and "up_blocks.0.motion" not in key]
    assert all(torch.equal(own[key], hallo[key]) for key in shared)
    assert any("up_blocks.1.motion_modules" in key for key in shared) and any(key == "base.weight" for key in shared)
    batch = DiffusionTask(network, clips, CONFIG).batch(np.random.default_rng(0))
    with torch.no_grad():
        spoken, silent = (
            network.denoising_unet.full(
                batch.clean, torch.tensor(300), condition_of(network, batch._replace(audio=sound))
            )[0]
            for sound in (batch.audio, 0 * batch.audio)
        )
    assert torch.equal(spoken, silent)
    with pytest.raises(ValueError, match="no weights of this size"):
        begun(CONFIG, {**hallo, "denoising_unet.conv_in.weight": torch.zeros(8, 5, 3, 3)})
    assert set(begun(MINI, Hallo(HALLO).state_dict()).state_dict()) == set(Networks(MINI).state_dict())


def test_steps_lower_the_loss_of_one_batch(clips: LatentClips) -> None:
    task = DiffusionTask(fresh(), clips, CONFIG)
    batch = task.batch(np.random.default_rng(0))
    optimiser = torch.optim.Adam(task.network.parameters(), lr=2e-3)

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        return task.losses(batch)["loss"]

    before = float(loss().detach())
    for _ in range(15):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < 0.9 * before


@pytest.mark.parametrize("step", range(6))
def test_the_velocity_that_is_taught_leads_where_the_teacher_goes(clips: LatentClips, step: int) -> None:
    schedule = sampler(6, Diffusion())
    path = substeps(schedule, step, 5, Diffusion())
    assert path.times[0] == schedule.times[step] and len(path.times) == 5
    assert all(33 <= a - b <= 34 for a, b in zip(path.times, path.times[1:], strict=False))
    assert path.next_signal[-1] == schedule.next_signal[step]
    assert path.next_signal[:-1] == path.signal[1:]
    torch.manual_seed(step)
    before, after = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    velocity = leading(before, after, schedule.signal[step], schedule.next_signal[step])
    torch.testing.assert_close(schedule.step(step, before, velocity), after)
    # A teacher that knows the clean latent is followed to it.
    clean, noise = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)

    def at(signal: float) -> torch.Tensor:
        return math.sqrt(signal) * clean + math.sqrt(1 - signal) * noise

    z = at(schedule.signal[step])
    for index, signal in enumerate(path.signal):
        z = path.step(index, z, math.sqrt(signal) * noise - math.sqrt(1 - signal) * clean)
    torch.testing.assert_close(z, at(schedule.next_signal[step]))


def test_a_student_is_taught_guided_steps_of_its_teacher(clips: LatentClips) -> None:
    whole = fresh()
    for module in whole.denoising_unet.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.1)
    student = fresh().denoising_unet
    task = Distillation(student, whole, clips, replace(CONFIG, sampling=MINI_ACCELERATED.sampling), 2.0, 1)
    windows, step = task.batch(np.random.default_rng(0))
    assert windows.clean.shape == (3, 4, 12, SIDE, SIDE) and windows.plain == 0
    told = condition_of(whole, windows)
    z, time = torch.randn_like(windows.clean), task.schedule.times[step]
    with torch.no_grad():
        led, _ = whole.denoising_unet.full(z, torch.tensor([time]), told)
        nothing = condition_of(whole, windows._replace(plain=3))
        plain, _ = whole.denoising_unet.full(z, torch.tensor([time]), nothing)
        wanted = task.taught(z, step, told)
    # In one substep it is the guided velocity itself.
    torch.testing.assert_close(wanted, plain + 2 * (led - plain), atol=1e-3, rtol=1e-3)
    losses = task.losses((windows, step))
    losses["loss"].backward()
    assert all(p.grad is None for p in whole.parameters())
    assert not [name for name, p in student.named_parameters() if p.grad is None]


def test_the_whole_trainings_write_files_that_generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, out, hallo = tmp_path / "split", tmp_path / "out", tmp_path / "hallo.safetensors"
    small_split(split, 3)
    torch.manual_seed(0)
    save_weights(hallo, Hallo(HALLO).state_dict(), torch.float16)
    monkeypatch.setattr(training, "HALLO_FILE", hallo)
    # Heads at rest are drawn for minutes.
    monkeypatch.setattr(training, "still", lambda folder, pictures: pictures)
    order = Order("echomimic", "mini", "typed", split, tmp_path / "work", out, share=1e-4)
    training.train(order)
    monkeypatch.setattr(bundle, "FILE", out / "mini.safetensors")
    monkeypatch.setattr(acc_training, "FILE", out / "mini.safetensors")
    acc_training.train(replace(order, method="echomimic-acc"))
    monkeypatch.setattr(bundle, "ACC_FILE", out / "mini_acc.safetensors")
    for name in ("mini", "mini_acc"):
        card = Card.model_validate_json((out / f"{name}.json").read_bytes())
        assert card.bytes == (out / card.file).stat().st_size < 6e6
        assert card.data.endswith("first 3 clips of 3 people")
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    request = Request(portrait, read_audio(clip.path), 25.0, 2, controls={"steps": 1})
    for method in (EchoMimic("mini"), EchoMimicAcc("mini")):
        assert np.stack(list(method.generate(request).frames)).shape == (2, 128, 128, 3)  # type: ignore[arg-type]
