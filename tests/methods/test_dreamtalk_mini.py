"""The mini preset's face, its mean face, its renderer and what its trainings draw."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.common import Noise
from thbench_methods.dreamtalk import train, train_denoiser, train_expert, train_predictor, train_renderer, voices
from thbench_methods.dreamtalk.acted import EACH, Acted, open_acted
from thbench_methods.dreamtalk.bundle import Predicting, Renderer, Speaking, load_mini
from thbench_methods.dreamtalk.claims import ranked
from thbench_methods.dreamtalk.config import MINI, MINI_LOWER_FACE, Config
from thbench_methods.dreamtalk.corpus import Corpus, mouth_mesh
from thbench_methods.dreamtalk.examples import EVERY, Examples, open_examples
from thbench_methods.dreamtalk.faces import CENTRE, MIRROR, SCALE, SPEAKER, UNIT, Face, face_of, mirrored, moved_track
from thbench_methods.dreamtalk.hearing import all_layers
from thbench_methods.dreamtalk.mean_face import MeanFace, measured_face
from thbench_methods.dreamtalk.motion import (
    POSE,
    coherent_noise,
    noise_margin,
    render_windows,
    speech_windows,
    style_clip,
    there_and_back,
)
from thbench_methods.dreamtalk.pipeline import assembled
from thbench_methods.dreamtalk.spec import AUTO
from thbench_methods.dreamtalk.stage import NEAREST, REACH, MiniStage, Read, within_reach
from thbench_methods.dreamtalk.styles import GROUPS, SHOWN, cosines, named, nearness, right_emotions, strengths
from thbench_methods.nets.pirenderer.cells import moved
from torch import Tensor

from thbench.backbones.mini.face import SIDE
from thbench.data.synth_heads.dataset import clips_of, embedded_folder, truth_of
from thbench.data.synth_heads.emotion import LEVEL_STRENGTH, RECIPES
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.errors import UsageError
from thbench.media import read_frames
from thbench.training.order import Order

VALUES = len(EXPRESSIONS) + POSE


@pytest.fixture(scope="module")
def mean_face() -> MeanFace:
    face = MeanFace()
    face.load_state_dict(measured_face())
    return face


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first clips of the embedded split in a folder of their own."""
    source, folder = embedded_folder(), tmp_path_factory.mktemp("split")
    manifest = json.loads((source / "manifest.json").read_text())
    manifest["clips"] = manifest["clips"][:3]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for clip in clips_of()[:3]:
        for path in (clip.path, clip.path.with_suffix(".npz")):
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def examples(split: Path) -> Examples:
    return open_examples(split)


@pytest.fixture(scope="module")
def acted(split: Path, examples: Examples) -> Acted:
    return open_acted(split, examples.pictures.clips)


def true_face(number: int) -> Face:
    truth = truth_of(clips_of()[number])
    return face_of(truth.expression, truth.pose, truth.landmarks68)


def test_the_lower_face_is_what_speech_moves() -> None:
    lower = [name for name in EXPRESSIONS if name.startswith(("mouth", "jaw", "tongue", "cheekPuff"))]
    assert [EXPRESSIONS[i] for i in MINI_LOWER_FACE] == lower
    assert MINI.sizes.motion == len(EXPRESSIONS)
    assert MINI.predictor.identity == SPEAKER
    assert MINI.predictor.style == MINI.sizes.width
    assert MINI.expert.mouth == mouth_mesh()(torch.zeros(len(EXPRESSIONS))).numel()


def test_a_mirror_changes_sides_and_back() -> None:
    motion = torch.randn(4, VALUES, 3)
    torch.testing.assert_close(mirrored(mirrored(motion)), motion)
    left, right = EXPRESSIONS.index("mouthSmileLeft"), EXPRESSIONS.index("mouthSmileRight")
    assert (MIRROR[left], MIRROR[right]) == (right, left)
    assert MIRROR[EXPRESSIONS.index("jawOpen")] == EXPRESSIONS.index("jawOpen")


def test_pose_says_where_the_face_is() -> None:
    truth = truth_of(clips_of()[0])
    face = true_face(0)
    assert face.pose.shape == (len(truth), POSE)
    torch.testing.assert_close(face.pose[:, :3].rad2deg(), torch.from_numpy(truth.pose), atol=1e-3, rtol=1e-4)
    middle = truth.landmarks68[:, 27:48].mean(axis=1) / (SIDE / 2) - 1
    torch.testing.assert_close(face.pose[:, CENTRE], torch.from_numpy(middle), atol=1e-5, rtol=1e-4)
    larger = face_of(truth.expression, truth.pose, truth.landmarks68 * 2)
    torch.testing.assert_close(larger.pose[:, SCALE], 2 * face.pose[:, SCALE])
    torch.testing.assert_close(larger.speaker, face.speaker, atol=1e-5, rtol=1e-4)


def test_a_track_goes_on_from_the_portrait() -> None:
    track, own = true_face(0).pose, true_face(1).pose[40]
    moved_on = moved_track(track, own)
    torch.testing.assert_close(moved_on[0], own)
    torch.testing.assert_close(moved_on[:, :3] - own[:3], track[:, :3] - track[0, :3])
    ratio = own[SCALE] / track[0, SCALE]
    torch.testing.assert_close(moved_on[:, CENTRE] - own[CENTRE], (track[:, CENTRE] - track[0, CENTRE]) * ratio)
    torch.testing.assert_close(moved_track(track, track[0]), track)


def test_a_head_that_is_turned_goes_on_as_heads_do_that_begin_so() -> None:
    starts = torch.linspace(-0.25, 0.05, 24)
    tracks = torch.zeros(24, 10, POSE)
    tracks[:, :, 0] = starts[:, None]
    tracks[:, :, SCALE] = 1
    tracks[:, 1:, 0] = 0  # every head turns back to the front
    stage = MiniStage(MINI, Renderer(MINI), tracks, torch.device("cpu"))
    own = torch.zeros(1, POSE)
    own[:, 0], own[:, SCALE] = 0.2, 1  # only mirror images begin so
    read = Read(
        torch.zeros(1, 3, 128, 128), lambda frame: frame, Face(torch.zeros(1, 53), own, torch.zeros(1, SPEAKER))
    )
    sounds = [np.full(4, number, np.float32) for number in range(40)]
    drawn = [stage.pose(AUTO, read, 5, Noise(0), sound) for sound in sounds]
    assert all(track[0, 0].item() == pytest.approx(0.2) for track in drawn)
    ends = {round(track[-1, 0].item(), 3) for track in drawn}
    assert 4 <= len(ends) <= NEAREST
    assert max(abs(end) for end in ends) < 0.1


def test_movement_that_reaches_too_far_is_made_smaller() -> None:
    track = torch.zeros(3, POSE)
    track[:, 0] = torch.tensor([0.1, 0.1 + np.radians(2 * REACH), 0.1 - np.radians(REACH)])
    track[:, -2] = torch.tensor([0.3, 0.5, 0.3])
    less = within_reach(track)
    torch.testing.assert_close((less[:, 0] - 0.1).rad2deg(), torch.tensor([0.0, REACH, -REACH / 2]))
    torch.testing.assert_close(less[:, -2], torch.tensor([0.3, 0.4, 0.3]))
    torch.testing.assert_close(within_reach(less), less)


def test_a_track_that_ends_runs_backwards() -> None:
    track = torch.arange(4.0)[:, None]
    assert there_and_back(track, 10)[:, 0].tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert there_and_back(track[:1], 3)[:, 0].tolist() == [0, 0, 0]
    assert there_and_back(track, 2)[:, 0].tolist() == [0, 1]


def test_motion_between_frames_is_a_straight_line() -> None:
    motion = torch.arange(5.0)[:, None] ** 2
    windows = render_windows(motion, 1, torch.tensor([0.0, 1.5, 4.0]))[:, 0]
    assert windows.tolist() == [[0, 0, 1], [0.5, 2.5, 6.5], [9, 16, 16]]
    torch.testing.assert_close(render_windows(motion, 2, torch.arange(5.0)), render_windows(motion, 2))


@pytest.mark.parametrize("coherence", [0.5, 3.0, 8.0])
def test_coherent_noise_is_as_large_as_white_noise(coherence: float) -> None:
    white = torch.randn(4000 + 2 * noise_margin(coherence), 8, generator=torch.Generator().manual_seed(0))
    noise = coherent_noise(white, coherence)
    assert noise.shape == (4000, 8)
    assert noise.std().item() == pytest.approx(1, abs=0.1)
    neighbours = (noise[1:] * noise[:-1]).mean().item()
    assert neighbours == pytest.approx(np.exp(-1 / (4 * coherence**2)), abs=0.1)


def test_noise_without_coherence_is_left_as_it_is() -> None:
    white = torch.randn(5, 3)
    assert noise_margin(0.0) == 0
    assert coherent_noise(white, 0.0) is white


def test_a_face_that_does_not_move_is_read_where_it_is(mean_face: MeanFace) -> None:
    face = true_face(2)
    motion = torch.cat((face.expression, face.pose), dim=1)[:40:8]
    found = mean_face(motion, motion, 64)
    # Where the head hides itself no point is found; on the face half a pixel of 64 is what the search leaves.
    face_cells = found.places.square().sum(dim=1) < 0.2
    assert found.flow.abs().amax(dim=1)[face_cells].quantile(0.98) < 1 / 64


def test_a_head_that_is_shifted_is_read_where_it_was(mean_face: MeanFace) -> None:
    face = true_face(2)
    own = torch.cat((face.expression, face.pose), dim=1)[:1]
    driving = own.clone()
    driving[:, -2] += 0.2
    found = mean_face(own, driving, 64)
    still = mean_face(own, own, 64)
    head = found.places.square().sum(dim=1) < 0.2
    difference = (found.flow - still.flow)[0][:, head[0]]
    torch.testing.assert_close(difference[0], torch.full_like(difference[0], -0.2), atol=0.02, rtol=0)
    assert difference[1].abs().max() < 0.02


@pytest.mark.parametrize("number", [0, 7, 20, 33])
def test_landmarks_are_read_nearly_where_they_were(mean_face: MeanFace, number: int) -> None:
    """Of people whose shape the mean face does not know: within a quarter of what they moved."""
    truth, face = truth_of(clips_of()[number]), true_face(number)
    motion = torch.cat((face.expression, face.pose), dim=1)
    flow = mean_face(motion[:1].expand(len(motion), -1), motion, 64).flow
    places = torch.from_numpy(truth.landmarks68) / (SIDE / 2) - 1
    read = torch.nn.functional.grid_sample(flow, places[:, :, None], align_corners=False)[..., 0].transpose(1, 2)
    inner = list(range(17, 68))
    error = (places + read - places[:1])[:, inner].norm(dim=-1).mean()
    assert error < 0.3 * (places - places[:1])[:, inner].norm(dim=-1).mean()


def test_the_mean_face_alone_moves_a_portrait_towards_its_frames(mean_face: MeanFace) -> None:
    closer = []
    for number in (0, 9, 18, 27):
        frames = np.stack([frame.rgb for frame in read_frames(clips_of()[number].path, threads=1)])
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
        face = true_face(number)
        motion = torch.cat((face.expression, face.pose), dim=1)
        flow = mean_face(motion[:1].expand(len(motion), -1), motion, 64).flow
        portrait = images[:1].expand(len(images), -1, -1, -1)
        closer.append((moved(portrait, flow) - images).abs().mean() / (portrait - images).abs().mean())
    assert np.mean(closer) < 0.85


def test_the_renderer_begins_with_the_portrait_moved_by_the_mean_face() -> None:
    torch.manual_seed(0)
    renderer = Renderer(MINI).eval()
    renderer.face.load_state_dict(measured_face())
    image = torch.rand(2, 3, 128, 128) * 2 - 1
    own, windows = torch.randn(2, VALUES), torch.randn(2, VALUES, 13)
    own[:, -3] = windows[:, -3] = 1.0
    with torch.inference_mode():
        together = renderer(image, own, windows)
        coarse = renderer.face(own, windows[..., 6], 64)
    torch.testing.assert_close(together.image, moved(image, coarse.flow))
    with torch.inference_mode():
        alone = renderer(image[1:], own[1:], windows[1:])
    torch.testing.assert_close(alone.image, together.image[1:], atol=1e-5, rtol=1e-4)


def test_no_flow_leaves_a_picture_exactly_as_it_is() -> None:
    image = torch.rand(1, 3, 128, 128)
    torch.testing.assert_close(moved(image, torch.zeros(1, 2, 64, 64)), image, atol=1e-5, rtol=1e-4)


@pytest.fixture
def corpus() -> Corpus:
    generator = torch.Generator().manual_seed(0)
    expression = torch.randn(6, 100, 53, generator=generator)
    features = torch.randn(6, 200, MINI.sizes.audio, generator=generator)
    return Corpus(MINI, expression, features)


def test_a_stretch_holds_speech_and_style_of_its_own_clip(corpus: Corpus) -> None:
    rng = np.random.default_rng(0)
    clips, first = torch.tensor([4, 1]), torch.tensor([0, 90])
    stretch = corpus.stretch(clips, first, 10, rng)
    torch.testing.assert_close(stretch.expression[1], corpus.expression[1, 90:])
    torch.testing.assert_close(stretch.features[1], corpus.features[1, 180:])
    for row, (clip, start) in enumerate(zip(clips, first, strict=True)):
        wanted = speech_windows(corpus.features[clip], MINI.sizes.window)[start : start + 10]
        torch.testing.assert_close(stretch.windows[row], wanted)
    for clip, style, length in zip(clips, stretch.style.clip, stretch.style.length, strict=True):
        places = [i for i in range(100) if torch.equal(corpus.expression[clip, i], style[0])]
        assert len(places) == 1
        torch.testing.assert_close(style[:length], corpus.expression[clip, places[0] : places[0] + length])
        assert not style[length:].any()


def test_pairs_out_of_sync_are_out_of_sync(corpus: Corpus) -> None:
    rng = np.random.default_rng(0)
    batch = train_expert.draw(corpus, rng, 64)
    assert batch.right.shape == batch.wrong.shape == (64, 10, MINI.sizes.audio)
    for right, wrong in zip(batch.right, batch.wrong, strict=True):
        place = next((c, f) for c in range(6) for f in range(200) if torch.equal(corpus.features[c, f], right[0]))
        other = next((c, f) for c in range(6) for f in range(200) if torch.equal(corpus.features[c, f], wrong[0]))
        assert place[0] != other[0] or abs(place[1] - other[1]) >= 2 * train_expert.LEAST_SHIFT


def small(config: Config) -> Config:
    sizes = replace(config.sizes, width=16, heads=2, layers=1, feed_forward=32)
    return replace(
        config,
        sizes=sizes,
        expert=replace(config.expert, width=16),
        predictor=replace(config.predictor, width=16, layers=1, heads=2, style=16),
    )


def steps(task: object, count: int, rate: float = 3e-3) -> list[float]:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(task.network.parameters(), rate)  # type: ignore[attr-defined]
    rng, losses = np.random.default_rng(0), []
    for _ in range(count):
        loss = task.losses(task.batch(rng))["loss"]  # type: ignore[attr-defined]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_the_trainings_learn(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_expert, "BATCH", 16)
    monkeypatch.setattr(train_denoiser, "CLIPS", 6)
    config = small(MINI)
    # A mouth that is open and moves a little with what is heard: learnable in a few steps.
    easy = Corpus(config, 2 + 0.5 * corpus.features[:, ::2, :53], corpus.features)
    torch.manual_seed(0)
    expert, speaking = train_expert.Expert(config), Speaking(config)
    judging = steps(train_expert.ExpertTask(expert, easy), 40)
    assert np.mean(judging[-10:]) < np.mean(judging[:10])
    before = {key: value.clone() for key, value in expert.state_dict().items()}
    task = train_denoiser.DenoiserTask(speaking.diffusion, easy, expert)
    learned = steps(task, 40)
    assert np.mean(learned[-10:]) < 0.8 * np.mean(learned[:10])
    assert all(torch.equal(before[key], value) for key, value in expert.state_dict().items())


def test_the_style_predictor_learns(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_predictor, "BATCH", 12)
    config = small(MINI)
    torch.manual_seed(0)
    speakers, person = torch.randn(6, 10, SPEAKER), np.array([0, 1, 2, 0, 1, 2])
    task = train_predictor.PredictorTask(
        Predicting(config),
        torch.randn(6, 16).repeat(2, 1),
        corpus.features.repeat(2, 1, 1),
        speakers.repeat(2, 1, 1),
        np.tile(person, 2),
        config,
    )
    guessed = steps(task, 80)
    assert np.mean(guessed[-10:]) < 0.8 * np.mean(guessed[:10])


def test_people_who_only_speak_join_the_clips(corpus: Corpus) -> None:
    torch.manual_seed(0)
    speaking = Speaking(MINI).eval()
    speakers, person = torch.randn(6, 10, SPEAKER), np.array([0, 1, 2, 0, 1, 2])
    codes = train_predictor.codes_of(speaking.diffusion, corpus)
    clips = train_predictor.PredictorTask(Predicting(MINI), codes, corpus.features, speakers, person, MINI)
    rng = np.random.default_rng(0)
    sound, expression = rng.integers(-9000, 9000, (3, 64_000)).astype(np.int16), rng.random((3, 100, 53), np.float32)
    portraits = rng.random((3, SPEAKER), np.float32)
    both = train_predictor.with_voices(clips, speaking, voices.Voices(sound, expression, portraits))
    assert both.person.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(both.codes[:6], codes)
    with torch.inference_mode():
        alone = speaking.diffusion.style(*style_clip(UNIT * torch.from_numpy(expression[1]), MINI.sizes.style_length))
    torch.testing.assert_close(both.codes[7], alone[0], atol=1e-5, rtol=1e-4)
    heard = all_layers(speaking.speech, sound[2].astype(np.float32) / 32767, 100, 25.0)
    torch.testing.assert_close(both.features[8].float(), heard, atol=1e-2, rtol=1e-2)
    assert both._other(8, rng) == 8
    torch.testing.assert_close(both.speakers[8, 4], torch.from_numpy(portraits[2]))


def test_a_predicted_code_is_the_mean_of_many_draws() -> None:
    networks, features = load_mini(MINI), torch.randn(200, MINI.sizes.audio, generator=torch.Generator().manual_seed(0))

    def spread(draws: int) -> Tensor:
        config = replace(MINI, predictor=replace(MINI.predictor, draws=draws))
        predict = assembled(config, torch.device("cpu"), networks).predict
        assert predict is not None
        codes = [predict(features, torch.zeros(1, SPEAKER), Noise(seed), 5) for seed in range(8)]
        assert {code.shape for code in codes} == {(1, MINI.predictor.style)}
        return torch.cat(codes).std(dim=0).mean()

    assert 0.15 < spread(16) / spread(1) < 0.4


def test_the_portrait_of_a_predicted_style_is_of_another_clip() -> None:
    config = small(MINI)
    speakers = torch.arange(6.0)[:, None, None].expand(6, 4, SPEAKER).clone()
    task = train_predictor.PredictorTask(
        Predicting(config), torch.randn(6, 16), torch.randn(6, 200, 384), speakers, np.array([0, 1, 2, 0, 1, 3]), config
    )
    rng = np.random.default_rng(0)
    assert {task._other(0, rng) for _ in range(20)} == {3}
    assert {task._other(4, rng) for _ in range(20)} == {1}
    assert task._other(5, rng) == 5


def test_examples_are_read_once_and_kept(split: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(examples) == 3
    assert examples.truth.pose.shape == (3, 100, POSE)
    assert examples.read.pose.shape == (3, 100 // EVERY, POSE)
    assert (examples.read.pose[..., :3] - examples.truth.pose[:, ::EVERY, :3]).abs().rad2deg().mean() < 4
    monkeypatch.setattr("thbench_methods.dreamtalk.examples.look", None)
    again = open_examples(split, 2)
    torch.testing.assert_close(again.read.expression, examples.read.expression[:2])


def test_people_who_act_keep_their_scene_and_head_and_show_what_others_show(
    split: Path, examples: Examples, acted: Acted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert acted.frames.shape == (3, EACH, 128, 128, 3)
    assert acted.mask.mean() > 0.05
    jaw, opened = EXPRESSIONS.index("jawOpen"), []
    for clip in range(3):
        for number, frame in enumerate(acted.body[clip]):
            picture, real = acted.frames[clip, number, :16], examples.pictures.frames[clip, frame, :16]
            assert np.abs(np.subtract(picture, real, dtype=float)).mean() < 4  # backdrop and hair
            points, was = acted.landmarks68[clip, number], examples.pictures.landmarks68[clip, frame]
            assert np.abs(points - was)[27:31].max() < 0.5  # the bridge of the nose hardly moves
            shown = examples.truth.expression[acted.source[clip, number], acted.instant[clip, number]]
            wider = [np.linalg.norm(place[62] - place[66]) for place in (points, was)]
            opened.append((float(shown[jaw] - examples.truth.expression[clip, frame, jaw]), wider[0] - wider[1]))
    assert np.corrcoef(np.transpose(opened))[0, 1] > 0.7
    monkeypatch.setattr("thbench_methods.dreamtalk.acted.drawn", None)
    np.testing.assert_array_equal(open_acted(split, examples.pictures.clips).frames, acted.frames)


def test_portraits_are_driven_by_what_the_actors_show(examples: Examples, acted: Acted) -> None:
    unit = train_renderer.units(examples)
    rng = np.random.default_rng(5)
    batch = train_renderer.draw_acted(examples, acted, 1, unit, rng)
    count = len(EXPRESSIONS)
    shown = batch.windows[:, :count, MINI.render_radius]
    wanted = examples.truth.expression[acted.source[1], acted.instant[1]]
    wanted = torch.cat((wanted, wanted[:, MIRROR]))
    error = (shown[:, None] - wanted).div(unit[:count]).square().mean(dim=-1).sqrt().min(dim=1).values
    assert error.max() < 2 * train_renderer.EXPRESSION_ERROR
    own = examples.read.expression[1]
    own = torch.cat((own, own[:, MIRROR]))
    misread = (batch.own[0, :count] - own).div(unit[:count]).square().mean(dim=-1).sqrt().min()
    assert 0.5 * train_renderer.READING_ERROR < misread < 2 * train_renderer.READING_ERROR


def test_brows_count_as_the_eyes_do(examples: Examples) -> None:
    points, face = examples.pictures.landmarks68[0, 0], examples.pictures.mask[0, 0]
    weight = train_renderer.pixels_count(points, face, 128)[0]
    column, row = points[19].astype(int)
    assert weight[row, column] >= 0.6 + train_renderer.BROW_WEIGHT
    assert weight[0, 0] == pytest.approx(0.6)


def test_renderer_batches_hold_frames_of_their_portraits(examples: Examples, acted: Acted) -> None:
    torch.manual_seed(0)
    task = train_renderer.RendererTask(Renderer(MINI), examples, acted)
    batch = task.batch(np.random.default_rng(3))
    count = train_renderer.PORTRAITS * train_renderer.DRIVERS
    assert batch.portrait.shape == batch.frames.shape == (count, 3, 128, 128)
    assert batch.windows.shape == (count, VALUES, 2 * MINI.render_radius + 1)
    # What the mean face makes of them is nearer to the frames than the portraits are.
    flow = task.network.face(batch.own, batch.windows[..., MINI.render_radius], 64).flow
    warped = (moved(batch.portrait, flow) - batch.frames).abs().mean()
    assert warped < 0.9 * (batch.portrait - batch.frames).abs().mean()
    losses = task.losses(batch)
    losses["loss"].backward()
    lacking = [name for name, p in task.network.named_parameters() if p.grad is None]
    assert not lacking


def test_ranks_are_shares_of_what_is_less_alike() -> None:
    alike = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    assert ranked(alike, [0, 1], "ab").shares == (1.0, 0.75)
    assert ranked(alike, [1, 2], "ab").shares == (0.0, 0.0)


def test_styles_are_named_of_their_patterns() -> None:
    for group in GROUPS:
        expression = np.zeros((4, len(EXPRESSIONS)))
        for name, value in RECIPES[group.emotion].face.items():
            expression[:, EXPRESSIONS.index(name)] = value * LEVEL_STRENGTH[group.level]
        expression[:, EXPRESSIONS.index("jawOpen")] = [0.0, 0.5, 0.2, 0.7]  # speech
        shown = strengths(expression)
        assert named(shown[None]) == [group]
        expected = [LEVEL_STRENGTH[group.level] * (group.emotion == emotion) for emotion in SHOWN]
        np.testing.assert_allclose(shown, expected, atol=1e-9)
        assert right_emotions(np.stack([shown, shown]), [group.emotion, "another"]) == [1.0, 0.0]


def test_true_styles_of_real_clips_are_known_by_their_strengths() -> None:
    """What the measure of styles can reach at best: clips of 24 people, first half against second half."""
    truths = [truth_of(clip) for clip in clips_of()[:24]]
    first, second = (np.stack([strengths(t.expression[part]) for t in truths]) for part in (slice(50), slice(50, None)))
    people = [truth.about.identity for truth in truths]
    assert ranked(nearness(first, second), range(24), people).area.value > 0.97
    assert np.mean(right_emotions(first, [truth.about.emotion for truth in truths])) > 0.95


def test_codes_are_compared_by_what_sets_them_apart() -> None:
    codes = np.array([[100.0, 1.0, 0.0], [100.0, -1.0, 1.0], [100.0, 0.0, -1.0]])
    alike = cosines(codes, codes)
    np.testing.assert_allclose(np.diag(alike), 1)
    assert (alike - 2 * np.eye(3)).max() < 1e-9


def test_voices_are_made_once_and_of_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "PART", 2)
    made = voices.open_voices(tmp_path, 4)
    assert made.sound.shape == (4, 64000)
    assert made.expression.shape == (4, 100, 53)
    assert made.speaker.shape == (4, SPEAKER)
    assert len(np.unique(made.speaker[:, 0])) == 4
    assert np.abs(made.sound).max() > 10_000
    monkeypatch.setattr(voices, "spoken", None)
    np.testing.assert_array_equal(voices.open_voices(tmp_path, 2).expression, made.expression[:2])
    with pytest.raises(UsageError, match="multiple of 2"):
        voices.open_voices(tmp_path, 3)


@pytest.mark.full
def test_a_training_writes_weights_and_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[Path] = []
    monkeypatch.setattr(train, "score_all", lambda method, clips, folder: scored.append(folder))
    monkeypatch.setattr("thbench_methods.dreamtalk.acted.CLIPS", 3)
    monkeypatch.setattr(voices, "PART", 2)
    monkeypatch.setattr(train, "open_voices", lambda folder: voices.open_voices(folder, 4))
    folder = tmp_path / "split"
    shutil.copytree(embedded_folder(), folder)
    order = Order(
        "dreamtalk", "mini", "thbench train dreamtalk", folder, tmp_path / "work", tmp_path / "out", share=0.001
    )
    train.train(order)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    cards = ("mini", "mini_renderer", "mini_style_predictor")
    assert names == {f"{card}.{end}" for card in cards for end in ("safetensors", "json", "md")}
    assert scored == [tmp_path / "out"]
