"""X-Actor's trainings: noise levels, windows and their portraits, both objectives, and the files that they leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.hallo.config import MINI as HALLO_MINI
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.unet3d.train import LatentClips
from thbench_methods.xactor import bundle, train, train_acting, train_rendering
from thbench_methods.xactor.config import MINI, Objective
from thbench_methods.xactor.crop import boxes_of, crop_boxes, cropped
from thbench_methods.xactor.encoder import as_faces
from thbench_methods.xactor.examples import STILL, Faces, encoded, statistics
from thbench_methods.xactor.forcing import TOP
from thbench_methods.xactor.networks import Acted
from thbench_methods.xactor.objective import drawn_levels, losses, weights
from thbench_methods.xactor.renderer import Condition
from thbench_methods.xactor.train_acting import ActingTask
from thbench_methods.xactor.train_rendering import (
    Corpus,
    ReadingTask,
    RenderingTask,
    Supervised,
    driving,
    fresh_rendering,
    reading_error,
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
    middle = draw.uniform(50, 78, (CLIPS, 1, 1, 2)) + draw.uniform(-2, 2, (CLIPS, FRAMES, 1, 2))
    pictures.landmarks68 = (middle + draw.uniform(-20, 20, (1, 1, 68, 2))).astype(np.float32)
    pictures.expression = draw.random((CLIPS, FRAMES, 53), dtype=np.float32)
    pictures.pose = np.broadcast_to(draw.normal(0, 10, (CLIPS, 1, 3)).astype(np.float32), (CLIPS, FRAMES, 3))
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


def acting_task(clips: LatentClips, objective: Objective | None = None) -> ActingTask:
    """Return the task with motion that tells clip and frame."""
    torch.manual_seed(0)
    network = Acted(MINI)
    frames = torch.arange(CLIPS)[:, None] * 1000.0 + torch.arange(FRAMES)
    motion = frames[..., None].expand(-1, -1, MINI.encoder.motion)
    return ActingTask(network, motion, clips.speech, objective=objective or Objective())


def corpus(clips: LatentClips) -> Corpus:
    return Corpus(clips, Faces.of(clips.pictures, MINI.encoder.side), truth_of(clips.pictures))


def rendering_task(clips: LatentClips, *, windows: bool = True) -> RenderingTask:
    torch.manual_seed(0)
    rendering, _ = fresh_rendering(MINI)
    split = corpus(clips)
    return RenderingTask(Supervised(rendering, MINI.encoder.motion, split.truth.shape[-1]), split, windows=windows)


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


def test_windows_of_motion_belong_to_their_sound_and_portrait(clips: LatentClips) -> None:
    task = acting_task(clips)
    starts = 0
    for seed in range(8):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.motion.shape == (10, 90, 32)
        assert batch.audio.shape == (10, 106, 4, 96)
        assert batch.levels.shape == (10, 9)
        for motion, reference, audio in zip(batch.motion, batch.reference, batch.audio, strict=True):
            first = motion[0, 0].item()
            clip, frame = divmod(int(first), 1000)
            assert torch.equal(motion[:, 0], first + torch.arange(90.0))
            heard = frame + torch.arange(-8.0, 98.0)
            assert torch.equal(audio[:, 0, 0], heard.clamp(0, 99))
            portrait = round(reference[0].item()) - 1000 * clip
            assert 0 <= portrait < FRAMES
            starts += portrait == frame
    assert 10 < starts < 50


def test_motion_is_normalised_and_the_portraits_is_a_little_off(clips: LatentClips) -> None:
    plain, task = acting_task(clips), acting_task(clips)
    task.network.mean.copy_(torch.linspace(-5, 5, MINI.encoder.motion))
    task.network.std.copy_(torch.linspace(0.5, 2, MINI.encoder.motion))
    given, batch = (one.batch(np.random.default_rng(0)) for one in (plain, task))
    torch.testing.assert_close(batch.motion, task.network.normalised(given.motion))
    # Motion as encoded is the same number in every place.
    true = given.reference.mean(dim=1).round()[:, None].expand(-1, MINI.encoder.motion)
    off = batch.reference - task.network.normalised(true)
    assert float(off.std()) == pytest.approx(train_acting.PORTRAIT_ERROR, rel=0.2)


def test_levels_may_be_drawn_for_each_frame(clips: LatentClips) -> None:
    task = acting_task(clips, Objective(per_frame=True))
    batch = task.batch(np.random.default_rng(0))
    assert batch.levels.shape == (10, 90)
    assert torch.isfinite(task.losses(batch)["loss"])


@pytest.mark.parametrize("objective", [Objective(), Objective(forcing=False)], ids=["forcing", "clean-history"])
def test_a_step_of_the_actor_lowers_its_loss_and_moves_all_of_it(clips: LatentClips, objective: Objective) -> None:
    task = acting_task(clips, objective)
    task.motion = torch.randn(CLIPS, FRAMES, MINI.encoder.motion, generator=torch.Generator().manual_seed(3))
    batch = task.batch(np.random.default_rng(0))
    batch = batch._replace(silent=torch.arange(10) < 2)
    found = loss_falls(task.network, lambda: task.losses(batch)["loss"], 1e-3)
    assert found[1] < found[0]
    assert found[-1] < 0.98 * found[0]
    still = {name for name, p in task.network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not still


@pytest.mark.parametrize("windows", [False, True], ids=["frames", "windows"])
def test_clips_of_the_renderer_belong_together(
    clips: LatentClips, windows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_rendering, "driving", lambda faces, rng: faces)
    task = rendering_task(clips, windows=windows)
    split = task.corpus
    for seed in range(3):
        batch = task.batch(np.random.default_rng(seed))
        count, length = (2, 16) if windows else (6, 6)
        assert batch.clean.shape == (count, MINI.renderer.unet.latent, length, MINI.side, MINI.side)
        assert batch.weight.shape == (count, 1, length, MINI.side, MINI.side)
        # What is denoised is what a frame changes of the latent of its portrait.
        known = batch.latents[:, :, None] + batch.clean / MINI.change
        seen = set()
        for row in range(count):
            clip, reference = divmod(round(100 * batch.latents[row, 0, 0, 0].item()), FRAMES)
            seen.add(clip)
            assert reference in (0, 20, 40, 60, 80)
            assert torch.equal(batch.embedding[row], clips.identity[clip, reference // 20])
            frames = (100 * known[row, 0, :, 0, 0]).round().int() - FRAMES * clip
            if windows:
                assert frames.diff().tolist() == [1] * 15
            shown = [reference, *frames.tolist()]
            assert torch.equal(batch.truth[row], split.truth[clip, shown])
            assert torch.equal(batch.faces[row], split.faces.cut(clip, np.array(shown)))
            points = clips.pictures.landmarks68[clip, reference] / MINI.size
            assert torch.equal(batch.lit[row], bundle.lit(points, clips.portrait(clip, reference)[None])[0])
        assert len(seen) == count


def test_some_clips_are_without_condition(clips: LatentClips) -> None:
    task = rendering_task(clips, windows=False)
    plain = [task.batch(np.random.default_rng(seed)).plain for seed in range(20)]
    assert 0 < sum(plain) < 0.25 * 20 * train_rendering.CLIPS_1


def test_what_is_read_is_how_expression_and_gaze_differ_within_a_clip(clips: LatentClips) -> None:
    truth = truth_of(clips.pictures)
    assert truth.shape == (CLIPS, FRAMES, 53 + 2)
    within = truth.var(dim=1).mean(dim=0).sqrt()  # of what moves little a little below 1
    assert within.max() < 1.01 and within.min() > 0.9
    draw = torch.Generator().manual_seed(0)
    power = train_rendering.POWER

    def error(motion: Tensor, read: nn.Module) -> float:
        return float(reading_error(motion, read, truth) - power * motion.square().mean())

    shifted = truth + torch.randn(CLIPS, 1, 55, generator=draw)
    assert abs(error(shifted, nn.Identity())) < 1e-5
    assert error(torch.zeros_like(truth), nn.Identity()) == pytest.approx(float(within.square().mean()), rel=0.05)
    louder = reading_error(2 * shifted, nn.Softsign(), truth) - reading_error(shifted, nn.Softsign(), truth)
    assert float(louder) > power * float(shifted.square().mean())


def test_windows_are_read_as_in_use_and_single_frames_with_their_own_statistics(clips: LatentClips) -> None:
    for windows in (False, True):
        task = rendering_task(clips, windows=windows)
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
def test_a_step_of_the_renderer_lowers_its_loss_and_moves_all_that_runs(clips: LatentClips, windows: bool) -> None:
    noise = torch.randn(clips.latents.shape, generator=torch.Generator().manual_seed(1)).half()
    task = rendering_task(replace(clips, latents=noise), windows=windows)
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


def test_a_step_of_the_encoder_alone_lowers_its_loss_and_moves_all_of_it(clips: LatentClips) -> None:
    whole = rendering_task(clips)
    task = ReadingTask.of(whole.network, whole.corpus)
    batch = task.batch(np.random.default_rng(0))
    assert batch.faces.shape == (CLIPS, train_rendering.SHOWN, 3, 64, 64) and batch.faces.abs().max() <= 1
    for truth in batch.truth:
        clip = next(own for own in whole.corpus.truth if any(torch.equal(row, truth[0]) for row in own))
        assert all(any(torch.equal(row, one) for row in clip) for one in truth)
    before = [values.detach().clone() for values in whole.network.rendering.video.parameters()]
    found = loss_falls(task.network, lambda: task.losses(batch)["loss"], 2e-3)
    assert found[-1] < 0.98 * found[0]
    still = {name for name, p in task.network.named_parameters() if p.grad is None or not p.grad.any()}
    assert all(".place" in f".{name}" or ".fuse" in f".{name}" for name in still)  # tokens are the generator's
    assert all(map(torch.equal, before, whole.network.rendering.video.parameters()))


def test_the_video_teaches_the_motion_encoder(clips: LatentClips) -> None:
    task = rendering_task(clips)
    for name, values in task.network.named_parameters():
        if "proj_out" in name:
            values.data.normal_(0, 0.05)
    batch = task.batch(np.random.default_rng(0))._replace(plain=0)
    found = task.losses(batch)
    (found["loss"] - train_rendering.READ * found["read"]).backward()
    grad = task.network.rendering.encoder.latent.weight.grad
    assert grad is not None
    assert grad.abs().max() > 0


def test_the_denoiser_is_told_motion_and_portrait_and_without_condition_the_portraits_motion_alone(
    clips: LatentClips,
) -> None:
    task = rendering_task(clips)
    task.network.eval()
    batch = task.batch(np.random.default_rng(0))._replace(plain=1)
    video, encoder = task.network.rendering.video, task.network.rendering.encoder
    with torch.no_grad():
        motion = encoder(batch.faces.flatten(0, 1)).unflatten(0, batch.faces.shape[:2])
        condition = task.condition(batch, motion)
        own, led = encoder.tokens(motion[0, 0]), encoder.tokens(motion[1, 1:])
        located = video.located(batch.latents, batch.lit)
        nobody, somebody = video.appearance(torch.stack((torch.zeros(128), batch.embedding[1])))
    assert condition.acting.shape == (2, 16, 2, 16)
    torch.testing.assert_close(condition.acting[0], own.expand(16, -1, -1))
    torch.testing.assert_close(condition.acting[1], led)
    torch.testing.assert_close(condition.appearance, torch.stack((nobody, somebody)))
    assert condition.locator is not None
    assert located is not None
    assert not condition.locator[0].any()
    assert torch.equal(condition.locator[1], located[1])
    assert (condition.plain, condition.guided) == (1, False)


def test_of_single_frames_each_is_told_its_own_motion_and_the_portrait_of_its_clip(
    clips: LatentClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, told = rendering_task(clips, windows=False), []
    batch = task.batch(np.random.default_rng(0))._replace(plain=2)
    whole, video = task.condition, task.network.rendering.video

    def watched(*given: Any) -> Condition:
        told.append(whole(*given))
        return told[-1]

    def denoised(noisy: Tensor, times: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        told.append(condition)
        return noisy, noisy

    monkeypatch.setattr(task, "condition", watched)
    monkeypatch.setattr(video.denoising_unet, "full", denoised)
    task.losses(batch)
    clip, frame = told
    assert (clip.batch, clip.plain) == (6, 2)
    assert (frame.batch, frame.plain) == (36, 12)
    assert torch.equal(frame.acting[:, 0], clip.acting.flatten(0, 1))
    assert torch.equal(frame.appearance, clip.appearance.repeat_interleave(6, dim=0))
    assert torch.equal(frame.locator, clip.locator.repeat_interleave(6, dim=0))
    for place, tokens in clip.reference.items():
        assert torch.equal(frame.reference[place], tokens.repeat_interleave(6, dim=0))


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


def test_faces_are_cut_where_the_landmarks_are(clips: LatentClips) -> None:
    faces = Faces.of(clips.pictures, MINI.encoder.side)
    assert faces.crops.shape == (CLIPS, FRAMES, 3)
    frames, points = clips.pictures.frames[2], clips.pictures.landmarks68[2]
    boxes = crop_boxes(boxes_of(points), MINI.size)
    cut = faces.cut(2, np.array([7, 30]))
    assert torch.equal(cut, as_faces(np.stack([cropped(frames[k], boxes[k], MINI.encoder.side) for k in (7, 30)])))


def test_motion_of_a_split_and_its_statistics(clips: LatentClips) -> None:
    torch.manual_seed(0)
    encoder = fresh_rendering(MINI)[0].encoder.eval()
    faces = Faces.of(clips.pictures, MINI.encoder.side)
    few = replace(faces, crops=faces.crops[:2, :60])
    motion = encoded(few, encoder)
    assert motion.shape == (2, 60, 32)
    with torch.no_grad():
        torch.testing.assert_close(motion[1, 57:58], encoder(few.cut(1, np.array([57]))), atol=1e-5, rtol=1e-4)
    motion = torch.cat((torch.full((2, 60, 1), 3.0), motion[..., 1:]), dim=2)
    mean, std = statistics(motion)
    torch.testing.assert_close(mean, motion.mean(dim=(0, 1)))
    torch.testing.assert_close(std[1:], motion.flatten(0, 1).std(dim=0)[1:])
    assert float(std[0]) == pytest.approx(STILL)


def test_both_stages_leave_files_that_the_method_loads(
    clips: LatentClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Recipe(steps=1, warm_up=0, bfloat16=False)
    for module, name in (
        (train_rendering, "READING_RECIPE"),
        (train_rendering, "FRAMES_RECIPE"),
        (train_rendering, "WINDOWS_RECIPE"),
        (train_acting, "RECIPE"),
    ):
        monkeypatch.setattr(module, name, short)
    order = Order("x-actor", "mini", "test", tmp_path, tmp_path / "work", tmp_path / "out")
    monkeypatch.setattr(train, "HALLO_FILE", tmp_path / "absent")
    with pytest.raises(MissingWeightsError):
        train.train_renderer(order, corpus(clips))
    torch.manual_seed(0)
    save_weights(tmp_path / "hallo.safetensors", Hallo(HALLO_MINI).state_dict(), torch.float16)
    monkeypatch.setattr(train, "HALLO_FILE", tmp_path / "hallo.safetensors")
    latents = torch.randn(CLIPS, FRAMES, 32, MINI.side, MINI.side).half()
    # Only of what is drawn with heads at rest are there latents.
    drawn, rests = object(), {id(clips.pictures): replace(clips, latents=latents)}
    monkeypatch.setattr(train, "open_pictures", lambda folder, count: drawn)
    monkeypatch.setattr(train, "still", lambda folder, pictures: {id(drawn): clips.pictures}[id(pictures)])
    monkeypatch.setattr(train, "latent_clips", lambda pictures, *_: rests[id(pictures)])
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
