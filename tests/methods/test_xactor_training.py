"""X-Actor's trainings: noise levels, windows and their portraits, both objectives, and the files that they leave."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.hallo.config import MINI as HALLO_MINI
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.unet3d.train import LatentClips
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.xactor import bundle, train, train_acting, train_rendering
from thbench_methods.xactor.config import MINI, Objective
from thbench_methods.xactor.crop import based, placements
from thbench_methods.xactor.examples import Faces, encoded, statistics
from thbench_methods.xactor.forcing import TOP
from thbench_methods.xactor.networks import Acted, neutral
from thbench_methods.xactor.objective import drawn_levels, losses, weights
from thbench_methods.xactor.train_acting import ActingTask
from thbench_methods.xactor.train_rendering import (
    Corpus,
    RenderingTask,
    Supervised,
    driving,
    fresh_rendering,
    truth_of,
)
from torch import Tensor, nn

from thbench.errors import MissingWeightsError
from thbench.training import Recipe
from thbench.training.order import Order
from thbench.training.weights import save_weights

CLIPS, FRAMES = 6, 100


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    class Pictures:
        def __len__(self) -> int:
            return CLIPS

    draw = np.random.default_rng(0)
    pictures: Any = Pictures()
    pictures.frames = draw.integers(0, 256, (CLIPS, FRAMES, 128, 128, 3), dtype=np.uint8)
    middle = draw.uniform(50, 78, (CLIPS, FRAMES, 1, 2))
    pictures.landmarks68 = (middle + draw.uniform(-20, 20, (1, 1, 68, 2))).astype(np.float32)
    pictures.expression = draw.random((CLIPS, FRAMES, 53), dtype=np.float32)
    pictures.pose = draw.normal(0, 10, (CLIPS, FRAMES, 3)).astype(np.float32)
    pictures.gaze = draw.normal(0, 10, (CLIPS, FRAMES, 2)).astype(np.float32)
    pictures.person = np.arange(CLIPS)
    side, channels = MINI.side, MINI.renderer.unet.latent
    numbered = torch.arange(CLIPS * FRAMES).view(CLIPS, FRAMES, 1, 1, 1).half()
    return LatentClips(
        latents=numbered.expand(CLIPS, FRAMES, channels, side, side) / 100,
        speech=torch.arange(FRAMES).view(1, FRAMES, 1, 1).expand(CLIPS, FRAMES, 4, 96).half(),
        weight=torch.ones(CLIPS, FRAMES, 1, side, side).half(),
        identity=torch.randn(CLIPS, 5, 128, generator=torch.Generator().manual_seed(0)),
        pictures=pictures,
    )


@pytest.fixture(scope="module")
def resting(clips: LatentClips) -> LatentClips:
    """Return the same clips with heads at rest; their latents tell them apart."""
    pictures: Any = copy(clips.pictures)
    pictures.landmarks68 = np.broadcast_to(clips.pictures.landmarks68[:, :1], (CLIPS, FRAMES, 68, 2))
    pictures.pose = np.broadcast_to(clips.pictures.pose[:, :1], (CLIPS, FRAMES, 3))
    return replace(clips, latents=-clips.latents - 0.01, pictures=pictures)


@pytest.fixture(scope="module")
def faces(clips: LatentClips) -> Faces:
    return Faces.of(clips.pictures, MINI.encoder.side)


def acting_task(faces: Faces, clips: LatentClips, objective: Objective | None = None) -> ActingTask:
    """Return the task with motion that tells clip and frame."""
    torch.manual_seed(0)
    network = Acted(MINI)
    frames = torch.arange(CLIPS)[:, None] * 1000.0 + torch.arange(FRAMES)
    motion = frames[..., None].expand(-1, -1, MINI.encoder.motion)
    return ActingTask(network, motion, faces, clips.speech, objective=objective or Objective())


def corpora(clips: LatentClips, resting: LatentClips) -> tuple[Corpus, Corpus]:
    moving, still = (
        Corpus(of, Faces.of(of.pictures, MINI.encoder.side), truth_of(of.pictures, clips.pictures))
        for of in (clips, resting)
    )
    return moving, still


def rendering_task(clips: LatentClips, resting: LatentClips, *, windows: bool = True) -> RenderingTask:
    torch.manual_seed(0)
    rendering, _ = fresh_rendering(MINI)
    moving, still = corpora(clips, resting)
    network = Supervised(rendering, MINI.encoder.motion, moving.truth.shape[-1])
    return RenderingTask(network, moving, still, load_mini_vae(), windows=windows)


def loss_falls(network: nn.Module, loss: Any, rate: float, steps: int = 8) -> list[float]:
    """Return the loss of a fixed batch and fixed noise over a few steps."""
    optimiser = torch.optim.AdamW(network.parameters(), rate)
    found = []
    for _ in range(steps):
        torch.manual_seed(1)
        value = loss()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        found.append(float(value.detach()))
    return found


def test_levels_are_drawn_for_each_chunk_by_itself() -> None:
    torch.manual_seed(0)
    levels = drawn_levels(4000, 9, Objective(sorted_share=0, noise_share=0, history_share=0))
    assert (int(levels.min()), int(levels.max())) == (0, TOP)
    assert abs(float(levels.float().mean()) - 500) < 10
    assert abs(float(torch.corrcoef(levels.T.float())[0, 1])) < 0.06
    rising = drawn_levels(1000, 9, Objective(sorted_share=1, noise_share=0, history_share=0))
    assert (rising.diff(dim=1) >= 0).all()
    assert abs(float(rising.float().mean()) - 500) < 20


def test_a_share_of_the_windows_forgets_what_was_before() -> None:
    torch.manual_seed(0)
    levels = drawn_levels(4000, 9, Objective(sorted_share=0, noise_share=1))
    before = (levels == TOP).int().cumprod(dim=1).sum(dim=1)
    # The first part that is not forgotten is each of the nine alike.
    counts = torch.bincount(before, minlength=10)[:9] / 4000
    assert (counts - 1 / 9).abs().max() < 0.03
    half = drawn_levels(4000, 9, Objective(sorted_share=0, noise_share=0.5))
    assert abs(float((half[:, 0] == TOP).float().mean()) - 0.5 * 8 / 9) < 0.03


def test_a_share_of_the_windows_has_a_history_as_in_sampling() -> None:
    assert Objective().history_top == max(MINI.acting.history)
    torch.manual_seed(0)
    levels = drawn_levels(4000, 9, Objective(sorted_share=0, noise_share=0, history_share=1, history_top=60))
    low = (levels <= 60).int().cumprod(dim=1).sum(dim=1)
    counts = torch.bincount(low, minlength=10)[:9] / 4000
    assert (counts - 1 / 9).abs().max() < 0.03
    before = levels[low > 0, 0]
    assert (int(before.min()), int(before.max())) == (0, 60)
    assert abs(float(before.float().mean()) - 30) < 2
    # What comes after it is drawn as ever.
    assert abs(float(levels[:, -1].float().mean()) - 500) < 20
    # Of the windows that forget or remember, none does both.
    mixed = drawn_levels(4000, 9, Objective(sorted_share=0, noise_share=0.3, history_share=0.4))
    assert abs(float((mixed[:, 0] == TOP).float().mean()) - 0.3 * 8 / 9) < 0.03
    assert abs(float((mixed[:, 0] <= 60).float().mean()) - (0.4 * 8 / 9 + 0.33 * 0.061)) < 0.03


def test_a_clean_history_leaves_levels_as_drawn() -> None:
    torch.manual_seed(0)
    levels = drawn_levels(4000, 9, Objective(forcing=False, sorted_share=1, noise_share=1, history_share=1))
    assert (levels.diff(dim=1) < 0).any()
    assert float((levels == TOP).float().mean()) < 0.01


def test_errors_weigh_as_the_clamped_signal_to_noise_ratio() -> None:
    found = weights(torch.tensor([[0, 1, 500, TOP]]), Objective(snr=(0.2, 5.0)))[0]
    assert found.tolist() == pytest.approx([5, 5, 0.4939 / 0.5061, 0.2], rel=2e-3)


@pytest.mark.parametrize("forcing", [True, False])
def test_a_perfect_prediction_has_no_loss_and_both_terms_count(forcing: bool) -> None:
    objective = Objective(forcing=forcing, velocity=2.0)
    motion, levels = torch.randn(2, 20, 3), torch.tensor([[100, 900], [0, TOP]])
    seen: list[Any] = []

    class Told:
        def __init__(self, error: Tensor) -> None:
            self.error = error

        def after_clean(self, clean: Tensor, condition: Any) -> Any:
            seen.append(clean)
            return condition

        def __call__(self, noisy: Tensor, levels: Tensor, condition: Any) -> Tensor:
            return motion + self.error

    net: Any = Told(torch.zeros(2, 20, 3))
    assert float(losses(net, motion, None, levels, objective)["loss"]) == 0  # type: ignore[arg-type]
    assert [torch.equal(clean, motion) for clean in seen] == ([] if forcing else [True])
    net = Told(torch.ones(2, 20, 3))
    found = losses(net, motion, None, levels, objective)  # type: ignore[arg-type]
    weight = weights(levels, objective)
    assert float(found["clean"]) == pytest.approx(float(weight.mean()), rel=1e-5)
    assert float(found["velocity"]) < 1e-12
    step = torch.zeros(2, 20, 3)
    step[:, 15:] = 1
    found = losses(Told(step), motion, None, levels, objective)  # type: ignore[arg-type]
    assert float(found["velocity"]) == pytest.approx(float(weight[:, 1].sum()) / (2 * 19), rel=1e-5)
    assert float(found["loss"]) == pytest.approx(float(found["clean"] + 2 * found["velocity"]), rel=1e-6)


def test_windows_of_motion_are_longer_than_a_chunk_sees() -> None:
    assert MINI.actor.context < train_acting.CHUNKS
    assert train_acting.CHUNKS * MINI.actor.chunk <= FRAMES - MINI.actor.chunk


def test_windows_of_motion_belong_to_their_sound_and_portrait(faces: Faces, clips: LatentClips) -> None:
    task = acting_task(faces, clips)
    starts = 0
    for seed in range(8):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.motion.shape == (10, 90, 35)
        assert batch.audio.shape == (10, 106, 4, 96)
        assert batch.levels.shape == (10, 9)
        for motion, reference, audio in zip(batch.motion, batch.reference, batch.audio, strict=True):
            first = motion[0, 0].item()
            clip, frame = divmod(int(first), 1000)
            assert torch.equal(motion[:, 0], first + torch.arange(90.0))
            heard = frame + torch.arange(-8.0, 98.0)
            assert torch.equal(audio[:, 0, 0], heard.clamp(0, 99))
            portrait = round(reference[0].item()) - 1000 * clip
            starts += portrait == frame
            boxes = faces.boxes[clip]
            expected = placements(boxes[frame : frame + 90], boxes[portrait])
            np.testing.assert_allclose(motion[:, -3:].numpy(), expected, rtol=1e-4, atol=1e-5)
            assert (reference[-3:] - torch.tensor([0.0, 0.0, 1.0])).abs().max() < 0.3
    assert 10 < starts < 50


def test_levels_may_be_drawn_for_each_frame(faces: Faces, clips: LatentClips) -> None:
    task = acting_task(faces, clips, Objective(per_frame=True))
    batch = task.batch(np.random.default_rng(0))
    assert batch.levels.shape == (10, 90)
    assert torch.isfinite(task.losses(batch)["loss"])


@pytest.mark.parametrize("objective", [Objective(), Objective(forcing=False)], ids=["forcing", "clean-history"])
def test_a_step_of_the_actor_lowers_its_loss_and_moves_all_of_it(
    faces: Faces, clips: LatentClips, objective: Objective
) -> None:
    task = acting_task(faces, clips, objective)
    task.motion = torch.randn(CLIPS, FRAMES, MINI.encoder.motion, generator=torch.Generator().manual_seed(3))
    batch = task.batch(np.random.default_rng(0))
    batch = batch._replace(silent=torch.arange(10) < 2)
    found = loss_falls(task.network, lambda: task.losses(batch)["loss"], 1e-3)
    assert found[1] < found[0]
    assert found[-1] < 0.98 * found[0]
    still = {name for name, p in task.network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not still


@pytest.mark.parametrize("windows", [False, True], ids=["frames", "windows"])
def test_clips_of_the_renderer_belong_together(clips: LatentClips, resting: LatentClips, windows: bool) -> None:
    task = rendering_task(clips, resting, windows=windows)
    form, rests = task.network.rendering.video.latents, []
    for seed in range(4):
        batch = task.batch(np.random.default_rng(seed))
        count, length = (2, 16) if windows else (6, 6)
        assert batch.clean.shape == (count, MINI.renderer.unet.latent, length, MINI.side, MINI.side)
        assert batch.faces.shape == (count, 1 + length, 3, 64, 64)
        known = form.changed(batch.clean, batch.base)
        for row in range(count):
            number = round(100 * batch.latents[row, 0, 0, 0].item())
            rests.append(number < 0)
            source, sign, beside = (task.resting, -1, 1) if number < 0 else (task.moving, 1, 0)
            clip, reference = divmod(sign * number - beside, FRAMES)
            assert reference in (0, 20, 40, 60, 80)
            assert torch.equal(batch.embedding[row], clips.identity[clip, reference // 20])
            frames = sign * (100 * known[row, 0, :, 0, 0]).round().int() - beside - FRAMES * clip
            if windows:
                assert frames.diff().tolist() == [1] * 15
            shown = [reference, *frames.tolist()]
            assert torch.equal(batch.truth[row], source.truth[clip, shown])
            placed = source.faces.placed(clip, np.array(shown[1:]), reference)
            torch.testing.assert_close(batch.placement[row], placed)
            pictures = source.clips.pictures
            heads = based(pictures.frames[clip, reference], pictures.landmarks68[clip, reference], placed)
            with torch.no_grad():
                expected = form.known(task.vae.encode(heads)).transpose(0, 1)
            torch.testing.assert_close(batch.base[row], expected, atol=1e-4, rtol=1e-4)
    assert 0 < sum(rests) < len(rests)


def test_heads_at_rest_are_told_in_the_same_numbers(clips: LatentClips, resting: LatentClips) -> None:
    moving, still = corpora(clips, resting)
    expression = clips.pictures.expression.shape[-1]
    assert torch.equal(still.truth[..., :expression], moving.truth[..., :expression])
    pose = slice(expression, expression + 3)
    assert torch.equal(still.truth[:, 7, pose], moving.truth[:, 0, pose])
    assert (still.faces.placed(2, np.arange(5), 40) - torch.tensor([0.0, 0.0, 1.0])).abs().max() < 1e-6


def test_windows_are_read_as_in_use_and_single_frames_with_their_own_statistics(
    clips: LatentClips, resting: LatentClips
) -> None:
    for windows in (False, True):
        task = rendering_task(clips, resting, windows=windows)
        task.network.train()
        norm = task.network.rendering.encoder.stem_norm
        before = norm.running_mean.clone()
        with torch.no_grad():
            task.losses(task.batch(np.random.default_rng(0)))
        assert task.network.rendering.encoder.hourglass.training is not windows
        assert task.network.rendering.video.training
        assert torch.equal(norm.running_mean, before) is windows
    assert task.network.rendering.encoder.hourglass.inner.dropout == MINI.encoder.dropout == 0.1


@pytest.mark.parametrize("windows", [False, True], ids=["frames", "windows"])
def test_a_step_of_the_renderer_lowers_its_loss_and_moves_all_that_runs(
    clips: LatentClips, resting: LatentClips, windows: bool
) -> None:
    noise = torch.randn(clips.latents.shape, generator=torch.Generator().manual_seed(1)).half()
    task = rendering_task(replace(clips, latents=noise), replace(resting, latents=noise), windows=windows)
    batch = task.batch(np.random.default_rng(0))._replace(plain=1)
    found = loss_falls(task.network, lambda: task.losses(batch)["loss"], 1e-3, steps=4)
    assert found[1] < found[0]
    assert found[-1] < found[0]
    untouched = {name for name, p in task.network.named_parameters() if p.grad is None}
    assert untouched == (
        set() if windows else {n for n, _ in task.network.named_parameters() if ".motion_modules." in n}
    ) | {n for n, _ in task.network.named_parameters() if _behind_the_last_feature(n)}


def _behind_the_last_feature(name: str) -> bool:
    """What of the reference network lies behind the tokens of its last transformer; nothing reads it."""
    last = "rendering.video.reference_unet.up_blocks.2.attentions.2."
    return (
        name.startswith(last)
        and ".norm1." not in name
        and ".proj_in." not in name
        and not name.startswith(f"{last}norm.")
    )


def test_the_video_teaches_the_motion_encoder(clips: LatentClips, resting: LatentClips) -> None:
    task = rendering_task(clips, resting)
    for name, values in task.network.named_parameters():
        if "proj_out" in name:
            values.data.normal_(0, 0.05)
    batch = task.batch(np.random.default_rng(0))._replace(plain=0)
    found = task.losses(batch)
    (found["loss"] - train_rendering.READ * found["read"]).backward()
    grad = task.network.rendering.encoder.latent.weight.grad
    assert grad is not None
    assert grad.abs().max() > 0


def test_clips_without_condition_are_told_their_own_motion_alone(clips: LatentClips, resting: LatentClips) -> None:
    task = rendering_task(clips, resting)
    task.network.eval()
    batch = task.batch(np.random.default_rng(0))._replace(plain=1)
    with torch.no_grad():
        motion = task.network.rendering.encoder(batch.faces.flatten(0, 1)).unflatten(0, batch.faces.shape[:2])
        condition = task.condition(batch, motion)
        encoder = task.network.rendering.encoder
        own = encoder.tokens(motion[0, 0], neutral(motion[0, 0]))
    assert torch.allclose(condition.acting[0], own.expand(16, -1, -1))
    torch.testing.assert_close(condition.acting[1], encoder.tokens(motion[1, 1:], batch.placement[1]))
    assert condition.locator is not None
    assert not condition.locator[0].any()
    assert condition.locator[1].any()
    assert condition.plain == 1


def test_driving_faces_are_off_in_colour_size_and_place_alike_over_a_clip() -> None:
    ramp = torch.linspace(-0.4, 0.4, 64).expand(3, 3, 64, 64)
    made = driving(ramp, np.random.default_rng(0))
    assert made.shape == ramp.shape
    assert torch.equal(made[0], made[2])
    assert (made - ramp).abs().max() > 0.03
    assert -1 <= made.min() <= made.max() <= 1
    colours = made.mean(dim=(0, 2, 3))
    assert colours.std() > 1e-3
    # The ramp stays one: columns keep their order.
    assert (made[0, :, 32, 8:56].diff(dim=1) > 0).all()


def test_motion_of_a_split_and_its_statistics(faces: Faces) -> None:
    torch.manual_seed(0)
    encoder = fresh_rendering(MINI)[0].encoder.eval()
    few = replace(faces, boxes=faces.boxes[:2, :60], crops=faces.crops[:2, :60])
    motion = encoded(few, encoder)
    assert motion.shape == (2, 60, 32)
    with torch.no_grad():
        torch.testing.assert_close(motion[1, 57:58], encoder(few.cut(1, np.array([57]))), atol=1e-5, rtol=1e-4)
    mean, std = statistics(motion, few, placed=True)
    assert mean.shape == std.shape == (35,)
    torch.testing.assert_close(mean[:32], motion.mean(dim=(0, 1)))
    assert 0.8 < mean[-1] < 1.2
    assert statistics(motion, few, placed=False)[0].shape == (32,)


def test_both_stages_leave_files_that_the_method_loads(
    clips: LatentClips, resting: LatentClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Recipe(steps=1, warm_up=0, bfloat16=False)
    for module, name in (
        (train_rendering, "FRAMES_RECIPE"),
        (train_rendering, "WINDOWS_RECIPE"),
        (train_acting, "RECIPE"),
    ):
        monkeypatch.setattr(module, name, short)
    order = Order("x-actor", "mini", "test", tmp_path, tmp_path / "work", tmp_path / "out")
    monkeypatch.setattr(train, "HALLO_FILE", tmp_path / "absent")
    with pytest.raises(MissingWeightsError):
        train.train_renderer(order, *corpora(clips, resting), load_mini_vae())
    torch.manual_seed(0)
    save_weights(tmp_path / "hallo.safetensors", Hallo(HALLO_MINI).state_dict(), torch.float16)
    monkeypatch.setattr(train, "HALLO_FILE", tmp_path / "hallo.safetensors")
    latents = torch.randn(CLIPS, FRAMES, 32, MINI.side, MINI.side).half()
    splits = {id(of.pictures): replace(of, latents=latents) for of in (clips, resting)}
    monkeypatch.setattr(train, "open_pictures", lambda folder, count: clips.pictures)
    monkeypatch.setattr(train, "still", lambda folder, pictures: resting.pictures)
    monkeypatch.setattr(train, "latent_clips", lambda pictures, *_: splits[id(pictures)])
    monkeypatch.setattr(train, "encoded", lambda faces, encoder: torch.randn(CLIPS, FRAMES, MINI.encoder.motion))
    train.train(order)
    out = tmp_path / "out"
    assert {path.suffix for path in out.iterdir()} == {".safetensors", ".json", ".md"}
    written = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    train.train(order)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == written
    for name in ("ACTING_FILE", "RENDERING_FILE"):
        monkeypatch.setattr(bundle, name, out / getattr(bundle, name).name)
    loaded = bundle.load_mini(MINI)
    from thbench_methods.xactor.claims import with_rival
    from thbench_methods.xactor.pipeline import XActor

    rival = with_rival(XActor("mini"), tmp_path / "work" / train.RIVAL)
    assert rival.bundle.acted.mean.shape == loaded.acted.mean.shape
    assert not torch.equal(rival.bundle.acted.actor.final.weight, loaded.acted.actor.final.weight)
