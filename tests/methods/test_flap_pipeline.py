"""FLAP from request to frames, in the sizes of the mini preset with random weights; controls and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flap_weights import random_mini
from thbench_methods.common import Noise, read_controls
from thbench_methods.flap.config import MINI
from thbench_methods.flap.pipeline import FLAP, Seen
from thbench_methods.flap.spec import CONTROLS, PRESETS
from thbench_methods.flap.spec import FLAP as SPEC

from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MethodError, UsageError
from thbench.media import read_audio, read_frames, write_video
from thbench.spec import load
from thbench.types import Audio, Request

FAST = {"steps": 2}
LENGTH = 12
"""Frames of the video that is named."""
LIDS = MINI.layout.lid_places


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def method(_weights: None) -> FLAP:
    return FLAP("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, read_audio(clip.path), 25.0, 3, seed=1, controls=FAST)


@pytest.fixture(scope="module")
def seen(method: FLAP, asked: Request) -> Seen:
    return method.look(asked.portrait)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The first frames of another person's clip."""
    clip = clips_of()[1]
    path = tmp_path_factory.mktemp("videos") / "other.mkv"
    frames = [frame.rgb for frame in islice(read_frames(clip.path, threads=1), LENGTH)]
    write_video(path, frames, 25.0, audio=read_audio(clip.path))
    return str(path)


def frames_of(method: FLAP, request: Request) -> np.ndarray:
    made = method.generate(request).frames
    assert not isinstance(made, Path)
    return np.stack(list(made))


def controlled(request: Request, **controls: Any) -> Request:
    return replace(request, controls={**request.controls, **controls})


def track_of(method: FLAP, seen: Seen, frames: int = 32, seed: int = 1, **controls: Any) -> torch.Tensor:
    """Edited coefficients of some speech."""
    told = read_controls("flap", controls, CONTROLS)
    heard = torch.randn(frames, MINI.front_end.audio, generator=torch.Generator().manual_seed(0))
    noise = Noise(seed)
    edits = method.edits(told, seen, frames, noise)
    return edits.applied(method.spoken(heard, seen, noise), seen.own, MINI.layout)


def test_frames_are_as_asked_and_the_same_whatever_came_before(method: FLAP, asked: Request) -> None:
    first = frames_of(method, replace(asked, frames=18))
    assert first.shape == (18, 128, 128, 3)
    assert first.dtype == np.uint8
    next(iter(method.generate(replace(asked, seed=5, frames=20)).frames))  # type: ignore[arg-type]
    assert np.array_equal(first, frames_of(method, replace(asked, frames=18)))
    short = frames_of(method, asked)
    assert np.array_equal(short, frames_of(FLAP("mini"), asked))
    assert not np.array_equal(short, frames_of(method, replace(asked, seed=2)))


@pytest.mark.parametrize(
    ("audio", "frames"),
    [
        (Audio(np.ones(1, np.float32), 16_000), 1),
        (Audio(np.full(16_000, 3.0, np.float32), 16_000), 15),
        (Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000), 16),
        (Audio(np.zeros(8_000, np.float32), 16_000), 17),
    ],
    ids=["single-sample", "clipped", "8k", "silence"],
)
def test_odd_sound_and_any_length_work(method: FLAP, asked: Request, audio: Audio, frames: int) -> None:
    assert len(frames_of(method, replace(asked, audio=audio, frames=frames, controls={"steps": 1}))) == frames


def test_other_frame_rates_and_sizes(method: FLAP, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:, 20:236]
    made = frames_of(method, replace(asked, portrait=portrait, fps=50.0, frames=4))
    assert made.shape == (4, 256, 216, 3)
    assert np.array_equal(made[1], made[2])


def test_speech_and_every_control_reach_the_frames(method: FLAP, asked: Request) -> None:
    base = controlled(asked, steps=1)
    plain = frames_of(method, base)
    silent = replace(base, audio=Audio(np.zeros(16_000, np.float32), 16_000))
    others = [
        silent,
        *(
            controlled(base, **c)
            for c in ({"head": "still"}, {"yaw": 20.0}, {"expression": "idle"}, {"expression_scale": 3.0})
        ),
    ]
    for other in others:
        assert not np.array_equal(plain, frames_of(method, other))


def test_speech_makes_coefficients(method: FLAP, seen: Seen) -> None:
    track = track_of(method, seen)
    assert track.shape == (32, MINI.layout.total)
    assert torch.equal(track, track_of(method, seen))
    assert not torch.equal(track, track_of(method, seen, seed=2))


def test_each_control_leaves_the_others_coefficients(method: FLAP, seen: Seen, video: str) -> None:
    plain = track_of(method, seen)
    groups = {
        "head": set(range(3)),
        "lids": set(range(LIDS.start, LIDS.stop)),
        "face": set(range(3, MINI.layout.total)) - set(range(LIDS.start, LIDS.stop)),
    }
    for controls, group in (
        ({"head": "still"}, "head"),
        ({"head": video}, "head"),
        ({"roll": -5.0}, "head"),
        ({"blinks": 60.0}, "lids"),
        ({"expression": "idle"}, "face"),
        ({"expression": video}, "face"),
        ({"expression_scale": 0.5}, "face"),
    ):
        made = track_of(method, seen, **controls)
        changed = set((made != plain).any(dim=0).nonzero()[:, 0].tolist())
        assert changed and changed <= groups[group], controls


def test_heads_turn_as_asked(method: FLAP, seen: Seen, video: str, tmp_path: Path) -> None:
    def degrees(**controls: Any) -> torch.Tensor:
        return track_of(method, seen, **controls)[:, :3].rad2deg()

    torch.testing.assert_close(
        degrees(head="fixed", yaw=15.0, pitch=-5.0), torch.tensor([15.0, -5.0, 0.0]).expand(32, -1)
    )
    own = seen.own[:3].rad2deg()
    torch.testing.assert_close(degrees(head="still", roll=3.0), (own + torch.tensor([0.0, 0.0, 3.0])).expand(32, -1))
    for name in PRESETS:
        moved = degrees(head=name)
        torch.testing.assert_close(moved[0], own)
        assert (moved - own).abs().max() > 5
    path = tmp_path / "angles.csv"
    np.savetxt(path, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], delimiter=",")
    torch.testing.assert_close(degrees(head=str(path))[:6, 0], torch.tensor([1.0, 4.0, 7.0, 4.0, 1.0, 4.0]))
    followed = degrees(head=video)
    torch.testing.assert_close(followed[LENGTH], followed[LENGTH - 2])


def test_eyes_blink_as_asked(method: FLAP, seen: Seen) -> None:
    track = track_of(method, seen, frames=160, blinks=30.0)
    shut = (track[:, LIDS] > 0.8).all(dim=1).int()
    assert int((shut.diff() == 1).sum()) in (2, 3, 4)
    assert torch.equal(track, track_of(method, seen, frames=160, blinks=30.0))
    assert not (track_of(method, seen, frames=160, blinks=0.0)[:, LIDS] > 1.0).any()


def test_faces_rest_or_follow(method: FLAP, seen: Seen, video: str) -> None:
    idle = track_of(method, seen, expression="idle")
    own = seen.own.expand(32, -1)
    rest = [n for n in range(3, MINI.layout.total) if n not in range(LIDS.start, LIDS.stop)]
    torch.testing.assert_close(idle[:, rest], own[:, rest])
    followed = track_of(method, seen, expression=video)
    theirs = method.bundle.video_track(Path(video), "expression", ())
    torch.testing.assert_close(followed[:LENGTH, rest], theirs[:, rest])


def test_accelerations_apply(method: FLAP, asked: Request) -> None:
    request = controlled(asked, steps=4, guidance=2.0)
    plain = frames_of(method, request)
    for names in (("lightningcp", "dfa", "refdrop"), ("cfg-cache",)):
        assert frames_of(FLAP("mini", accelerations=names), request).shape == plain.shape
    assert frames_of(method, controlled(asked, guidance=1.0)).shape == plain.shape


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"frames": 0}, "0 frames"),
        ({"audio": Audio(np.zeros(0, np.float32), 16_000)}, "sound"),
        ({"portrait": np.zeros((8, 8), np.uint8)}, "portrait"),
        ({"portrait": np.zeros((64, 64, 3), np.uint8)}, "flap@mini sees no head"),
        ({"controls": {"style": "happy"}}, "flap has no control 'style'"),
        ({"controls": {"yaw": 90.0}}, "yaw"),
        ({"controls": {"blinks": -2.0}}, "blinks"),
        ({"controls": {"head": "nowhere.csv"}}, "flap: head is 'nowhere.csv'.*'fixed'"),
        ({"controls": {"head": "nowhere.mp4"}}, "flap: head is 'nowhere.mp4'.*'look-around'"),
        ({"controls": {"expression": "nowhere.mp4"}}, "flap: expression is 'nowhere.mp4'.*'idle'"),
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(
    method: FLAP, asked: Request, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(MethodError, match=says) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350


def test_windows_are_made_as_they_are_read_and_stages_are_told(method: FLAP, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(replace(asked, frames=20), lambda *step: told.append(step))
    assert "denoise" not in generation.seconds
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    assert told == [("denoise", 0, 2), ("denoise", 1, 2)]
    assert set(generation.seconds) == {"portrait", "audio", "coefficients", "denoise", "decode"}


def test_the_spec_names_what_there_is() -> None:
    for name in (SPEC.factory, SPEC.flops, SPEC.trainers["mini"]):
        assert callable(load(name, purpose="a test"))
    assert set(SPEC.controls) == set(CONTROLS)


def test_there_is_one_preset() -> None:
    with pytest.raises(UsageError, match=r"flap has no preset 'paper'.*mini"):
        FLAP("paper")
