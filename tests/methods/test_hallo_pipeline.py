"""Hallo and LightningCP from request to frames, with random weights; portrait masks; the training's batches.

What is tested here does not depend on a training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hallo_weights import random_mini
from thbench_methods.hallo import bundle as files
from thbench_methods.hallo.config import MINI, PAPER
from thbench_methods.hallo.networks import Given
from thbench_methods.hallo.networks import Hallo as Networks
from thbench_methods.hallo.pipeline import Hallo, at_times
from thbench_methods.hallo.portrait import Outlines, drawn, masks_of, moved, region_of
from thbench_methods.hallo.train import STAGES, AudioTask, DiffusionTask, fresh
from thbench_methods.lightningcp.pipeline import LightningCP
from thbench_methods.nets.speech.train import Told, mouths
from thbench_methods.nets.unet3d.latents import Base, Latents, decoded
from thbench_methods.nets.unet3d.layout import packed, unpacked
from thbench_methods.nets.unet3d.train import LatentClips, Velocity
from thbench_methods.nets.vae.autoencoder import load_mini_vae

from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.speech.visemes import VISEMES
from thbench.errors import MethodError, MissingWeightsError, UsageError
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

FAST = {"steps": 2}
FACTORIES = {"hallo": Hallo, "lightningcp": LightningCP}


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module", params=FACTORIES)
def method(request: pytest.FixtureRequest, _weights: None) -> Hallo:
    return FACTORIES[request.param]("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, read_audio(clip.path), 25.0, 3, seed=1, controls=FAST)


def frames_of(method: Hallo, request: Request) -> np.ndarray:
    made = method.generate(request).frames
    assert not isinstance(made, Path)
    return np.stack(list(made))


def test_frames_are_as_asked(method: Hallo, asked: Request) -> None:
    made = frames_of(method, replace(asked, frames=18))
    assert made.shape == (18, 128, 128, 3)
    assert made.dtype == np.uint8


def test_same_seed_same_bytes_and_other_seed_other_frames(method: Hallo, asked: Request) -> None:
    first = frames_of(method, asked)
    assert np.array_equal(first, frames_of(method, asked))
    assert not np.array_equal(first, frames_of(method, replace(asked, seed=2)))


def test_a_clip_alone_equals_the_clip_after_another(method: Hallo, asked: Request) -> None:
    fresh_one = frames_of(FACTORIES["hallo"]("mini", accelerations=method._accelerations), asked)
    stream = iter(method.generate(replace(asked, seed=5, frames=20)).frames)  # type: ignore[arg-type]
    next(stream)
    assert np.array_equal(fresh_one, frames_of(method, asked))


def test_an_exception_on_the_way_leaves_nothing_behind(method: Hallo, asked: Request) -> None:
    before = frames_of(method, asked)

    def stop(stage: str, index: int, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(method.generate(replace(asked, seed=9), stop).frames)  # type: ignore[arg-type]
    assert np.array_equal(before, frames_of(method, asked))


def test_speech_matters_and_is_weighed(method: Hallo, asked: Request) -> None:
    longer = replace(asked, frames=16)
    spoken = frames_of(method, longer)
    silent = replace(longer, audio=Audio(np.zeros(16_000, np.float32), 16_000))
    assert not np.array_equal(spoken, frames_of(method, silent))
    deaf = {**FAST, "pose_weight": 0.0, "face_weight": 0.0, "lip_weight": 0.0}
    assert not np.array_equal(spoken, frames_of(method, replace(longer, controls=deaf)))


@pytest.mark.parametrize(
    "audio",
    [
        Audio(np.zeros(8_000, np.float32), 16_000),
        Audio(np.ones(1, np.float32), 16_000),
        Audio(np.full(16_000, 3.0, np.float32), 16_000),
        Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000),
    ],
    ids=["silence", "single-sample", "clipped", "8k"],
)
def test_odd_sound_works(asked: Request, audio: Audio) -> None:
    assert len(frames_of(Hallo("mini"), replace(asked, audio=audio))) == 3


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 33])
def test_any_length_works(method: Hallo, asked: Request, frames: int) -> None:
    assert len(frames_of(method, replace(asked, frames=frames, controls={"steps": 4}))) == frames


def test_other_frame_rates_and_sizes(method: Hallo, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:, 20:236]
    made = frames_of(method, replace(asked, portrait=portrait, fps=50.0, frames=4))
    assert made.shape == (4, 256, 216, 3)
    assert np.array_equal(made[1], made[2])


@pytest.mark.parametrize(("fps", "numbers"), [(25, [0, 1, 2, 3]), (50, [0, 1, 1, 2]), (12.5, [0, 2, 4, 6])])
def test_frames_are_the_nearest_in_time(asked: Request, fps: float, numbers: list[int]) -> None:
    made = (np.full((1, 1, 3), n, np.uint8) for n in range(7))
    assert [int(f[0, 0, 0]) for f in at_times(made, 25.0, replace(asked, fps=fps, frames=4))] == numbers


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"audio": Audio(np.zeros(0, np.float32), 16_000)},
        {"portrait": np.zeros((8, 8), np.uint8)},
        {"portrait": np.zeros((64, 64, 3), np.uint8)},
        {"controls": {"style": "happy"}},
        {"controls": {"guidance": -1.0}},
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(method: Hallo, asked: Request, wrong: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_windows_are_made_as_they_are_read_and_stages_are_told(method: Hallo, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(replace(asked, frames=20), lambda *step: told.append(step))
    assert "denoise" not in generation.seconds
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    assert told == [("denoise", 0, 2), ("denoise", 1, 2)]
    assert set(generation.seconds) == {"portrait", "audio", "denoise", "decode"}


def test_unknown_presets_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mini"):
        Hallo("minni")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"net\.pth, sd-vae-ft-mse, wav2vec2-base-960h, glintr100\.onnx"):
        Hallo("paper")


def test_lightningcp_is_hallo_accelerated(asked: Request) -> None:
    plain, named = Hallo("mini", accelerations=("lightningcp", "dfa", "refdrop")), LightningCP("mini")
    other = replace(asked, controls={"steps": 8})
    assert np.array_equal(frames_of(plain, other), frames_of(named, other))
    assert not np.array_equal(frames_of(Hallo("mini"), other), frames_of(named, other))
    with pytest.raises(UsageError, match="named twice"):
        frames_of(LightningCP("mini", accelerations=("dfa",)), other)


def test_boxes_stay_in_the_picture() -> None:
    corner = np.array([[0.0, 0.0], [0.2, 0.1]])
    picture = drawn(corner, 2.0, 100)
    rows, columns = np.nonzero(picture)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (0, 20, 0, 40)
    middle = drawn(np.array([[0.4, 0.45], [0.6, 0.55]]), 1.0, 100)
    assert middle.sum() / 255 == 20 * 10
    assert set(np.unique(middle)) == {0, 255}


def test_masks_share_out_the_picture() -> None:
    outlines = Outlines(np.array([[0.25, 0.3], [0.75, 0.9]]), np.array([[0.42, 0.7], [0.58, 0.76]]))
    levels = masks_of(outlines, 128, (16, 8))
    for level, side in zip(levels, (16, 8), strict=True):
        full, face, lip = (mask.reshape(side, side) for mask in level)
        assert all(float(mask.min()) >= 0 and float(mask.max()) <= 1 for mask in (full, face, lip))
        torch.testing.assert_close(full + face + lip, torch.ones(side, side), atol=0.02, rtol=0)
        row, column = divmod(int(lip.argmax()), side)
        assert abs((row + 0.5) / side - 0.73) <= 1 / side
        assert abs((column + 0.5) / side - 0.5) <= 1 / side
        assert full[0, 0] > 0.9


def test_locator_sees_the_box_or_the_lit_portrait() -> None:
    outlines = Outlines(np.array([[0.25, 0.3], [0.75, 0.9]]), np.array([[0.42, 0.7], [0.58, 0.76]]))
    portrait = torch.rand(1, 3, 512, 512)
    box = region_of(outlines, portrait, PAPER)
    assert box.shape == (1, 3, 512, 512)
    assert set(box.unique().tolist()) == {0.0, 1.0}
    small = torch.rand(1, 3, 128, 128)
    lit = region_of(outlines, small, MINI)
    inside = torch.from_numpy(drawn(outlines.face, 1.2, 128) > 0)
    torch.testing.assert_close(lit[0, :, inside], small[0, :, inside])
    torch.testing.assert_close(lit[0, :, ~inside], 0.4 * small[0, :, ~inside])


def test_packing_and_its_way_back() -> None:
    latents = torch.randn(2, 8, 16, 16)
    cells = packed(latents, 2)
    assert cells.shape == (2, 32, 8, 8)
    assert torch.equal(cells[0, :4, 3, 5], latents[0, 0, 6:8, 10:12].flatten())
    assert torch.equal(unpacked(cells, 2), latents)


@pytest.fixture(scope="module")
def form() -> Latents:
    """What is kept of latents with 20 directions in their 32 packed channels, and little beside them."""
    torch.manual_seed(0)
    rows = torch.randn(4, 8, 8, 20) @ torch.randn(20, 32) + 0.01 * torch.randn(4, 8, 8, 32)
    form = Latents(MINI)
    form.keep(rows.movedim(-1, 1))
    return form


def test_components_hold_what_there_is(form: Latents) -> None:
    assert form.basis is not None
    torch.testing.assert_close(form.basis.T @ form.basis, torch.eye(20), atol=1e-5, rtol=0)
    inside = torch.randn(3, 20, 8, 8)
    latents = form.restored(inside)
    assert latents.shape == (3, 8, 16, 16)
    torch.testing.assert_close(form.known(latents), inside, atol=1e-4, rtol=1e-4)
    rows = torch.randn(1, 8, 8, 20) @ form.basis.T
    lost = torch.randn(1, 8, 8, 32)
    beside = lost - lost @ form.basis @ form.basis.T
    chosen = form.chosen((rows + beside).movedim(-1, 1))
    torch.testing.assert_close(chosen, form.chosen(rows.movedim(-1, 1)), atol=1e-4, rtol=1e-4)


def test_components_come_in_falling_order() -> None:
    form = Latents(MINI)
    scale = torch.arange(32.0)[:, None, None]
    torch.manual_seed(0)
    form.keep(scale * torch.randn(64, 32, 8, 8))
    assert form.basis is not None
    assert form.basis.abs().argmax(dim=0).tolist() == list(range(31, 11, -1))


def test_what_stays_as_in_the_portrait_is_shown_as_it_is_there(form: Latents) -> None:
    vae = load_mini_vae()
    torch.manual_seed(3)
    picture = torch.rand(1, 3, 128, 128) * 2 - 1
    with torch.inference_mode():
        base = Base(picture, form.known(vae.encode(picture))[:, :, None])
        changes = torch.zeros(1, 20, 3, 8, 8)
        changes[:, :, 1, 5, 4] = 2.0
        frames = decoded(form, vae, changes, base)
        assert frames.shape == (3, 3, 128, 128)
        torch.testing.assert_close(frames[[0, 2]], picture.expand(2, -1, -1, -1), atol=1e-5, rtol=0)
        away = (frames[1] - picture[0]).abs().amax(dim=0)
        assert away[80:96, 64:80].max() > 0.1
        # Normalisation in the decoder lets all cells know of one, but by less than a step of brightness.
        assert away[:32].max() < 1 / 127.5
        # Whole latents owe the base nothing.
        whole = Latents(PAPER)
        latents = torch.randn(1, 4, 2, 2, 2)
        torch.testing.assert_close(
            decoded(whole, Doubled(), latents, base),  # type: ignore[arg-type]
            (2 * latents[0].transpose(0, 1)).clamp(-1, 1),
        )


class Doubled:
    """An autoencoder."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return 2 * latents


def test_what_stays_as_in_the_portrait_is_nothing_to_denoise(form: Latents) -> None:
    portrait, known = torch.randn(2, 20, 1, 8, 8), torch.randn(2, 20, 16, 8, 8)
    known[:, :, :, 0] = portrait[:, :, :, 0]
    changes = form.changes(known, portrait)
    assert not changes[:, :, :, 0].any()
    assert changes[:, :, :, 1:].all()
    torch.testing.assert_close(form.changed(changes, portrait), known)


def test_the_published_preset_denoises_latents_themselves() -> None:
    form = Latents(PAPER)
    latents = torch.randn(2, 4, 64, 64)
    assert form.known(latents) is latents or torch.equal(form.known(latents), latents)
    assert torch.equal(form.restored(latents), latents)
    clips = torch.randn(1, 4, 3, 64, 64)
    assert form.changes(clips, latents[:1, :, None]) is clips
    assert not form.state_dict()
    with pytest.raises(ValueError, match="all channels are kept"):
        form.keep(latents)


def test_networks_see_what_changes_are_of_frame_by_frame() -> None:
    torch.manual_seed(0)
    network = Networks(MINI).eval()
    region, base = torch.rand(1, 3, 128, 128), torch.randn(1, 20, 3, 8, 8)
    base[:, :, 2] = base[:, :, 0]
    given = Given(torch.empty(0), torch.empty(0), torch.empty(0), region, [], torch.ones(3))
    with torch.inference_mode():
        alone, seen = network.located(given), network.located(given._replace(base=base))
        first = network.located(given._replace(base=base[:, :, :1]))
    assert alone.shape == first.shape == (1, 40, 1, 8, 8)
    assert seen.shape == (1, 40, 3, 8, 8)
    torch.testing.assert_close(seen[:, :, :1], first)
    torch.testing.assert_close(seen[:, :, 2], seen[:, :, 0])
    assert (seen[:, :, 1] - seen[:, :, 0]).abs().amax(dim=(2, 3)).min() > 0


def test_heads_are_moved_as_a_whole() -> None:
    yy, xx = np.mgrid[:128, :128].astype(np.float64)
    picture = np.stack((yy, xx, 0 * yy), axis=-1).astype(np.uint8)
    face = np.array([[0.35, 0.35], [0.65, 0.65]])
    points = np.array([[50.0, 50.0], [78.0, 50.0], [64.0, 70.0]])
    turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    turned = (points - 64) @ turn.T * 1.05 + 64
    still, shifted, whole = moved(picture, face, points, np.stack((points, points + (3, 5), turned)))
    assert np.abs(still.astype(int) - picture).max() <= 1
    # In the middle of the face everything is where it was 5 rows above and 3 columns to the left.
    middle = np.s_[56:72, 56:72]
    assert np.abs(shifted[middle].astype(int) - (picture[middle].astype(int) - (5, 3, 0))).max() <= 1
    back = ((np.stack((xx, yy), axis=-1) - 64) @ turn / 1.05 + 64)[middle]
    assert np.abs(whole[middle][..., [1, 0]] - back).max() <= 1.5
    # Far from the face nothing moves.
    assert np.array_equal(shifted[:8], picture[:8])


def test_weights_are_small_and_of_the_preset() -> None:
    from thbench_methods.nets.vae.autoencoder import FILE as VAE_FILE

    assert files.FILE.stat().st_size + VAE_FILE.stat().st_size < 8e6
    bundle = files.load_mini(MINI)
    assert set(bundle.networks.state_dict()) == set(Networks(MINI).state_dict())
    assert not any("down_blocks.2.motion_modules" in key for key in bundle.networks.state_dict())


def latent_clips(clips: int = 6, frames: int = 100) -> LatentClips:
    class Pictures:
        pass

    draw = np.random.default_rng(0)
    pictures: Any = Pictures()
    pictures.frames = draw.integers(0, 256, (clips, frames, 128, 128, 3), dtype=np.uint8)
    pictures.landmarks68 = draw.uniform(40, 90, (clips, frames, 68, 2)).astype(np.float32)
    shape = (clips, frames)
    return LatentClips(
        latents=torch.arange(clips * frames).view(*shape, 1, 1, 1).expand(*shape, 20, 8, 8).half(),
        speech=torch.arange(frames).view(1, frames, 1, 1).expand(clips, frames, 4, 96).half(),
        weight=torch.ones(*shape, 1, 8, 8).half(),
        identity=torch.randn(clips, 5, 128),
        pictures=pictures,
    )


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    return latent_clips()


def test_windows_go_on_from_their_past(clips: LatentClips) -> None:
    task = DiffusionTask(fresh(MINI), clips, STAGES[-1])
    starts = 0
    for seed in range(12):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.clean.shape == (2, 20, 16, 8, 8)
        assert batch.given.latents.shape == (2 * 3, 20, 8, 8)
        assert batch.given.base is not None
        assert batch.given.base.shape == (2, 20, 1, 8, 8)
        assert batch.given.audio.shape == (2, 16, 5, 4, 96)
        assert [tuple(level.lip.shape) for level in batch.given.masks] == [(32, 64), (32, 16), (32, 4)]
        known = batch.given.base + batch.clean / MINI.change
        for own, latents, audio in zip(known, batch.given.latents.view(2, 3, 20, 8, 8), batch.given.audio, strict=True):
            reference, *past = latents.mean(dim=(1, 2, 3)).round().tolist()
            first = round(own[0, 0, 0, 0].item())
            torch.testing.assert_close(own[0, :, 0, 0], first + torch.arange(16.0))
            begins = past == [reference, reference] and reference == first
            assert begins or past == [first - 2, first - 1]
            assert reference % 100 % 20 == 0
            starts += begins
            inside = audio[3, :, 0, 0] - audio[3, 2, 0, 0]
            assert inside.tolist() == [-2, -1, 0, 1, 2]
    assert 0 < starts < 24


def test_what_is_denoised_is_the_change_from_the_portrait(clips: LatentClips) -> None:
    for stage in STAGES:
        batch = DiffusionTask(fresh(MINI), clips, stage._replace(clips=2)).batch(np.random.default_rng(0))
        references = batch.given.latents.view(len(batch.clean), -1, 20, 8, 8)[:, 0]
        assert batch.given.base is not None
        assert torch.equal(batch.given.base[:, :, 0], references)


def test_single_frames_see_their_own_portrait(clips: LatentClips) -> None:
    torch.manual_seed(0)
    network = fresh(MINI).eval()
    task = DiffusionTask(network, clips, STAGES[0])
    batch = task.batch(np.random.default_rng(1))
    assert batch.given.base is not None
    seen: list[Any] = []
    task.network.denoising_unet.full = lambda z, t, told: (seen.append(told), (torch.zeros_like(z), None))[1]  # type: ignore[method-assign]
    task.losses(batch._replace(plain=0))
    with torch.no_grad():
        rows = seen[0].locator.view(6, 6, 40, 1, 8, 8)
        alone = network.located(batch.given)[:, None]
    torch.testing.assert_close(rows, alone.expand_as(rows))


def test_the_audio_projection_begins_as_one_that_tells_the_mouth() -> None:
    class Pictures:
        pass

    draw = np.random.default_rng(0)
    pictures: Any = Pictures()
    mouth = draw.integers(0, len(VISEMES), (4, 100))
    pictures.visemes = np.eye(len(VISEMES), dtype=np.float32)[mouth]
    pictures.expression = draw.random((4, 100, len(EXPRESSIONS)), dtype=np.float32)
    pictures.opening = mouth.astype(np.float32)
    speech = 0.1 * torch.randn(4, 100, 4, 96)
    speech[..., 0, : len(VISEMES)] += torch.from_numpy(pictures.visemes)
    clips = LatentClips(torch.empty(4, 100, 0), speech.half(), torch.empty(0), torch.empty(0), pictures)
    torch.manual_seed(0)
    project = Networks(MINI).audioproj
    task = AudioTask(Told(project, 8 * 32, mouths(pictures)[1].shape[-1]), clips, 2)
    optimiser = torch.optim.AdamW(task.network.parameters(), 3e-3)
    rng, found = np.random.default_rng(0), []
    for _ in range(60):
        losses = task.losses(task.batch(rng))
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        found.append(float(losses["right"]))
    assert found[0] < 0.3
    assert np.mean(found[-5:]) > 0.9


def test_single_frames_leave_audio_and_motion_out(clips: LatentClips) -> None:
    torch.manual_seed(0)
    network = fresh(MINI)
    task = DiffusionTask(network, clips, STAGES[0])
    task.losses(task.batch(np.random.default_rng(1)))["loss"].backward()
    touched = {name for name, p in network.denoising_unet.named_parameters() if p.grad is not None}
    assert touched
    assert not any("audio_modules" in name or "motion_modules" in name for name in touched)
    later = DiffusionTask(network, clips, STAGES[-1])
    later.losses(later.batch(np.random.default_rng(1)))["loss"].backward()
    missing = {name for name, p in network.denoising_unet.named_parameters() if p.grad is None}
    assert not missing


def test_clips_without_condition_see_none_of_it(clips: LatentClips) -> None:
    torch.manual_seed(0)
    task = DiffusionTask(fresh(MINI), clips, STAGES[-1])
    batch = task.batch(np.random.default_rng(1))._replace(plain=1)
    condition = task.condition(batch)
    assert not condition.locator[0].any()
    assert condition.locator[1].any()
    assert not condition.audio[0].any()
    assert condition.audio[1].any()
    noisy = torch.randn_like(batch.clean)

    def predicted(latents: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        told = task.condition(batch._replace(given=batch.given._replace(latents=latents)))
        # What lies before a window is seen in either case.
        told = replace(told, reference=told.reference._replace(past=condition.reference.past))
        result: torch.Tensor = task.network.denoising_unet.full(noisy, torch.tensor([500, 500]), told)[0]
        return result

    with torch.no_grad():
        one, other = (predicted(torch.randn_like(batch.given.latents)) for _ in range(2))
    torch.testing.assert_close(one[0], other[0])
    assert (one[1] - other[1]).abs().max() > 1e-4


def test_velocities_lead_back_to_the_clean_latent() -> None:
    velocity = Velocity.of()
    clean = torch.randn(64, 3, 2, 4, 4)
    noisy, wanted, times = velocity.noisy(clean)
    kept = velocity.signal[times].view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(kept.sqrt() * noisy - (1 - kept).sqrt() * wanted, clean, atol=1e-4, rtol=1e-4)
    losses = velocity.losses(wanted, wanted, torch.ones(64, 1, 2, 4, 4))
    assert float(losses["loss"]) == 0


def test_times_tend_to_the_noisy_end_where_that_is_asked() -> None:
    clean = torch.randn(2000, 1, 1, 2, 2)
    _, _, even = Velocity.of().noisy(clean)
    noisy, wanted, late = Velocity.of(towards_noise=3).noisy(clean)
    assert 450 < even.float().median() < 550
    assert 850 < late.float().median() < 900  # 999 (1 - 0.5 ** 3)
    assert 0 <= late.min() < 300 and late.max() == 999
    kept = Velocity.of().signal[late].view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(kept.sqrt() * noisy - (1 - kept).sqrt() * wanted, clean, atol=1e-4, rtol=1e-4)
