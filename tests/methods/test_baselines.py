from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from thbench_methods.baselines.portrait import StaticPortrait
from thbench_methods.baselines.replay import GroundTruth, ShuffledAudio

from thbench.data.drawn_clips import LOOKS, draw_frames
from thbench.errors import MethodError
from thbench.types import Audio, Request

RATE = 16000


def speech(seconds: float = 2.0) -> Audio:
    """Bursts of a tone: loud in every other half second."""
    time = np.arange(round(seconds * RATE)) / RATE
    return Audio((np.sin(2 * np.pi * 220 * time) * (time % 1.0 < 0.5)).astype(np.float32), RATE)


@pytest.fixture
def request_() -> Request:
    look = LOOKS[0]
    portrait = next(iter(draw_frames(look, np.zeros(1), 192, np.random.default_rng(0))))
    return Request(portrait=portrait, audio=speech(), fps=25, frames=50)


def test_static_portrait_never_moves(request_: Request) -> None:
    frames = list(StaticPortrait().generate(request_).frames)
    assert len(frames) == request_.frames
    assert all(np.array_equal(frame, request_.portrait) for frame in frames)


def test_ground_truth_is_the_reference_file(request_: Request) -> None:
    asked = dataclasses.replace(request_, reference=Path("clip.mp4"))
    generation = GroundTruth().generate(asked)
    assert (generation.frames, generation.audio) == (Path("clip.mp4"), None)
    with pytest.raises(MethodError, match="has none"):
        GroundTruth().generate(request_)


def test_shuffled_audio_takes_another_clips_sound(request_: Request) -> None:
    other = speech(1.0)
    asked = dataclasses.replace(request_, reference=Path("clip.mp4"), other_audio=other)
    generation = ShuffledAudio().generate(asked)
    assert (generation.frames, generation.audio) == (Path("clip.mp4"), other)
    with pytest.raises(MethodError, match="second clip with sound"):
        ShuffledAudio().generate(dataclasses.replace(asked, other_audio=None))


def test_loudness_opening_follows_the_sound() -> None:
    from thbench_methods.baselines.mouth_warp import loudness_opening

    opening = loudness_opening(speech(), fps=25, frames=50)
    loud = (np.arange(50) / 25 % 1.0) < 0.5
    assert opening.shape == (50,)
    assert opening[loud].mean() > 0.8
    assert opening[~loud].mean() < 0.2
    assert 0 <= opening.min() <= opening.max() <= 1
    silence = Audio(np.zeros(RATE, np.float32), RATE)
    assert np.array_equal(loudness_opening(silence, 25, 25), np.zeros(25))
    short = loudness_opening(Audio(np.ones(1, np.float32), RATE), 25, 25)
    assert np.isfinite(short).all()


class TestMouthWarp:
    """Needs the face landmarker."""

    @pytest.fixture(autouse=True)
    def _weights(self, weights: str) -> None:
        from thbench_methods.baselines.mouth_warp import MouthWarp

        self.method = MouthWarp()

    def test_only_the_lower_face_moves(self, request_: Request) -> None:
        frames = np.stack(list(self.method.generate(request_).frames))
        moved = np.abs(frames.astype(int) - request_.portrait.astype(int)).max(axis=(0, 3))
        assert frames.shape == (50, 192, 192, 3)
        assert moved[:85].max() == 0
        assert moved[100:140, 70:120].max() > 60

    def test_silence_leaves_the_portrait_as_it_is(self, request_: Request) -> None:
        silent = dataclasses.replace(request_, audio=Audio(np.zeros(RATE, np.float32), RATE))
        for frame in self.method.generate(silent).frames:
            assert np.array_equal(frame, request_.portrait)

    def test_same_request_same_bytes(self, request_: Request) -> None:
        first, second = (list(self.method.generate(request_).frames) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    @pytest.mark.parametrize(
        ("controls", "message"), [({"gian": 1.0}, "no control 'gian'"), ({"gain": 2.0}, "gain is 2.0")]
    )
    def test_wrong_controls_are_refused_by_name(
        self, request_: Request, controls: dict[str, float], message: str
    ) -> None:
        with pytest.raises(MethodError, match=message):
            self.method.generate(dataclasses.replace(request_, controls=controls))

    def test_a_portrait_without_a_face_is_refused(self, request_: Request) -> None:
        blank = dataclasses.replace(request_, portrait=np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(MethodError, match="no face"):
            self.method.generate(blank)
