"""DreamTalk from request to frames, with the shipped weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.dreamtalk import pipeline
from thbench_methods.dreamtalk.pipeline import DreamTalk

from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MediaError, MethodError, MissingWeightsError, UsageError
from thbench.media import read_audio, read_frames, write_video
from thbench.types import Audio, Request

FAST = {"steps": 3}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def method() -> DreamTalk:
    return DreamTalk("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    sound = read_audio(clip.path)
    return Request(portrait, Audio(sound.samples, 16_000), 25.0, 12, seed=1, controls=FAST)


def made(method: DreamTalk, request: Request) -> np.ndarray:
    return np.stack(list(method.generate(request).frames))  # type: ignore[arg-type]


def other_clip(number: int = 5) -> Path:
    return clips_of()[number].path


def test_frames_are_as_asked(method: DreamTalk, asked: Request) -> None:
    frames = made(method, asked)
    assert frames.shape == (12, 128, 128, 3)
    assert frames.dtype == np.uint8


def test_the_first_frame_is_nearer_to_the_portrait_than_a_stranger(method: DreamTalk, asked: Request) -> None:
    stranger = next(iter(read_frames(other_clip(), threads=1))).rgb
    first = made(method, replace(asked, frames=1))[0].astype(float)
    assert np.abs(first - asked.portrait).mean() < 0.5 * np.abs(first - stranger).mean()


def test_same_seed_same_bytes_and_other_seed_other_frames(method: DreamTalk, asked: Request) -> None:
    first = made(method, asked)
    assert np.array_equal(first, made(method, asked))
    assert not np.array_equal(first, made(method, replace(asked, seed=2)))


def test_a_clip_alone_equals_the_clip_after_another(method: DreamTalk, asked: Request) -> None:
    fresh = made(DreamTalk("mini"), asked)
    stream = iter(method.generate(replace(asked, seed=5, frames=40)).frames)  # type: ignore[arg-type]
    next(stream)
    assert np.array_equal(fresh, made(method, asked))


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
def test_odd_sound_works(method: DreamTalk, asked: Request, audio: Audio) -> None:
    assert len(made(method, replace(asked, audio=audio, frames=3))) == 3


@pytest.mark.parametrize("frames", [1, 2, pipeline.RENDERED, pipeline.RENDERED + 1, 1500])
def test_any_length_works(method: DreamTalk, asked: Request, frames: int) -> None:
    stream = method.generate(replace(asked, frames=frames, controls={"steps": 1})).frames
    assert sum(1 for _ in islice(iter(stream), 20)) == min(frames, 20)  # type: ignore[arg-type]


@pytest.mark.full
def test_a_minute_is_rendered_to_its_end(method: DreamTalk, asked: Request) -> None:
    stream = method.generate(replace(asked, frames=1500, controls={"steps": 1})).frames
    assert sum(1 for _ in stream) == 1500  # type: ignore[union-attr]


def test_chunks_change_nothing(method: DreamTalk, asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(method, asked).astype(int)
    monkeypatch.setattr(pipeline, "CHUNK", 5)
    monkeypatch.setattr(pipeline, "RENDERED", 3)
    assert np.abs(whole - made(method, asked)).max() <= 1


def test_other_frame_rates_and_sizes(method: DreamTalk, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)
    frames = made(method, replace(asked, portrait=portrait, fps=30.0, frames=4))
    assert frames.shape == (4, 256, 256, 3)


def test_a_frame_lies_at_its_instant_whatever_the_rate(method: DreamTalk, asked: Request) -> None:
    """At 50 frames a second every second frame is one of 25 a second."""
    slow, fast = made(method, asked), made(method, replace(asked, fps=50.0, frames=23))
    assert np.abs(slow.astype(int) - fast[::2]).max() <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"fps": 0.5},
        {"audio": Audio(np.zeros(0, np.float32), 16_000)},
        {"audio": Audio(np.full(9, np.nan, np.float32), 16_000)},
        {"portrait": np.zeros((8, 8), np.uint8)},
        {"portrait": np.full((128, 128, 3), 127, np.uint8)},
        {"controls": {"emotion": "happy"}},
        {"controls": {"steps": 0}},
        {"controls": {"guidance": -1.0}},
        {"controls": {"style": "no such file.mp4"}},
        {"controls": {"pose": "no such file.mp4"}},
        {"controls": {"pose": 3}},
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(method: DreamTalk, asked: Request, wrong: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_style_clip_that_is_no_video_is_refused(method: DreamTalk, asked: Request, tmp_path: Path) -> None:
    path = tmp_path / "style.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(MediaError):
        method.generate(replace(asked, controls={"style": str(path)}))


def test_a_style_clip_without_a_head_is_refused(method: DreamTalk, asked: Request, tmp_path: Path) -> None:
    path = tmp_path / "grey.mkv"
    write_video(path, [np.full((128, 128, 3), 90, np.uint8)] * 5, fps=25)
    with pytest.raises(MethodError, match=r"frame 0 of the style clip .* shows no head"):
        method.generate(replace(asked, controls={"style": str(path)}))


def test_stages_are_timed_and_told(method: DreamTalk, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(asked, lambda *step: told.append(step))
    frames = list(generation.frames)  # type: ignore[arg-type]
    assert set(generation.seconds) == {"portrait", "audio", "motion", "render"}
    assert all(value > 0 for value in generation.seconds.values())
    assert [step for step in told if step[0] == "render"] == [("render", i, len(frames)) for i in range(len(frames))]
    assert [step for step in told if step[0] == "denoise"] == [("denoise", i, 3) for i in range(3)]


def test_frames_are_rendered_as_they_are_read(method: DreamTalk, asked: Request) -> None:
    generation = method.generate(replace(asked, frames=64))
    assert "render" not in generation.seconds
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    assert "render" in generation.seconds


def test_every_control_reaches_the_frames(method: DreamTalk, asked: Request) -> None:
    plain = made(method, asked)
    for controls in (
        {"steps": 7},
        {"guidance": 2.0},
        {"style": "none"},
        {"style": str(other_clip())},
        {"pose": "still"},
        {"pose": str(other_clip())},
    ):
        assert not np.array_equal(plain, made(method, replace(asked, controls=FAST | controls))), controls


def test_guidance_of_no_style_changes_nothing(method: DreamTalk, asked: Request) -> None:
    """Between no style and no style there is nothing to exaggerate."""
    first, second = (
        made(method, replace(asked, controls=FAST | {"style": "none", "guidance": scale})) for scale in (1.0, 3.0)
    )
    assert np.abs(first.astype(int) - second).max() <= 1


def test_a_still_head_stays_where_the_portrait_has_it(method: DreamTalk, asked: Request) -> None:
    from thbench.backbones.mini import loaded
    from thbench.backbones.mini.face import look

    frames = made(method, replace(asked, frames=60, controls=FAST | {"pose": "still"}))
    pose = look(loaded.face(), np.concatenate((asked.portrait[None], frames))).pose
    assert np.abs(pose[1:] - pose[0]).mean(axis=0).max() < 3
    moving = look(loaded.face(), made(method, replace(asked, frames=60))).pose
    assert pose[1:].std(axis=0).mean() < 0.6 * moving.std(axis=0).mean()


def test_a_pose_track_is_followed(method: DreamTalk, asked: Request) -> None:
    from thbench.backbones.mini import loaded
    from thbench.backbones.mini.face import look

    path = other_clip(7)
    track = np.stack([frame.rgb for frame in islice(read_frames(path, threads=1), 60)])
    frames = made(method, replace(asked, frames=60, controls=FAST | {"pose": str(path)}))
    wanted, found = (look(loaded.face(), each).pose for each in (track, frames))
    axis = int(wanted.std(axis=0).argmax())
    assert np.corrcoef(wanted[:, axis], found[:, axis])[0, 1] > 0.9


def test_silence_closes_the_mouth_that_speech_opens(method: DreamTalk, asked: Request) -> None:
    from thbench.backbones.mini import loaded
    from thbench.backbones.mini.face import look

    def gap(audio: Audio) -> np.ndarray:
        request = replace(asked, audio=audio, frames=75, controls={"pose": "still"})  # a turned mouth looks narrower
        marks = look(loaded.face(), made(method, request)).landmarks
        return np.asarray(np.linalg.norm(marks[:, 62] - marks[:, 66], axis=1))

    silent, spoken = gap(Audio(np.zeros(48_000, np.float32), 16_000)), gap(asked.audio)
    assert spoken.std() > 2 * silent.std()
    assert spoken.mean() > silent.mean()


@pytest.mark.parametrize("name", ["lightningcp", "lightningcp-parallel", "adaptive", "fewer-steps", "uniform-cache"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_accelerations_change_the_frames_a_little(asked: Request, name: str, guidance: float) -> None:
    request = replace(asked, controls={"steps": 20, "guidance": guidance})
    fast, plain = made(DreamTalk("mini", accelerations=(name,)), request), made(DreamTalk("mini"), request)
    assert not np.array_equal(fast, plain)
    assert np.abs(fast.astype(int) - plain).mean() < 5


def test_accelerations_that_do_not_fit_are_refused(asked: Request) -> None:
    with pytest.raises(MethodError, match="foreground"):
        DreamTalk("mini", accelerations=("dfa",)).generate(asked)


def test_unknown_presets_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mini"):
        DreamTalk("minni")
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="preset `mini`"):
        DreamTalk("paper")


def test_the_weights_are_small() -> None:
    from thbench_methods.dreamtalk.bundle import PREDICTOR_FILE, RENDERER_FILE, SPEAKING_FILE

    assert sum(path.stat().st_size for path in (PREDICTOR_FILE, RENDERER_FILE, SPEAKING_FILE)) < 6e6
