"""PoseTalk from request to frames, in the sizes of the mini preset with random weights; detectors of actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from posetalk_weights import random_mini
from thbench_methods.common import Noise
from thbench_methods.common.stages import Stages
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.posetalk import bundle
from thbench_methods.posetalk.actions import RULES, SHOWN, agreement, calibrated, strengths
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.flops import offer
from thbench_methods.posetalk.pipeline import PoseTalk
from thbench_methods.posetalk.prompts import ACTIONS, prompt_of
from thbench_methods.posetalk.spec import CONTROLS
from thbench_methods.posetalk.text import OTHER, word_numbers
from thbench_methods.posetalk.tracks import MIRROR_SIGN, given_track, head_of, pose_of, read_portrait, true_track

from thbench.data.synth_heads.behaviour import INTENT_TEXT, INTENTS
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.errors import MethodError, MissingWeightsError, UsageError
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

FAST = {"steps": 2}


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def method(_weights: None) -> PoseTalk:
    return PoseTalk("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, Audio(read_audio(clip.path).samples, 16_000), 25.0, 4, seed=1, controls=FAST)


def frames_of(method: PoseTalk, request: Request) -> np.ndarray:
    return np.stack(list(method.generate(request).frames))


def controlled(request: Request, **controls: Any) -> Request:
    return replace(request, controls={**request.controls, **controls})


def test_same_seed_same_bytes_whatever_came_before(method: PoseTalk, asked: Request) -> None:
    first = frames_of(method, asked)
    assert first.shape == (4, 128, 128, 3) and first.dtype == np.uint8
    next(iter(method.generate(replace(asked, seed=5, frames=9)).frames))
    assert np.array_equal(first, frames_of(method, asked))
    assert np.array_equal(first, frames_of(PoseTalk("mini"), asked))
    assert not np.array_equal(first, frames_of(method, replace(asked, seed=2)))


def test_prompt_and_speech_matter(method: PoseTalk, asked: Request) -> None:
    longer = replace(asked, frames=16)  # speech begins after a while
    silent = replace(longer, audio=Audio(np.zeros(16_000, np.float32), 16_000))
    made = [frames_of(method, request) for request in (longer, controlled(longer, text="he nods"), silent)]
    assert not np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    assert np.array_equal(made[0], frames_of(method, controlled(longer, text="  ")))


@pytest.mark.parametrize(
    "audio",
    [
        Audio(np.ones(1, np.float32), 16_000),
        Audio(np.full(16_000, 3.0, np.float32), 16_000),
        Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000),
    ],
    ids=["single-sample", "clipped", "8k"],
)
def test_odd_sound_works(method: PoseTalk, asked: Request, audio: Audio) -> None:
    assert len(frames_of(method, replace(asked, audio=audio, frames=1))) == 1


@pytest.mark.parametrize("frames", [1, 8, 17])
def test_any_length_works(method: PoseTalk, asked: Request, frames: int) -> None:
    assert sum(1 for _ in method.generate(replace(asked, frames=frames)).frames) == frames


def test_other_frame_rates_and_sizes(method: PoseTalk, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:200]
    assert frames_of(method, replace(asked, portrait=portrait, fps=30.0, frames=3)).shape == (3, 200, 256, 3)


def test_painting_does_not_depend_on_where_a_batch_ends(method: PoseTalk, asked: Request) -> None:
    own, portrait = read_portrait(asked.portrait), torch.from_numpy(asked.portrait).permute(2, 0, 1)[None] / 127.5 - 1
    windows = method.windows(own.track + 0.1 * torch.randn(8, 8), torch.randn(8, MINI.video.audio))
    assert np.array_equal(method.paint(portrait, own, windows)[2:7], method.paint(portrait, own, windows[2:7]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"audio": Audio(np.zeros(0, np.float32), 16_000)},
        {"portrait": np.full((128, 128, 3), 90, np.uint8)},
        {"controls": {"style": "happy"}},
        {"controls": {"text": 3}},
        {"controls": {"pose": "nowhere.csv"}},
    ],
    ids=["no-frames", "no-sound", "no-head", "unknown", "no-text", "file"],
)
def test_wrong_requests_are_refused_in_one_sentence(method: PoseTalk, asked: Request, wrong: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 320


def test_stages_are_timed_and_told(method: PoseTalk, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(asked, lambda *step: told.append(step))
    assert "render" not in generation.seconds
    count = len(list(generation.frames))
    assert set(generation.seconds) == {"portrait", "audio", "pose", "render"}
    assert [step for step in told if step[0] == "render"] == [("render", i, count) for i in range(count)]
    assert ("denoise", 1, 2) in told


def test_pose_is_generated_given_or_still(method: PoseTalk, asked: Request, tmp_path: Path) -> None:
    own = read_portrait(asked.portrait).track[0]
    audio, stages = torch.zeros(30, MINI.video.audio), Stages(None)
    defaults = {name: control.default for name, control in CONTROLS.items()} | FAST

    def track(**controls: Any) -> torch.Tensor:
        return method.pose(own, audio, Noise(3), {**defaults, **controls}, stages)

    made = track()
    assert made.shape == (30, 8) and torch.equal(made[0], own) and made.std(dim=0).min() > 0
    assert torch.equal(track(pose="still"), own.expand(30, -1))
    np.savetxt(tmp_path / "pose.csv", [[0, 0, 0], [10, 0, -5], [0, 20, 0]], delimiter=",")
    given = track(pose=str(tmp_path / "pose.csv"))
    torch.testing.assert_close(
        torch.rad2deg(given[:3, :3] - own[:3]), torch.tensor([[0.0, 0, 0], [10, 0, -5], [0, 20, 0]]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(given[4], given[0])
    np.save(tmp_path / "eyes.npy", np.array([[0, 0, 0, 0, 0], [0, 0, 0, 9, -3]]))
    eyes = given_track(str(tmp_path / "eyes.npy"), own, 2)
    assert eyes is not None
    torch.testing.assert_close(torch.rad2deg(eyes[1, 6:]), torch.tensor([9.0, -3.0]))
    np.save(tmp_path / "wrong.npy", np.zeros((3, 4)))
    with pytest.raises(MethodError, match="3 or 5 columns"):
        track(pose=str(tmp_path / "wrong.npy"))


def test_the_portrait_is_read_as_the_truth_has_it(asked: Request) -> None:
    truth = truth_of(clips_of()[0])
    true = true_track(truth.pose, truth.gaze, truth.landmarks68)[0]
    (read,), (expression,) = read_portrait(asked.portrait)
    assert torch.rad2deg((read - true)[:3]).abs().max() < 8 and (read - true)[3:6].abs().max() < 0.1
    assert read[6:].tolist() == [0, 0]
    assert (expression / UNIT - torch.from_numpy(truth.expression[0])).abs().mean() < 0.1


def test_poses_go_to_and_fro() -> None:
    track = torch.randn(3, 8)
    assert torch.equal(head_of(pose_of(track)), track[:, :6])


def test_a_still_head_is_guessed_not_to_move(method: PoseTalk, asked: Request) -> None:
    own = read_portrait(asked.portrait)
    windows = torch.cat((own.track[..., None].expand(1, 8, 13), torch.zeros(1, 96, 13)), dim=1)
    drawing = method.networks.drawing
    assert drawing.guess(windows, own).flow.abs().max() < 1e-3
    told = drawing.told(windows, own)
    assert told.shape == (1, MINI.video.track + 96, 13) and told[:, 8:16].abs().max() == 0
    turned = windows.clone()
    turned[:, 0] += 0.3
    assert drawing.guess(turned, own).flow.abs().max() > 0.02


def test_unknown_presets_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mini"):
        PoseTalk("paper")
    monkeypatch.setattr(bundle, "POSE_FILE", tmp_path / "nowhere.safetensors")
    with pytest.raises(MissingWeightsError, match="thbench train"):
        PoseTalk("mini")


def test_weights_are_small() -> None:
    assert bundle.POSE_FILE.stat().st_size + bundle.VIDEO_FILE.stat().st_size < 6e6


def test_networks_of_both_sizes_are_offered_for_counting() -> None:
    for preset in ("mini", "paper"):
        found = offer(preset)
        assert found.denoising is not None and found.parts
    with pytest.raises(UsageError, match="paper"):
        offer("papre")


def test_prompts_are_made_of_known_words() -> None:
    rng = np.random.default_rng(0)
    assert set(ACTIONS) == set(SHOWN) == set(INTENTS)
    drawn = [prompt_of(intent, rng) for intent in INTENTS for _ in range(100)]
    assert (word_numbers(drawn) != OTHER).all()
    assert len(set(drawn)) > 300
    told = word_numbers([text for intent, text in INTENT_TEXT.items() if intent != "none"])
    assert (told != OTHER).all()


@pytest.mark.parametrize(
    ("axis", "sine", "action"), [(1, True, "nod"), (0, True, "shake"), (2, False, "tilt"), (6, False, "look")]
)
def test_actions_are_seen_in_plain_tracks(axis: int, sine: bool, action: str) -> None:
    time = np.arange(100) / 25
    window = ((time > 1) & (time < 2.5)).astype(float)
    track = np.zeros((100, 8))
    track[:, axis] = np.radians(12 * np.sin(2 * np.pi * 2 * time) * window if sine else 25 * window)
    assert RULES.actions(track) == {action}
    assert RULES.actions(np.zeros((100, 8))) == frozenset()
    mirrored = track * np.array(MIRROR_SIGN)
    assert strengths(mirrored) == pytest.approx(strengths(track))
    assert RULES.actions(np.zeros((1, 8))) == frozenset()


def test_a_turn_takes_the_eyes_along() -> None:
    track = np.zeros((100, 8))
    track[30:60, 0] = np.radians(15)
    assert "turn" in RULES.actions(track)
    track[30:60, 6] = -track[30:60, 0]
    assert "turn" not in RULES.actions(track) and "look" not in RULES.actions(track)


def test_rules_hold_for_people_they_were_not_made_from() -> None:
    truths = [truth_of(clip) for clip in clips_of()]
    tracks = [true_track(t.pose, t.gaze, t.landmarks68).numpy() for t in truths]
    intents = [t.about.intent for t in truths]
    for name, (precision, recall) in agreement([RULES.actions(track) for track in tracks], intents).items():
        assert precision >= 0.8 and recall >= 0.8, (name, precision, recall)
    own = calibrated(tracks, intents)
    for name, (precision, recall) in agreement([own.actions(track) for track in tracks], intents).items():
        assert precision >= 0.8 and recall >= 0.8, (name, precision, recall)
