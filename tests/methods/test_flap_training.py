"""What FLAP's training draws and minimises, what each of its parts trains, and that it begins with Hallo's weights."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_flap import BASE, FRONT_END, TOLD
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.flap.coefficients import Standard
from thbench_methods.flap.config import MINI
from thbench_methods.flap.front_end import AudioToHead
from thbench_methods.flap.networks import Given
from thbench_methods.flap.train import (
    CLOSING,
    FIRST,
    JUMPING,
    PARTS,
    Acted,
    Corpus,
    DiffusionTask,
    FrontEndTask,
    apart,
    begun,
    is_trained,
    lip_basis,
    moving,
    own_noise,
)
from thbench_methods.hallo.config import Config as HalloConfig
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.unet3d.config import AudioProjection
from thbench_methods.nets.unet3d.layout import frames_apart
from thbench_methods.nets.unet3d.train import LatentClips
from thbench_methods.svp.examples import Portraits
from torch import nn

from thbench.data.synth_heads.expression import EXPRESSIONS

CLIPS, FRAMES, SIDE = 10, 100, 4
HALLO: HalloConfig = replace(BASE, audio=AudioProjection(window=3, layers=2, channels=3, hidden=7, tokens=4))
CONFIG = replace(TOLD, base=HALLO, layout=MINI.layout, front_end=FRONT_END)
HEAD, EXPRESSION, VIDEO, JOINT = (part._replace(frames=min(part.frames, 3), clips=min(part.clips, 3)) for part in PARTS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    """Latents tell clip and frame: clip + frame / 1024."""

    class Pictures:
        pass

    draw = np.random.default_rng(0)
    pictures: Any = Pictures()
    pictures.frames = draw.integers(0, 256, (CLIPS, FRAMES, 32, 32, 3), dtype=np.uint8)
    pictures.landmarks68 = draw.uniform(8, 24, (CLIPS, FRAMES, 68, 2)).astype(np.float32)
    number = torch.arange(CLIPS)[:, None] + torch.arange(FRAMES) / 1024
    return LatentClips(
        latents=number.view(CLIPS, FRAMES, 1, 1, 1).expand(-1, -1, 4, SIDE, SIDE).half(),
        speech=torch.zeros(CLIPS, FRAMES, 2, 3).half(),
        weight=torch.ones(CLIPS, FRAMES, 1, SIDE, SIDE).half(),
        identity=torch.randn(CLIPS, 5, 9),
        pictures=pictures,
    )


@pytest.fixture(scope="module")
def values() -> torch.Tensor:
    """Coefficients tell clip and frame; heads of later clips move more."""
    number = torch.arange(CLIPS)[:, None] + torch.arange(FRAMES) / 1024
    found = number[..., None].repeat(1, 1, MINI.layout.total)
    found[..., 0] = torch.sin(torch.arange(FRAMES) / 5) * torch.arange(CLIPS)[:, None]
    return found


@pytest.fixture(scope="module")
def acted() -> Acted:
    """Of the first two clips; latents are 100 + clip."""
    draw = np.random.default_rng(1)
    latents = 100 + torch.arange(2.0).view(2, 1, 1, 1, 1).expand(-1, 3, 4, SIDE, SIDE)
    portraits = Portraits(
        draw.integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8),
        draw.uniform(8, 24, (2, 3, 68, 2)).astype(np.float32),
        np.array([[3, 50, 99]] * 2),
        np.array([[5, 0, 3]] * 2),
        np.array([[7, 30, 60]] * 2),
        latents.half(),
        torch.randn(2, 3, 9),
    )
    return Acted(portraits, torch.full((2, 3, MINI.layout.total), 50.0))


class Pooled:
    """An autoencoder whose latents are small pictures."""

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(pictures, SIDE)
        return torch.cat((small, small[:, :1]), dim=1)


def fresh(config: Any = CONFIG) -> Any:
    torch.manual_seed(0)
    return begun(config, Hallo(config.base).state_dict())


@pytest.fixture(scope="module")
def measured() -> Any:
    return measured_face()


@pytest.fixture
def task_of(clips: LatentClips, values: torch.Tensor, acted: Acted, measured: Any) -> Any:
    moving = Corpus(clips, values, acted)
    # Other latents, which differ in sign.
    rows = replace(acted.portraits, latents=-acted.portraits.latents)
    resting = Corpus(replace(clips, latents=-clips.latents), values, replace(acted, portraits=rows))

    def made(part: Any, config: Any = CONFIG) -> DiffusionTask:
        network = fresh(config)
        if network.moving_head is not None:
            network.moving_head.load_state_dict({**measured, "pivot": torch.tensor((0.0, -5.0, -10.0))})
        return DiffusionTask(network, moving, resting, part, Pooled(), config)  # type: ignore[arg-type]

    return made


def test_stage_one_sees_the_fifth_that_moves_most(task_of: Any, values: torch.Tensor) -> None:
    assert moving(values, CONFIG).tolist() == [8, 9]
    task = task_of(HEAD)
    assert all((task.batch(np.random.default_rng(seed)).clean >= 0).all() for seed in range(6))
    seen = {int(clip) for seed in range(6) for clip in task.batch(np.random.default_rng(seed)).given.values[:, 0, 1]}
    assert seen == {8, 9}
    every = task_of(EXPRESSION)
    seen = {int(clip) for seed in range(20) for clip in every.batch(np.random.default_rng(seed)).given.values[:, 0, 1]}
    assert seen == set(range(CLIPS))


@pytest.mark.parametrize("part", [EXPRESSION, VIDEO])
def test_coefficients_are_those_of_the_frames(task_of: Any, part: Any) -> None:
    task = task_of(part)
    past = CONFIG.base.sampling.motion_frames if part.windows else 0
    starts = shows = 0
    signs: list[float] = []
    for seed in range(40):
        batch = task.batch(np.random.default_rng(seed))
        count = len(batch.clean)
        latents = batch.given.latents.view(count, 1 + past, 4, SIDE, SIDE)
        assert batch.clean.shape == (count, 4, part.frames, SIDE, SIDE)
        for row in range(count):
            frames = batch.clean[row, 0, :, 0, 0]
            sign = -1.0 if frames.sum() < 0 else 1.0
            signs.append(sign)
            frames = sign * frames
            torch.testing.assert_close(frames, batch.given.values[row, :, 1], atol=5e-3, rtol=0)
            shown, own = sign * latents[row, 0, 0, 0, 0], batch.given.own[row, -1]
            shows += bool(shown >= 100)
            if shown >= 100:
                assert own == pytest.approx(50, abs=1)
            else:
                assert own == pytest.approx(float(shown), abs=0.4)
                assert int(shown) == int(frames[0])
            if part.windows:
                torch.testing.assert_close(batch.given.values[row, :, 1].diff() * 1024, torch.ones(2), atol=0.1, rtol=0)
                starts += bool((sign * latents[row, 1:].mean(dim=(1, 2, 3)) - shown).abs().max() < 0.2)
    assert np.mean(signs) == pytest.approx(0, abs=0.4)
    assert shows
    assert starts > 0 or not part.windows


@pytest.mark.parametrize("part", [EXPRESSION, VIDEO], ids=lambda part: part.name)
def test_changes_are_of_the_portrait_whose_head_is_where_it_is(task_of: Any, part: Any) -> None:
    task = task_of(part, replace(CONFIG, base=replace(HALLO, change=2.0)))

    def drawn() -> Any:
        torch.manual_seed(0)
        return task.batch(np.random.default_rng(0))

    going = drawn()
    count = len(going.clean)
    assert going.given.base.shape == (count, 4, 3, SIDE, SIDE)
    assert not torch.equal(going.given.base[:, :, 0], going.given.base[:, :, 1])
    # Where a turn takes the head is of no account: shifts of a head are not in it.
    task.network.moving_head.pivot.fill_(1.0)
    torch.testing.assert_close(drawn().given.base, going.given.base)
    task.moving, task.resting = (at_rest(corpus) for corpus in (task.moving, task.resting))
    still = drawn()
    torch.testing.assert_close(still.given.base, still.given.base[:, :, :1].expand(-1, -1, 3, -1, -1))
    for batch in (still, going):
        frames = batch.given.base + batch.clean / 2
        torch.testing.assert_close(frames[:, 0], frames[:, 3], atol=1e-4, rtol=1e-4)
    other = still.given._replace(base=still.given.base + 1)
    one, two = (task.network.condition(given).located for given in (still.given, other))
    assert torch.equal(one[:count], two[:count]) and not torch.equal(one[count:], two[count:])


def at_rest(corpus: Corpus) -> Corpus:
    """The same with all heads in one place, and with nothing that moves."""
    pictures, portraits = copy(corpus.clips.pictures), corpus.acted.portraits
    one = pictures.landmarks68[0, 0]
    pictures.landmarks68 = np.broadcast_to(one, pictures.landmarks68.shape)
    rows = replace(portraits, landmarks=np.broadcast_to(one, portraits.landmarks.shape))
    clips, acted = replace(corpus.clips, pictures=pictures), replace(corpus.acted, portraits=rows)
    return Corpus(clips, torch.zeros_like(corpus.values), acted)


def test_some_windows_jump_from_their_portrait(task_of: Any) -> None:
    task = task_of(VIDEO)
    task.shown = np.arange(2)
    begins = jumps = shows = 0
    for seed in range(150):
        batch = task.batch(np.random.default_rng(seed))
        latents = batch.given.latents.view(2, -1, 4, SIDE, SIDE).mean(dim=(2, 3, 4)).abs()
        for row in range(2):
            if latents[row, 0] < 50:
                continue
            shows += 1
            frame = round(float(batch.given.values[row, 0, 1] % 1) * 1024)
            if (latents[row, 1:] > 50).all():
                begins += frame in (3, 50)
                jumps += frame not in (3, 50)
    # One of the three portraits is of the last frame, where no window begins.
    assert begins / shows == pytest.approx(FIRST * 2 / 3, abs=0.07)
    assert jumps / shows == pytest.approx(JUMPING, abs=0.06)


def test_single_frames_show_closing_lids_more_often_than_there_are(task_of: Any) -> None:
    def share(part: Any, clips: Any) -> float:
        task = task_of(part)
        values = task.moving.values.clone()
        values[..., MINI.layout.lid_places] = 0.2
        values[:5, 10:12, MINI.layout.lid_places.start] = 0.5
        task.moving, task.resting = (replace(one, values=values) for one in (task.moving, task.resting))
        task.shown = clips
        batches = [task.batch(np.random.default_rng(seed)) for seed in range(100)]
        frames = torch.cat([batch.given.values[..., 1].flatten() for batch in batches]) % 1 * 1024
        return float(((frames > 9.5) & (frames < 11.5)).float().mean())

    closing, open_eyed = np.arange(5), np.arange(5, 10)
    assert share(EXPRESSION, closing) == pytest.approx(CLOSING, abs=0.06)
    assert share(EXPRESSION, open_eyed) < 0.06
    # Where the face is not told, nothing would tell that lids close.
    assert share(HEAD, closing) < 0.06


def test_each_single_frame_is_a_clip_with_a_time_of_its_own(task_of: Any) -> None:
    task = task_of(EXPRESSION, replace(CONFIG, base=replace(HALLO, change=2.0)))
    net, batch = task.network, task.batch(np.random.default_rng(0))
    loud(net)
    count, frames = batch.clean.shape[0], batch.clean.shape[2]
    given = batch.given

    def each(rows: torch.Tensor) -> torch.Tensor:
        return rows.repeat_interleave(frames, dim=0)

    alone = Given(
        each(given.latents),
        given.values.flatten(0, 1)[:, None],
        each(given.own),
        each(given.identity),
        each(given.region),
        frames_apart(given.base),
    )
    times = torch.arange(count * frames) * 100
    noisy = torch.randn(count * frames, 4, 1, SIDE, SIDE)
    with torch.inference_mode():
        whole = net.condition(given, guided=False, plain=1)
        one, two = (
            net.denoising_unet.full(noisy, times, condition)[0]
            for condition in (apart(whole, frames), net.condition(alone, guided=False, plain=frames))
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


def loud(network: Any) -> None:
    """Let what begins as zero act."""
    for module in network.denoising_unet.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)


def test_the_joint_tuning_sees_other_windows() -> None:
    assert VIDEO.recipe.seed != JOINT.recipe.seed


def test_single_frames_leave_motion_out_and_the_first_stage_the_face(task_of: Any) -> None:
    task = task_of(HEAD)
    batch = task.batch(np.random.default_rng(0))
    torch.manual_seed(0)
    before = float(task.losses(batch)["loss"].detach())
    with torch.no_grad():
        for name, parameter in task.network.named_parameters():
            if ".motion_modules." in name or "_exp." in name or name.startswith("exp_tokens."):
                parameter.add_(1)
    torch.manual_seed(0)
    assert float(task.losses(batch)["loss"].detach()) == before


@pytest.mark.parametrize(
    ("part", "learns", "rests"),
    [
        (
            HEAD,
            ("head_tokens.", ".attn2.", "reference_unet.", ".resnets.", "imageproj."),
            (".motion_modules.", "_exp."),
        ),
        (
            EXPRESSION,
            ("exp_tokens.", ".attn_exp.", "reference_unet.", ".resnets.", ".attn1."),
            (
                "head_tokens.",
                ".motion_modules.",
                "denoising_unet.mid_block.attentions.0.transformer_blocks.0.attn2.",
            ),
        ),
        (VIDEO, (".motion_modules.",), ("head_tokens.", "exp_tokens.", "reference_unet.", ".attentions.", ".resnets.")),
        (JOINT, (".motion_modules.", "head_tokens.", "exp_tokens.", ".attn2.", ".resnets."), ("front_end.",)),
    ],
)
def test_each_part_trains_what_it_says(task_of: Any, part: Any, learns: Any, rests: Any) -> None:
    task = task_of(part)
    network = task.network
    # What begins as zero hides what lies before it from the first gradient.
    loud(network)
    task.losses(task.batch(np.random.default_rng(0))._replace(plain=0))["loss"].backward()
    touched = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched and all(is_trained(part.name, name) for name in touched)
    for some in learns:
        assert any(some in name for name in touched), some
    for some in rests:
        assert not any(some in name for name in touched), some


@pytest.mark.parametrize("part", [HEAD, EXPRESSION, VIDEO, JOINT], ids=lambda part: part.name)
def test_steps_lower_the_loss_of_one_batch(task_of: Any, part: Any) -> None:
    task = task_of(part)
    batch = task.batch(np.random.default_rng(0))
    optimiser = torch.optim.Adam([p for p in task.network.parameters() if p.requires_grad], lr=2e-3)

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        found: torch.Tensor = task.losses(batch)["loss"]
        return found

    before = float(loss().detach())
    for _ in range(5):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < before


def test_the_paper_loss_is_that_of_the_noise(task_of: Any) -> None:
    task = task_of(VIDEO)
    task.config = replace(CONFIG, predicts="noise")
    given: list[torch.Tensor] = []

    def full(noisy: torch.Tensor, times: torch.Tensor, condition: Any) -> Any:
        given.append(noisy)
        # The noise that was added, found again from the noisy latents.
        kept = task.signal[times].view(-1, 1, 1, 1, 1)
        return (noisy - kept.sqrt() * batch.clean) / (1 - kept).sqrt(), None

    batch = task.batch(np.random.default_rng(0))
    task.network.denoising_unet.full = full
    assert float(task.losses(batch)["loss"]) == pytest.approx(0, abs=1e-6)
    assert given[0].shape == batch.clean.shape


def test_training_begins_with_hallos_weights() -> None:
    hallo = Hallo(HALLO).state_dict()
    network = begun(CONFIG, hallo)
    state = network.state_dict()
    shared = [key for key in hallo if key in state]
    assert any(".attn2." in key for key in shared) and any(".motion_modules." in key for key in shared)
    assert all(torch.equal(state[key], hallo[key]) for key in shared)
    assert {key.split(".")[0] for key in hallo if key not in state} <= {"audioproj", "denoising_unet"}
    with pytest.raises(ValueError, match="no weights of this base"):
        begun(CONFIG, {"reference_unet.conv_in.weight": torch.zeros(8, 4, 3, 3)})


@pytest.fixture
def speaking() -> FrontEndTask:
    torch.manual_seed(0)
    found = torch.randn(12, FRAMES, MINI.layout.total).cumsum(dim=1) / 20
    standard = Standard(MINI.layout)
    standard.keep(found)
    sound = torch.arange(FRAMES).view(1, FRAMES, 1).expand(12, -1, FRONT_END.audio).float()
    sizes = replace(FRONT_END, window=30)
    return FrontEndTask(AudioToHead(sizes, MINI.layout), standard, found, sound)


def test_the_front_end_hears_what_it_is_to_make(speaking: FrontEndTask) -> None:
    begins = 0
    for seed in range(12):
        speech, clean = speaking.batch(np.random.default_rng(seed))
        past = FRONT_END.past
        sound = speech.audio[0, :, 0]
        first = int(sound[past])
        begins += first == 0
        assert len(sound) == past + clean.shape[1]
        assert torch.equal(sound[past:], torch.arange(first, first + clean.shape[1]).float())
        known = speaking.standard.normal(speaking.values)
        matches = [(known[clip, first : first + clean.shape[1]] == clean[0]).all() for clip in range(12)]
        clip = matches.index(True)
        if first:
            assert torch.equal(speech.past[0], known[clip, first - past : first])
            assert torch.equal(sound[:past], torch.arange(first - past, first).float())
        else:
            assert torch.equal(speech.past[0], speech.own[0].expand(past, -1))
            noise = own_noise(MINI.layout) / speaking.standard.deviation
            assert ((speech.own[0] - known[clip, 0]) / noise).abs().max() < 5
    assert 0 < begins < 12


def test_the_front_end_learns(speaking: FrontEndTask) -> None:
    batch = speaking.batch(np.random.default_rng(0))
    optimiser = torch.optim.Adam(speaking.network.parameters(), lr=5e-3)

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        return speaking.losses(batch)["loss"]

    before = float(loss().detach())
    for _ in range(20):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < 0.9 * before


def test_lips_are_moved_by_what_moves_lips() -> None:
    basis = lip_basis()
    assert basis.shape[0] == len(EXPRESSIONS)
    strength = dict(zip(EXPRESSIONS, basis.norm(dim=1).tolist(), strict=True))
    assert strength["jawOpen"] > 1 and strength["mouthSmileLeft"] > 0.3
    assert strength["eyeBlinkLeft"] < 0.01 * strength["jawOpen"]
    assert strength["eyeLookInLeft"] == 0
