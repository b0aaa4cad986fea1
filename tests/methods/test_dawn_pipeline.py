"""DAWN from request to frames, in the sizes of the mini preset with random weights.

What is tested here does not depend on a training; test_dawn_published has the published layout.
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
from dawn_weights import random_mini
from thbench_methods.common import Noise
from thbench_methods.dawn import bundle, pipeline
from thbench_methods.dawn.config import MINI, PAPER, PAPER_256
from thbench_methods.dawn.pipeline import Dawn
from thbench_methods.dawn.state import angles_of, read_by_mini_face
from thbench_methods.dawn.tracks import given_track
from thbench_methods.dawn.unet import UNet

from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MethodError, MissingWeightsError, UsageError, WeightsMismatchError
from thbench.faces.pose import rotation_from_degrees
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

FAST = {"steps": 2}


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def dawn(_weights: None) -> Dawn:
    return Dawn("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, Audio(read_audio(clip.path).samples, 16_000), 25.0, 10, seed=1, controls=FAST)


def frames_of(method: Dawn, request: Request) -> np.ndarray:
    return np.stack(list(method.generate(request).frames))


def controlled(request: Request, **controls: Any) -> Request:
    return replace(request, controls={**request.controls, **controls})


def test_frames_are_as_asked(dawn: Dawn, asked: Request) -> None:
    made = frames_of(dawn, asked)
    assert made.shape == (10, 128, 128, 3) and made.dtype == np.uint8


def test_same_seed_same_bytes_and_other_seed_other_frames(dawn: Dawn, asked: Request) -> None:
    first = frames_of(dawn, asked)
    assert np.array_equal(first, frames_of(dawn, asked))
    assert not np.array_equal(first, frames_of(dawn, replace(asked, seed=2)))


def test_clip_alone_equals_the_clip_after_another(dawn: Dawn, asked: Request) -> None:
    fresh = frames_of(Dawn("mini"), asked)
    next(iter(dawn.generate(replace(asked, seed=5, frames=20)).frames))
    assert np.array_equal(fresh, frames_of(dawn, asked))


def test_speech_matters(dawn: Dawn, asked: Request) -> None:
    silent = replace(asked, audio=Audio(np.zeros(16_000, np.float32), 16_000))
    assert not np.array_equal(frames_of(dawn, silent), frames_of(dawn, asked))


@pytest.mark.parametrize(
    "audio",
    [
        Audio(np.zeros(8_000, np.float32), 16_000),
        Audio(np.ones(1, np.float32), 16_000),
        Audio(np.full(16_000, 3.0, np.float32), 16_000),
        Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000),
        Audio(np.sin(np.arange(48_000, dtype=np.float32)), 48_000),
    ],
    ids=["silence", "single-sample", "clipped", "8k", "48k"],
)
def test_odd_sound_works(dawn: Dawn, asked: Request, audio: Audio) -> None:
    assert len(frames_of(dawn, replace(asked, audio=audio, frames=3))) == 3


@pytest.mark.parametrize("frames", [1, 2, 8, 9, 33])
def test_any_length_works(dawn: Dawn, asked: Request, frames: int) -> None:
    stream = dawn.generate(controlled(replace(asked, frames=frames), steps=1)).frames
    assert sum(1 for _ in stream) == frames


def test_other_frame_rates_and_sizes(dawn: Dawn, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:200]
    assert frames_of(dawn, replace(asked, portrait=portrait, fps=30.0, frames=4)).shape == (4, 200, 256, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"audio": Audio(np.zeros(0, np.float32), 16_000)},
        {"portrait": np.zeros((8, 8), np.uint8)},
        {"portrait": np.full((128, 128, 3), 90, np.uint8)},
        {"controls": {"style": "happy"}},
        {"controls": {"steps": 1000}},
        {"controls": {"mask_feature": "seed7"}},
        {"controls": {"pose": "nowhere.csv"}},
    ],
    ids=["no-frames", "no-sound", "grey", "no-head", "unknown", "steps", "choice", "file"],
)
def test_wrong_requests_are_refused_in_one_sentence(dawn: Dawn, asked: Request, wrong: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        dawn.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 320


def test_stages_are_timed_and_told(dawn: Dawn, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = dawn.generate(asked, lambda *step: told.append(step))
    assert "render" not in generation.seconds
    frames = list(generation.frames)
    assert set(generation.seconds) == {"portrait", "audio", "pose", "motion", "render"}
    assert all(value > 0 for value in generation.seconds.values())
    assert [step for step in told if step[0] == "render"] == [("render", i, len(frames)) for i in range(len(frames))]
    assert ("denoise", 1, 2) in told


def test_frames_are_painted_as_they_are_read(dawn: Dawn, asked: Request) -> None:
    told: list[str] = []
    generation = dawn.generate(replace(asked, frames=40), lambda stage, *_: told.append(stage))
    list(islice(iter(generation.frames), 1))
    assert told.count("render") <= 1


def test_painting_does_not_depend_on_where_a_batch_ends(dawn: Dawn, asked: Request) -> None:
    sitter = dawn.read(asked.portrait)
    motion = torch.randn(3, 11, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    whole = np.concatenate([dawn.paint(sitter, motion[:, :8]), dawn.paint(sitter, motion[:, 8:])])
    assert np.array_equal(whole[2:7], dawn.paint(sitter, motion[:, 2:7]))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record how many frames the U-Net sees at each call."""
    seen: list[int] = []
    original = UNet.full

    def full(self: UNet, motion: torch.Tensor, *rest: Any) -> Any:
        seen.append(motion.shape[2])
        return original(self, motion, *rest)

    monkeypatch.setattr(UNet, "full", full)
    return seen


@pytest.mark.parametrize("frames", [1, 30, 90])
def test_all_frames_come_of_one_pass_per_step(
    dawn: Dawn, asked: Request, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    dawn.generate(replace(asked, frames=frames))
    assert seen == [frames] * FAST["steps"]


def test_clips_beyond_the_window_are_denoised_in_windows_with_shared_noise(
    dawn: Dawn, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(MINI, window=24, overlap=8)
    seen = counted(monkeypatch)
    whole = frames_of(dawn, replace(asked, frames=50)).astype(int)
    monkeypatch.setattr(dawn, "config", short)
    parts = frames_of(dawn, replace(asked, frames=50)).astype(int)
    assert seen == [50, 50] + [24] * 6
    # Windows see the same noise, sound and pose; they differ by what attention and norms reach.
    assert (
        np.abs(whole - parts).mean() < 0.5 * np.abs(whole - frames_of(dawn, replace(asked, frames=50, seed=3))).mean()
    )


def test_a_frame_has_the_same_noise_in_a_longer_clip(dawn: Dawn, asked: Request) -> None:
    still = controlled(asked, pose="still", blink="still", steps=1)
    short, long = (frames_of(dawn, replace(still, frames=n))[:8].astype(int) for n in (10, 14))
    other = frames_of(dawn, replace(still, seed=9))[:8].astype(int)
    assert np.abs(short - long).mean() < np.abs(short - other).mean()


def test_guidance_and_masks_matter(dawn: Dawn, asked: Request) -> None:
    plain = frames_of(dawn, asked)
    for change in ({"guidance": 3.0}, {"mask_feature": "zeros"}, {"mask_feature": "random"}):
        assert not np.array_equal(plain, frames_of(dawn, controlled(asked, **change))), change


@pytest.mark.parametrize("name", ["lightningcp", "deepcache", "cfg-cache"])
def test_cached_steps_run(dawn: Dawn, asked: Request, name: str) -> None:
    fast = Dawn("mini", accelerations=(name,))
    wanted = controlled(asked, steps=8, guidance=2.0)
    a, b = frames_of(fast, wanted).astype(int), frames_of(dawn, wanted).astype(int)
    assert not np.array_equal(a, b) and np.abs(a - b).mean() < 20


def test_pose_and_blinks_are_told_from_files(dawn: Dawn, asked: Request, tmp_path: Path) -> None:
    sitter = dawn.read(asked.portrait)
    state, audio = sitter.state, torch.zeros(4, MINI.unet.audio)
    np.save(tmp_path / "pose.npy", state.pose[None, :3].numpy() + [[0, 0, 0], [15, 0, 0], [0, 15, 0], [0, 0, -15]])
    np.savetxt(tmp_path / "blink.csv", [0.9, 0.5, 0.1, 0.5], delimiter=",")
    controls = {"pose": str(tmp_path / "pose.npy"), "blink": str(tmp_path / "blink.csv")}
    told = dawn.tell(state, audio, Noise(0), controls)
    condition = dawn.condition(sitter, told, Noise(0))
    turned = [[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, -1, 0, 0, 0]]
    torch.testing.assert_close(condition.pose[0], torch.tensor(turned, dtype=torch.float32), atol=1e-5, rtol=0)
    opened = torch.tensor([0.9, 0.5, 0.1, 0.5])[:, None] - state.blink
    torch.testing.assert_close(condition.blink[0], opened)
    plain, given = frames_of(dawn, asked), frames_of(dawn, controlled(asked, **controls))
    assert not np.array_equal(plain, given)


def test_generated_pose_and_blinks_depend_on_sound_and_seed_alone(dawn: Dawn, asked: Request) -> None:
    state = dawn.read(asked.portrait).state
    audio, controls = torch.randn(9, MINI.unet.audio), {"pose": "generated", "blink": "generated"}
    told = dawn.tell(state, audio, Noise(4), controls)
    assert told.pose.shape == (9, 6) and told.blink.shape == (9, 2)
    assert torch.equal(told.pose, dawn.tell(state, audio, Noise(4), controls).pose)
    assert not torch.equal(told.pose, dawn.tell(state, audio, Noise(5), controls).pose)
    assert not torch.equal(told.blink, dawn.tell(state, audio + 1, Noise(4), controls).blink)


def test_tracks_hold_their_last_row_and_set_what_they_name(tmp_path: Path) -> None:
    portrait = torch.arange(6.0)
    np.savetxt(tmp_path / "pose.csv", [[10, 20, 30], [11, 21, 31]], delimiter=",")
    track = given_track("pose", str(tmp_path / "pose.csv"), portrait, 3)
    assert track is not None
    assert track.tolist() == [[10, 20, 30, 3, 4, 5], [11, 21, 31, 3, 4, 5], [11, 21, 31, 3, 4, 5]]
    np.save(tmp_path / "blink.npy", np.array([0.5, 0.25], np.float32))
    both = given_track("blink", str(tmp_path / "blink.npy"), torch.ones(2), 1)
    assert both is not None and both.tolist() == [[0.5, 0.5]]
    assert given_track("pose", "generated", portrait, 3) is None
    still = given_track("pose", "still", portrait, 2)
    assert still is not None and still.tolist() == [portrait.tolist()] * 2


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.zeros((4, 5)), np.full((4, 3), np.nan), np.zeros((2, 3, 3))])
def test_tracks_that_hold_no_track_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    np.save(tmp_path / "pose.npy", rows)
    with pytest.raises(MethodError, match="one row per frame"):
        given_track("pose", str(tmp_path / "pose.npy"), torch.zeros(6), 3)


def test_the_portrait_is_read(asked: Request) -> None:
    state = read_by_mini_face(asked.portrait)
    assert state.pose.shape == (6,) and state.blink.shape == (2,) and state.box.shape == (6,)
    left, right, top, bottom, height, width = state.box.tolist()
    assert 0 < left < right < 128 and 0 < top < bottom < 128 and (height, width) == (128, 128)
    assert left < 128 * state.pose[4] < right and top < 128 * state.pose[5] < bottom


def test_angles_are_those_of_3ddfa() -> None:
    def elementary(axis: int, degrees: float) -> np.ndarray:
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        matrix = np.eye(3)
        first, second = [(1, 2), (2, 0), (0, 1)][axis]
        matrix[[first, second], [first, second]] = cosine
        matrix[first, second], matrix[second, first] = -sine, sine
        return matrix

    # 3DDFA composes Rz(roll) Ry(-yaw) Rx(pitch) with right-handed elementary rotations.
    rotation = elementary(2, 7) @ elementary(1, -20) @ elementary(0, 11)
    np.testing.assert_allclose(angles_of(rotation), (20, 11, 7), atol=1e-9)
    assert angles_of(rotation_from_degrees((0, 0, 12)))[2] == pytest.approx(12)


def test_unknown_presets_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mini"):
        Dawn("minni")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="preset `mini`") as caught:
        Dawn("paper-256")
    assert "DAWN_256.pth" in str(caught.value) and "LFG_256_400ep.pth" in str(caught.value)
    assert set(pipeline.PRESETS) == {"mini", "paper", "paper-256"}
    assert PAPER.diffusion.steps == PAPER_256.diffusion.steps == 20


def test_damaged_mini_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "mini_a2v.safetensors"
    damaged.write_bytes(bundle.A2V_FILE.read_bytes()[:-64])
    monkeypatch.setattr(bundle, "A2V_FILE", damaged)
    with pytest.raises(WeightsMismatchError, match="install thbench again"):
        Dawn("mini")
