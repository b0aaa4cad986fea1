"""What PoseTalk's trainings draw and minimise, and that the whole of it writes files that generate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.dreamtalk.voices import spoken_clip
from thbench_methods.nets.liveportrait.train_renderer import pyramid_l1
from thbench_methods.posetalk import bundle, movers
from thbench_methods.posetalk import train as training
from thbench_methods.posetalk.bundle import Drawing, Posing
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.examples import EVERY, Examples, Moves, examples_of, heard
from thbench_methods.posetalk.pipeline import PoseTalk
from thbench_methods.posetalk.pose_vae import unused
from thbench_methods.posetalk.prompts import ACTIONS
from thbench_methods.posetalk.tracks import HEAD, MIRROR_SIGN, Own
from thbench_methods.posetalk.train_pose import DenoiserTask, ListenerTask, VaeTask
from thbench_methods.posetalk.train_video import CoarseTask, EnhanceTask, RefineTask, in_a_mirror, lips_of

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.pictures import Pictures
from thbench.errors import UsageError
from thbench.media import read_frames
from thbench.training import Point, Recipe, fit
from thbench.training.order import Order
from thbench.types import Audio, Request

CLIPS, FRAMES = 4, 40


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def examples() -> Examples:
    """The first frames of some shipped clips, as the train split is given; heads are read without error."""
    clips = clips_of()[:CLIPS]
    truths = [truth_of(clip) for clip in clips]

    def stacked(name: str) -> np.ndarray:
        return np.stack([np.asarray(getattr(truth, name))[:FRAMES] for truth in truths])

    frames = [[frame.rgb for frame in islice(read_frames(clip.path, threads=1), FRAMES)] for clip in clips]
    names = ("pose", "gaze", "expression", "visemes", "landmarks68", "mask", "opening")
    pictures = Pictures(
        clips=tuple(clips),
        frames=np.stack([np.stack(clip) for clip in frames]),
        sound=np.zeros((len(clips), FRAMES * 640), np.float32),
        **{name: stacked(name) for name in names},
        person=np.arange(len(clips)),
        emotion=("neutral",) * len(clips),
        level=np.ones(len(clips), np.int64),
        intent=tuple(truth.about.intent for truth in truths),
        prompt=tuple(truth.about.prompt for truth in truths),
    )
    nothing = Own(torch.zeros(CLIPS, FRAMES // EVERY, 8), torch.zeros(CLIPS, FRAMES // EVERY, len(EXPRESSIONS)))
    made = examples_of(pictures, nothing)
    blind = torch.tensor([1.0] * HEAD + [0.0] * (8 - HEAD))
    return replace(made, own=Own(made.track[:, ::EVERY] * blind, made.expression[:, ::EVERY]))


def fresh() -> Drawing:
    torch.manual_seed(0)
    network = Drawing(MINI)
    network.face.load_state_dict(measured_face())
    return network


def test_frames_are_drawn_with_what_drives_them(examples: Examples) -> None:
    task = CoarseTask(fresh(), examples)
    for seed in range(4):
        batch = task.batch(np.random.default_rng(seed))
        assert batch.portrait.shape == batch.frames.shape == (16, 3, 128, 128)
        assert batch.windows.shape == (16, 8 + 96, 13) and batch.own.shape == (16, 8)
        assert batch.expression.shape == (16, len(EXPRESSIONS))
        # A head that is read without error goes on along its true track.
        known = examples.track.flatten(0, 1)[:, :6]
        known = torch.cat((known, known * torch.tensor(MIRROR_SIGN[:6])))
        middle = batch.windows[:, :6, 6]
        assert (middle[:, None] - known).abs().amax(dim=2).min(dim=1).values.max() < 1e-4
        assert ((batch.lips == 0) | (batch.lips == 1)).all() and 20 < batch.lips[0].sum() < 0.04 * 128**2
        again = task.batch(np.random.default_rng(seed))
        assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))


def test_shut_eyes_are_not_drawn(examples: Examples) -> None:
    blind = torch.zeros_like(examples.seen)
    blind[:, 10:30] = True
    few = replace(examples, seen=blind)
    batch = CoarseTask(fresh(), few).batch(np.random.default_rng(0))
    frames = ((batch.frames + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for frame in frames:
        same = [np.abs(p.astype(int) - f.astype(int)).max() for p in (frame, frame[:, ::-1]) for f in _all(few)]
        assert 10 <= int(np.argmin(same)) % FRAMES < 30 and min(same) == 0


def _all(examples: Examples) -> np.ndarray:
    return examples.pictures.frames.reshape(-1, 128, 128, 3)


def test_a_mirror_twice_is_no_mirror(examples: Examples) -> None:
    batch = CoarseTask(fresh(), examples).batch(np.random.default_rng(1))
    assert all(torch.equal(a, b) for a, b in zip(in_a_mirror(in_a_mirror(batch)), batch, strict=True))


def test_lips_lie_around_the_mouth(examples: Examples) -> None:
    marks = examples.pictures.landmarks68[0, 0]
    rows, columns = torch.nonzero(lips_of(marks, 128)[0], as_tuple=True)
    x, y = marks[48:68].mean(axis=0)
    assert abs(float(columns.float().mean()) - x) < 2 and abs(float(rows.float().mean()) - y) < 2


def test_stages_train_one_network_each(examples: Examples) -> None:
    network = fresh()
    for task_of, part in ((CoarseTask, "coarse"), (RefineTask, "refine"), (EnhanceTask, "enhance")):
        task = task_of(network, examples)
        network.zero_grad()
        losses = task.losses(task.batch(np.random.default_rng(0)))
        losses["loss"].backward()
        touched = {name.partition(".")[0] for name, p in network.named_parameters() if p.grad is not None}
        assert touched == {part}
        assert all(torch.isfinite(value) for value in losses.values())


def test_training_starts_nearer_to_the_frames_than_the_portrait_is(examples: Examples) -> None:
    task = CoarseTask(fresh(), examples)
    for seed in range(2):
        batch = task.batch(np.random.default_rng(seed))
        even = torch.ones_like(batch.weight)
        still = pyramid_l1(batch.portrait, batch.frames, even)
        with torch.no_grad():
            assert task.losses(batch)["picture"] < 0.9 * still


def test_tracks_are_standardised_and_prompts_tell_of_whole_clips(examples: Examples) -> None:
    torch.manual_seed(0)
    network = Posing(MINI)
    task = VaeTask(network, examples.moves)
    batch = task.batch(np.random.default_rng(3))
    assert batch.track.shape == (CLIPS, FRAMES, 8) and batch.track[:, 0].abs().max() == 0
    assert (batch.told == (batch.lengths == FRAMES)).all() and len(batch.prompts) == CLIPS
    task.losses(batch)["loss"].backward()
    assert {name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None} == {"vae"}
    network.zero_grad()
    later = DenoiserTask(network, examples.moves)
    later.measure()
    assert network.diffusion.latent_deviation.min() > 0
    first, again = (later.losses(batch)["loss"] for _ in range(2))
    assert torch.equal(first, again)
    first.backward()
    touched = {".".join(name.split(".")[:2]) for name, p in network.named_parameters() if p.grad is not None}
    assert {"text.words", "diffusion.denoiser"} <= touched and "diffusion.vae" not in touched
    deafened = later.losses(batch._replace(audio=-batch.audio))["loss"]
    assert torch.equal(first, deafened)


def test_listening_is_learned_alone(examples: Examples) -> None:
    torch.manual_seed(0)
    network = Posing(MINI)
    task = ListenerTask(network, examples.moves)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    task.losses(task.batch(np.random.default_rng(3)))["loss"].backward()
    touched = {name for name, p in network.named_parameters() if p.grad is not None}
    assert touched and all(name.startswith("diffusion.denoiser.listen.") for name in touched)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_latents_of_one_channel_are_standardised_alike(examples: Examples) -> None:
    torch.manual_seed(0)
    network = Posing(MINI)
    task = DenoiserTask(network, examples.moves)
    task.measure()
    net, lengths = network.diffusion, torch.full((CLIPS,), FRAMES)
    with torch.no_grad():
        found = net.vae.encode(task.relative / net.track_deviation, lengths)
    shown = ~unused(MINI.pose, lengths)
    assert shown.sum(dim=1).tolist() == [FRAMES // MINI.pose.track_stride] * CLIPS
    assert net.latent_mean.shape == MINI.pose.latent_shape[1:]
    torch.testing.assert_close(net.latent_mean, found.mean[shown].mean(dim=0))
    spread = found.mean[shown].var(dim=0) + found.log_variance[shown].exp().mean(dim=0)
    torch.testing.assert_close(net.latent_deviation, spread.sqrt())


def test_an_interrupted_training_of_pose_goes_on(examples: Examples, tmp_path: Path) -> None:
    recipe = Recipe(steps=4, bfloat16=False)

    def fitted(folder: Path, on_point: Callable[[Point], None] | None = None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        task = DenoiserTask(Posing(MINI), examples.moves)
        task.measure()
        return fit(task, recipe, folder, every=1, save_every=1, on_point=on_point).state

    def interrupt(point: Point) -> None:
        if point.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "broken", interrupt)
    whole, resumed = fitted(tmp_path / "whole"), fitted(tmp_path / "broken")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_whole_training_writes_files_that_generate(
    examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = tmp_path / "split"
    split.mkdir()
    clips = examples.pictures.clips
    folder = clips[0].path.parent
    for clip in clips:
        for name in (clip.path.name, f"{clip.id}.npz"):
            shutil.copy(folder / name, split / name)
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = [entry for entry in manifest["clips"] if entry["id"] in {clip.id for clip in clips}]
    (split / "manifest.json").write_text(json.dumps({**manifest, "clips": kept}))
    order = Order("posetalk", "mini", "typed", split, tmp_path / "work", tmp_path / "out", share=0.0005)
    few = Moves(torch.rand(2, 100, 8), torch.rand(2, 100, MINI.pose.audio), ("nod", "none"), ("she nods", "he talks"))
    monkeypatch.setattr(training, "open_movers", lambda folder: few if folder.parent == split else None)
    training.train(order)
    for name in ("POSE_FILE", "VIDEO_FILE"):
        path = tmp_path / "out" / getattr(bundle, name).name
        assert path.with_suffix(".json").is_file() and path.with_suffix(".md").is_file()
        monkeypatch.setattr(bundle, name, path)
    before = [path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()]
    training.train(order)  # what is there is kept
    assert [path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()] == before
    request = Request(examples.pictures.frames[0, 0], Audio(examples.pictures.sound[0], 16_000), 25.0, 2)
    assert len(list(PoseTalk("mini").generate(request).frames)) == 2


def test_people_move_once_and_as_they_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movers, "PART", 1)
    both = movers.open_movers(tmp_path, 2)
    assert both.track.shape == (2, 100, 8) and both.audio.shape == (2, 100, MINI.pose.audio)
    assert both.track[:, :, :3].std(dim=1).min() > 0 and not torch.equal(both.track[0], both.track[1])
    assert both.relative[:, 0].abs().max() == 0
    assert set(both.intent) <= set(ACTIONS) and all(both.prompt)
    sound, motion = spoken_clip(1)
    torch.testing.assert_close(both.track[1, :, :3], torch.from_numpy(np.radians(motion.pose)), atol=1e-5, rtol=0)
    torch.testing.assert_close(both.audio[1], heard([sound], 100)[0], atol=2e-3, rtol=1e-3)
    monkeypatch.setattr(movers, "moved", None)
    assert torch.equal(movers.open_movers(tmp_path, 1).track, both.track[:1])
    monkeypatch.setattr(movers, "PART", 2)
    with pytest.raises(UsageError, match="multiple of 2"):
        movers.open_movers(tmp_path, 3)
