"""What SVP's training draws and minimises; that its parts train what they say, and begin as Hallo."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_svp import BASE, SIZES, STYLE, WHOLE
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.unet3d.layout import frames_apart
from thbench_methods.nets.unet3d.train import LatentClips, known_clips
from thbench_methods.svp import examples as examples_of
from thbench_methods.svp.config import MINI
from thbench_methods.svp.examples import Portraits, Styles, styles_of
from thbench_methods.svp.guidance import Told
from thbench_methods.svp.key_points import drawn, key_points_of
from thbench_methods.svp.objective import ALIKE, TEMPERATURE, contrast, statistics, triplet
from thbench_methods.svp.style import Gaussian
from thbench_methods.svp.train import (
    LED,
    PARTS,
    RESTYLED,
    UNHEARD,
    Corpus,
    DiffusionTask,
    StyleTask,
    StyleTraining,
    apart,
    begun,
    drawn_clips,
    train_style,
)
from torch import nn

from thbench.training.order import Order

CLIPS, FRAMES, SIDE = 6, 100, 4
CONFIG = replace(
    WHOLE,
    base=replace(
        BASE, unet=replace(SIZES, idle=False), audio=replace(BASE.audio, window=3), locator=(4, 4, 4, 4), size=32
    ),
    style=replace(STYLE, longest=25, shortest=8, expression=53),
    guider=(4, 4, 4, 4),
)

SINGLE, HEARING, WINDOWS, JOINT = (part._replace(frames=3, clips=min(part.clips, 3)) for part in PARTS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    """Latents and sound tell clip and frame: 1000 clip + frame, scaled."""

    class Pictures:
        pass

    draw = np.random.default_rng(0)
    pictures: Any = Pictures()
    pictures.frames = draw.integers(0, 256, (CLIPS, FRAMES, 32, 32, 3), dtype=np.uint8)
    # Heads walk to the right.
    places = draw.uniform(8, 16, (CLIPS, 1, 68, 2)) + np.arange(FRAMES)[None, :, None, None] * (0.1, 0.0)
    pictures.landmarks68 = places.astype(np.float32)
    number = torch.arange(CLIPS)[:, None] + torch.arange(FRAMES) / 1024
    return LatentClips(
        latents=number.view(CLIPS, FRAMES, 1, 1, 1).expand(-1, -1, 4, SIDE, SIDE).half(),
        speech=torch.arange(FRAMES).view(1, FRAMES, 1, 1).expand(CLIPS, FRAMES, 2, 3).half(),
        weight=torch.ones(CLIPS, FRAMES, 1, SIDE, SIDE).half(),
        identity=torch.randn(CLIPS, 5, 9),
        pictures=pictures,
    )


@pytest.fixture(scope="module")
def styles() -> Styles:
    draw = torch.Generator().manual_seed(0)
    own = torch.randn(CLIPS, 1, 53, generator=draw).expand(-1, 50, -1)
    moving = own + 0.3 * torch.randn(CLIPS, 50, 53, generator=draw)
    return Styles(moving, torch.randn(CLIPS, 50, 5, generator=draw), np.array([0, 1, 2, 0, 1, 2]))


@pytest.fixture(scope="module")
def acted() -> Portraits:
    """Of the first two clips; latents are 100 + clip + picture / 4."""
    draw = np.random.default_rng(1)
    number = torch.arange(2.0)[:, None] + torch.arange(3) / 4
    latents = 100 + number.view(2, 3, 1, 1, 1).expand(-1, -1, 4, SIDE, SIDE)
    return Portraits(
        draw.integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8),
        draw.uniform(8, 24, (2, 3, 68, 2)).astype(np.float32),
        np.array([[3, 50, 99]] * 2),
        np.array([[5, 0, 3], [1, 4, 2]]),
        np.array([[7, 30, 60], [90, 20, 8]]),
        latents.half(),
        torch.randn(2, 3, 9),
    )


class Pooled:
    """An autoencoder whose latents are small pictures."""

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(pictures, SIDE)
        return torch.cat((small, small[:, :1]), dim=1)


def fresh(config: Any = CONFIG) -> Any:
    torch.manual_seed(0)
    return begun(config, Hallo(config.base).state_dict())


@pytest.fixture(scope="module")
def corpora(clips: LatentClips, acted: Portraits) -> tuple[Corpus, Corpus, Corpus]:
    """Moving, at rest, and at rest in the style of the last clip, of the one before it and so on; see `as_moving`."""
    resting = replace(clips, latents=-1 - clips.latents, pictures=copy(clips.pictures))
    resting.pictures.landmarks68 = np.broadcast_to(clips.pictures.landmarks68[:, :1], (CLIPS, FRAMES, 68, 2))
    own, portraits = np.arange(CLIPS), replace(acted, latents=-1 - acted.latents)
    swapped = Corpus(resting, portraits, own[::-1], many_styles=True)
    return Corpus(clips, acted, own), Corpus(resting, portraits, own), swapped


def as_moving(latents: torch.Tensor, led: bool) -> torch.Tensor:
    """Latents of clips at rest tell theirs in numbers below zero."""
    assert bool((latents > -0.5).all()) == led
    return latents if led else -1 - latents


@pytest.fixture
def task_of(corpora: tuple[Corpus, Corpus, Corpus], styles: Styles) -> Any:
    def made(part: Any, config: Any = CONFIG) -> DiffusionTask:
        return DiffusionTask(fresh(config), *corpora, styles, part, Pooled(), config)  # type: ignore[arg-type]

    return made


@pytest.fixture
def task(task_of: Any) -> DiffusionTask:
    return task_of(JOINT)  # type: ignore[no-any-return]


def test_contrast_is_the_cross_entropy_of_the_other_part() -> None:
    codes = torch.eye(3, 4)
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    row = torch.tensor([1.0, 0.0, 0.0]) / TEMPERATURE
    expected = -row.log_softmax(0)[0]
    torch.testing.assert_close(contrast(codes, 5 * codes, nothing), expected)
    swapped = codes[[1, 0, 2]]
    assert contrast(codes, swapped, nothing) > contrast(codes, codes, nothing)
    # Two clips of one kind: the least loss is that of the wanted shares.
    alike = nothing.clone()
    alike[0, 1] = alike[1, 0] = True
    shares = torch.tensor([1.0, ALIKE]) / (1 + ALIKE)
    logits = torch.stack((shares[0].log(), shares[1].log(), torch.tensor(-50.0)))
    assert -(shares * logits.log_softmax(0)[:2]).sum() < contrast(codes, codes, alike)


def test_triplets_take_the_nearest_that_is_not_alike() -> None:
    mean = torch.tensor([[0.0], [1.0], [20.0]])
    styles = Gaussian(mean, torch.ones(3, 1))
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    # Distances to the nearest other are 1, 1 and 19; the margin is 5.
    torch.testing.assert_close(triplet(styles, styles, nothing), torch.tensor(8 / 3), atol=1e-4, rtol=0)
    alike = nothing.clone()
    alike[0, 1] = alike[1, 0] = True
    torch.testing.assert_close(triplet(styles, styles, alike), torch.tensor(0.0))


def test_statistics_of_a_clip() -> None:
    clip = torch.tensor([[[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]])
    assert statistics(clip)[0].tolist() == [2, 5, 2, 0, 2, 0]


def test_parts_of_a_clip_do_not_overlap(styles: Styles) -> None:
    marked = replace(styles, expression=torch.arange(50.0).view(1, 50, 1).expand(CLIPS, -1, 53))
    task = StyleTask(StyleTraining(CONFIG.style), marked, CONFIG.style)
    orders = set()
    for seed in range(8):
        batch = task.batch(np.random.default_rng(seed))
        assert torch.equal(batch.alike, batch.alike.T)
        assert batch.alike.sum() == 2 * CLIPS
        for one, other in zip(batch.first[0][..., 0], batch.second[0][..., 0], strict=True):
            assert len(one) == len(other) >= CONFIG.style.shortest
            assert len(one) <= CONFIG.style.longest
            assert not set(one.tolist()) & set(other.tolist())
            assert torch.equal(one.diff(), torch.ones(len(one) - 1))
            orders.add(bool(one[0] < other[0]))
    assert orders == {True, False}


def test_half_of_the_batches_of_stage_one_hear_nothing(styles: Styles) -> None:
    sizes = replace(CONFIG.style, longest=10)
    task = StyleTask(StyleTraining(sizes), styles, sizes)
    batches = [task.batch(np.random.default_rng(seed)) for seed in range(80)]
    heard = [bool(batch.first[1].any()) for batch in batches]
    assert heard == [bool(batch.second[1].any()) for batch in batches]
    assert np.mean(heard) == pytest.approx(1 - UNHEARD, abs=0.15)
    assert all(batch.first[0].any() and batch.first[0].shape[1] <= 10 for batch in batches)
    silent = batches[heard.index(False)]
    assert float(task.losses(silent)["loss"].detach()) > 0


@pytest.mark.parametrize("objective", ["contrast", "triplet"])
def test_the_style_is_learned(styles: Styles, objective: Any) -> None:
    torch.manual_seed(0)
    task = StyleTask(StyleTraining(CONFIG.style), styles, CONFIG.style, objective)
    rows = [task.batch(np.random.default_rng(seed)) for seed in range(3)]
    optimiser = torch.optim.Adam(task.network.parameters(), lr=3e-3)

    def loss() -> float:
        torch.manual_seed(1)
        with torch.no_grad():
            return float(np.mean([float(task.losses(batch)["loss"]) for batch in rows]))

    before = loss()
    for step in range(30):
        optimiser.zero_grad()
        task.losses(rows[step % 3])["loss"].backward()
        optimiser.step()
    assert loss() < 0.9 * before


def test_windows_go_on_from_their_past_and_know_their_clip(task: DiffusionTask) -> None:
    starts = shows = 0
    for seed in range(20):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.clean.shape == (2, 4, 3, SIDE, SIDE)
        assert batch.given.latents.shape == (2 * 3, 4, SIDE, SIDE)
        assert batch.given.key_points is not None and batch.given.key_points.shape == (2, 3, 3, 32, 32)
        assert [tuple(level.lip.shape) for level in batch.given.masks] == [(6, 16), (6, 4), (6, 1)]
        assert list(batch.told) == sorted(batch.told)
        portraits = batch.given.latents.view(2, 3, 4, SIDE, SIDE)[:, 0]
        for row, led in enumerate(batch.led):
            window = as_moving(batch.clean[row, 0, :, 0, 0], led)
            sound = batch.given.audio[row, :, 1, 0, 0]
            assert torch.equal(sound.diff(), torch.ones(2))
            # Whatever the portrait, the window is of one clip, at the frames that are heard.
            clip = window.floor()
            torch.testing.assert_close((window - clip) * 1024, sound, atol=2, rtol=0)
            shown = as_moving(portraits[row, 0, 0, 0], led)
            assert shown.floor() in (clip[0], 100 + clip[0])
            shows += bool(shown >= 100)
            past = as_moving(batch.given.latents.view(2, 3, 4, SIDE, SIDE)[row, 1:].mean(dim=(1, 2, 3)), led)
            begins = bool((past - shown).abs().max() < 0.2 and (shown >= 100 or sound[0] in (0, 20, 40, 60, 80)))
            starts += begins
    assert 0 < starts < 40 and 0 < shows < 40


def test_single_frames_are_of_any_time_and_heard_there(task_of: Any, acted: Portraits) -> None:
    task = task_of(SINGLE)
    apart_by, pictures = [], 0
    for seed in range(20):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.clean.shape == (3, 4, 3, SIDE, SIDE)
        assert batch.given.latents.shape == (3, 4, SIDE, SIDE)
        assert batch.given.codes.shape[:2] == (3, 3) and batch.weight.shape == (3, 1, 3, SIDE, SIDE)
        assert [tuple(level.lip.shape) for level in batch.given.masks] == [(3, 16), (3, 4), (3, 1)]
        for row, led in enumerate(batch.led):
            frames, sound = as_moving(batch.clean[row, 0, :, 0, 0], led), batch.given.audio[row, :, 1, 0, 0]
            clip = frames.floor()
            assert (clip == clip[0]).all()
            if clip[0] >= 100:
                # Pictures of the person with what others show and say: none of them is the portrait.
                number = ((frames - clip) * 4).long()
                assert sound.tolist() == acted.instant[int(clip[0]) - 100, number].tolist()
                assert as_moving(batch.given.latents[row, 0, 0, 0], led) not in frames
                pictures += 1
                continue
            torch.testing.assert_close((frames - clip) * 1024, sound, atol=2, rtol=0)
            apart_by += sound.diff().tolist()
    assert len(set(apart_by)) > 20 and pictures > 5


def test_each_single_frame_is_a_clip_with_a_time_of_its_own(task_of: Any) -> None:
    task = task_of(SINGLE, replace(CONFIG, base=replace(CONFIG.base, change=2.0)))
    net, batch = task.network, task.batch(np.random.default_rng(0))
    loud(net)
    count, frames, given = batch.clean.shape[0], batch.clean.shape[2], batch.given

    def each(rows: Any) -> Any:
        return rows.repeat_interleave(frames, dim=0)

    alone = given._replace(
        latents=each(given.latents),
        audio=given.audio.flatten(0, 1)[:, None],
        codes=given.codes.flatten(0, 1)[:, None],
        key_points=frames_apart(given.key_points),
        face=each(given.face),
        region=each(given.region),
        masks=[type(level)(*map(each, level)) for level in given.masks],
        base=frames_apart(given.base),
    )
    told, led = (Told.NULL, Told.HEARD, Told.STYLED), (True, False, True)
    times = torch.arange(count * frames) * 100
    noisy = torch.randn(count * frames, 4, 1, SIDE, SIDE)
    with torch.inference_mode():
        own = net.condition(alone, *([part for part in row for _ in range(frames)] for row in (told, led)))
        one, two = (
            net.denoising_unet.full(noisy, times, condition)[0]
            for condition in (apart(net.condition(given, told, led), frames), own)
        )
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)
    seen: list[torch.Tensor] = []

    def full(noisy: torch.Tensor, times: torch.Tensor, condition: Any) -> Any:
        assert noisy.shape == (count * frames, 4, 1, SIDE, SIDE) and condition.batch == len(times)
        seen.append(times)
        return noisy, None

    net.denoising_unet.full = full
    task.losses(batch)
    assert len(set(seen[0].tolist())) > count


def test_single_frames_leave_motion_out_and_windows_do_not(task_of: Any) -> None:
    for part in (SINGLE, WINDOWS):
        task = task_of(part)
        batch, found = task.batch(np.random.default_rng(0)), []
        for _ in range(2):
            torch.manual_seed(0)
            found.append(float(task.losses(batch)["loss"].detach()))
            with torch.no_grad():
                for name, parameter in task.network.named_parameters():
                    if ".motion_modules." in name:
                        parameter.add_(0.1)
        assert (found[0] == found[1]) == (not part.windows)
    assert SINGLE.recipe.seed != HEARING.recipe.seed and WINDOWS.recipe.seed != JOINT.recipe.seed


def test_at_least_half_of_the_clips_have_acted_portraits() -> None:
    seen = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        some = drawn_clips(rng, 20, 4, 5).tolist()
        assert len(set(some)) == 5 and sum(clip < 4 for clip in some) >= 3
        seen |= {(clip, place) for place, clip in enumerate(some) if clip < 4}
        assert sorted(drawn_clips(rng, 2, 2, 8).tolist()) == [0, 1]
        assert len(set(drawn_clips(rng, 6, 0, 2).tolist())) == 2
        assert sum(clip < 1 for clip in drawn_clips(rng, 6, 1, 4)) == 1
    # In any order, since those that are told nothing lead.
    assert seen == {(clip, place) for clip in range(4) for place in range(5)}


def loud(network: Any) -> None:
    """Let what begins as zero act."""
    for module in network.denoising_unet.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)
    nn.init.normal_(network.kps_guider.conv_out.weight, std=0.1)


def test_changes_are_of_the_portrait_moved_with_a_led_head(task_of: Any) -> None:
    task = task_of(JOINT, replace(CONFIG, base=replace(CONFIG.base, change=2.0)))
    seen = set()
    for seed in range(8):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.given.base is not None and batch.given.base.shape == (2, 4, 3, SIDE, SIDE)
        portraits = batch.given.latents.view(2, 3, 4, SIDE, SIDE)[:, 0]
        for row, on in enumerate(batch.led):
            unmoved = torch.equal(batch.given.base[row], portraits[row, :, None].expand(-1, 3, -1, -1))
            assert unmoved != on
            seen.add(on)
        # What is denoised leads back to the frames.
        frames = batch.given.base + batch.clean / 2
        torch.testing.assert_close(frames[:, 0], frames[:, 3], atol=1e-4, rtol=1e-4)
        for own, on in zip(frames[:, 0, :, 0, 0], batch.led, strict=True):
            assert (as_moving(own, on).floor() < CLIPS).all()
    assert seen == {True, False}
    other = batch.given._replace(base=batch.given.base + 1)
    told = (Told.NULL, Told.STYLED)
    one, two = (task.network.condition(given, told).located for given in (batch.given, other))
    assert torch.equal(one[0], two[0]) and not torch.equal(one[1], two[1])


def test_key_points_are_those_of_the_frames(task: DiffusionTask, clips: LatentClips) -> None:
    batch = next(own for seed in range(20) if all((own := task.batch(np.random.default_rng(seed))).led))
    for row in range(2):
        clip = int(batch.clean[row, 0, 0, 0, 0])
        first = int(batch.given.audio[row, 0, 1, 0, 0])
        points = key_points_of(torch.from_numpy(clips.pictures.landmarks68[clip, first : first + 3]) / 32)
        torch.testing.assert_close(batch.given.key_points[row].transpose(0, 1), drawn(points, 32))


def test_clips_are_told_in_the_stated_shares(task: DiffusionTask) -> None:
    batches = [task.batch(np.random.default_rng(seed)) for seed in range(60)]
    told = np.array([batch.told for batch in batches]).ravel()
    led = np.array([batch.led for batch in batches]).ravel()
    for part, share in ((Told.NULL, 0.1), (Told.HEARD, 0.1), (Told.STYLED, 0.8)):
        assert np.mean(told == part) == pytest.approx(share, abs=0.1)
    assert led.mean() == pytest.approx(LED, abs=0.1)


def test_faces_of_other_emotions_come_with_their_style(
    task_of: Any, corpora: tuple[Corpus, Corpus, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, asked = task_of(HEARING), []
    own = task._codes
    monkeypatch.setattr(task, "_codes", lambda clips, rng: (asked.append(clips), own(clips, rng))[1])
    swapped = corpora[2].clips
    task.restyled = replace(corpora[2], clips=replace(swapped, latents=swapped.latents - 50))
    rows: list[tuple[Told, bool, bool]] = []
    for seed in range(40):
        batch = task.batch(np.random.default_rng(seed))
        for row, styles in enumerate(asked[-1]):
            latents = batch.clean[row, 0, :, 0, 0]
            shown = latents if batch.led[row] else -1 - latents
            words = shown.long().tolist()
            other = words[0] >= 50
            if words[0] >= 100:
                words = [int(task.restyled.acted.words[int(x) - 100, int(4 * (x % 1))]) for x in shown]
            else:
                words = [word - 50 * other for word in words]
            assert styles.tolist() == [CLIPS - 1 - word if other else word for word in words]
            rows.append((batch.told[row], batch.led[row], other))
    free = [(told, other) for told, led, other in rows if not led]
    assert not any(other for _, led, other in rows if led)
    assert not any(other for told, other in free if told is Told.HEARD)  # what voices say is left to them
    assert np.mean([other for told, other in free if told is Told.STYLED]) == pytest.approx(RESTYLED, abs=0.12)


def test_the_same_step_draws_the_same(task: DiffusionTask) -> None:
    def once() -> float:
        torch.manual_seed(4)
        return float(task.losses(task.batch(np.random.default_rng(4)))["loss"].detach())

    assert once() == once()


def test_training_begins_as_hallo(task: DiffusionTask) -> None:
    net, batch = task.network.eval(), task.batch(np.random.default_rng(0))
    noisy = torch.randn(batch.clean.shape)
    other = batch.given._replace(codes=batch.given.codes + 1, key_points=1 - batch.given.key_points)
    with torch.inference_mode():
        one, two = (
            net.denoising_unet.full(noisy, torch.tensor(300), net.condition(given, (Told.STYLED,) * 2))[0]
            for given in (batch.given, other)
        )
    assert torch.equal(one, two)
    with pytest.raises(ValueError, match="no weights of this base"):
        begun(CONFIG, {"reference_unet.conv_in.weight": torch.zeros(8, 4, 3, 3)})


@pytest.mark.parametrize(
    ("part", "learns", "rests"),
    [
        (
            SINGLE,
            ("reference_unet", "kps_guider", "face_locator", "imageproj", "style_projection", "attn_style", "resnets"),
            ("audioproj", "audio_modules", "motion_modules", "style."),
        ),
        (
            WINDOWS,
            ("audioproj", "audio_modules", "motion_modules", "attn_style", "norm_style", "style_projection"),
            (
                "reference_unet",
                "kps_guider",
                "face_locator",
                "resnets",
                "attentions.0.transformer_blocks.0.attn1",
                "style.",
            ),
        ),
        (HEARING, ("audioproj", "audio_modules", "reference_unet", "attn_style"), ("motion_modules", "style.")),
        (JOINT, ("audioproj", "motion_modules", "reference_unet", "attn_style", "kps_guider"), ("style.",)),
    ],
)
def test_each_part_trains_what_it_says(task_of: Any, part: Any, learns: Any, rests: Any) -> None:
    task = task_of(part)
    network, which = task.network, part.trains
    # What begins as zero hides what lies before it from the first gradient.
    loud(network)
    batch = task.batch(np.random.default_rng(0))._replace(told=(Told.STYLED,) * part.clips, led=(True,) * part.clips)
    task.losses(batch)["loss"].backward()
    touched = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched == {name for name in touched if which(name)}
    for some in learns:
        # Attention of the reference network's last transformer beyond what it gives as features has no use.
        assert any(some in name for name in touched), some
    for some in rests:
        assert not any(name.startswith(some) if some == "style." else f".{some}" in f".{name}." for name in touched), (
            some
        )


@pytest.mark.parametrize("part", [SINGLE, HEARING, WINDOWS, JOINT], ids=lambda part: part.name)
def test_steps_lower_the_loss_of_one_batch(task_of: Any, part: Any) -> None:
    task = task_of(part)
    batch = task.batch(np.random.default_rng(0))
    optimiser = torch.optim.Adam([p for p in task.network.parameters() if p.requires_grad], lr=2e-3)

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        return task.losses(batch)["loss"]

    before = float(loss().detach())
    for _ in range(5):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < before


def test_style_extractor_is_trained_and_its_prior_kept(
    styles: Styles, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thbench_methods.svp import train

    monkeypatch.setattr(train, "STAGE_1", train.STAGE_1.model_copy(update={"steps": 3, "warm_up": 1}))
    network = fresh()
    before = network.style.state_dict()["exp_in.weight"].clone()
    train_style(network, styles, CONFIG, Order("svp", "mini", "test", tmp_path, tmp_path))
    assert not torch.equal(before, network.style.exp_in.weight)
    with torch.inference_mode():
        # Of the first half of each clip and of the second: the extractor reads no more at once.
        found = [network.style(*part).mean.mean(dim=0) for part in styles.parts(25)]
    assert len(found) == 2 and not torch.allclose(found[0], found[1])
    torch.testing.assert_close(network.style.prior_mean, (found[0] + found[1]) / 2, atol=1e-4, rtol=1e-3)
    assert network.style.resting_weight.any() and network.style.resting_bias.any()


def test_parts_of_styles_follow_each_other(styles: Styles) -> None:
    marked = replace(styles, expression=torch.arange(50.0).view(1, 50, 1).expand(CLIPS, -1, 53))
    assert [part[0, :, 0].tolist() for part, _ in marked.parts(20)] == [list(range(20)), list(range(20, 40))]
    assert [(len(part[0]), len(heard[0])) for part, heard in marked.parts(60)] == [(50, 50)]


def test_codes_are_read_of_as_many_frames_as_the_extractor_knows(task: DiffusionTask) -> None:
    lengths: list[int] = []

    def style(expression: torch.Tensor, audio: torch.Tensor) -> Gaussian:
        assert expression.shape[1] == audio.shape[1]
        lengths.append(expression.shape[1])
        return Gaussian(torch.zeros(len(audio), STYLE.code), torch.ones(len(audio), STYLE.code))

    task.network.style.forward = style  # type: ignore[method-assign]
    for seed in range(60):
        task.batch(np.random.default_rng(seed))
    assert min(lengths) == CONFIG.style.shortest and max(lengths) == CONFIG.style.longest == 25


def test_expression_is_read_once_and_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    class Seen:
        def __init__(self, frames: np.ndarray) -> None:
            read.append(len(frames))
            self.expression = np.full((len(frames), 53), frames[0, 0, 0, 0], np.float32)

    monkeypatch.setattr(examples_of, "look", lambda _, frames: Seen(frames))

    def pictures(count: int) -> Any:
        one: Any = type("Pictures", (), {"__len__": lambda _: count})()
        one.frames = np.arange(count, dtype=np.uint8)[:, None, None, None, None] * np.ones((1, 6, 2, 2, 3), np.uint8)
        one.emotion, one.level = ("happy", "sad", "happy")[:count], np.array([1, 1, 2])[:count]
        return one

    (tmp_path / "decoded").mkdir()
    speech = torch.arange(6.0).view(1, 6, 1, 1).expand(3, -1, 2, 4)
    first = styles_of(pictures(2), speech[:2], 2, tmp_path)
    assert read == [3, 3]
    assert first.expression.shape == (2, 3, 53) and float(first.expression[1, 0, 0]) == UNIT
    assert first.audio[0, :, 0].tolist() == [0, 2, 4]
    more = styles_of(pictures(3), speech, 2, tmp_path)
    assert read == [3, 3, 3]
    assert torch.equal(more.expression[:2], first.expression)
    assert len(set(more.kind.tolist())) == 3
    styles_of(pictures(3), speech, 2, tmp_path)
    assert read == [3, 3, 3]


def test_the_style_reader_is_fitted_to_own_and_others_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from thbench_methods.svp import train

    count = 600  # several for each of the 159 statistics
    own, others = range(count), type("Restyled", (), {})()
    kind = np.tile(np.arange(3), count // 3)
    others.pictures, others.style = range(count), np.roll(np.arange(count), -1)  # each has the face of the next clip
    asked: list[tuple[bool, str]] = []
    rng = np.random.default_rng(0)

    def shown(kinds: np.ndarray) -> np.ndarray:
        """A style shows in one coefficient of noisy ones."""
        frames = 0.02 * rng.standard_normal((len(kinds), 10, 53))
        frames[:, :, 7] += 0.5 * kinds[:, None]
        return frames.astype(np.float32)

    def expression(pictures: Any, every: int, folder: Path, drawn: str = "") -> np.ndarray:
        asked.append((pictures is others.pictures, drawn))
        assert (every, folder) == (2, tmp_path)
        return shown(kind[others.style] if pictures is others.pictures else kind)

    monkeypatch.setattr(train, "expression_of", expression)
    pictures: Any = own
    reader = train.style_reader(pictures, others, kind, 2, tmp_path)
    # What is kept of other faces bears the number of clips, on which it depends who has whose.
    assert asked == [(False, ""), (True, f"restyled-{count}")]
    codes = reader(shown(kind))
    middles = np.stack([codes[kind == number].mean(axis=0) for number in range(3)])
    found = np.linalg.norm(codes[:, None] - middles[None], axis=-1).argmin(axis=1)
    assert np.mean(found == kind) > 0.95


def test_latents_are_brought_to_the_known_channels() -> None:
    from thbench_methods.nets.unet3d.latents import Latents

    latents = Latents(MINI.base)
    packed = MINI.base.vae.latent * MINI.base.packing**2
    clips: Any = LatentClips(torch.randn(2, 3, packed, 8, 8).half(), *(torch.empty(0),) * 3, pictures=None)  # type: ignore[arg-type]
    found = known_clips(clips, latents)
    assert found.latents.shape == (2, 3, MINI.base.unet.latent, 8, 8)
    assert found.latents.dtype == torch.float16
