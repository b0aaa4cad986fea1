"""How DAWN's claims are measured: the machinery, on random weights, and the autoregressive rival."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from dawn_weights import random_mini
from thbench_methods.common.judging import Face, Held, made, read_held
from thbench_methods.dawn import claims
from thbench_methods.dawn.autoregressive import autoregressive
from thbench_methods.dawn.claims import TRAINED, asked, blinks_of, in_pieces, long_speech, one_pass, reconstructed
from thbench_methods.dawn.pipeline import Dawn
from thbench_methods.dawn.unet import UNet

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.types import Request


@pytest.fixture(scope="module")
def dawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dawn]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield Dawn("mini")


@pytest.fixture(scope="module")
def clips() -> list[Held]:
    return list(read_held(clips_of()[:3]))


@pytest.fixture
def request_(clips: list[Held]) -> Request:
    return replace(clips[0].request(), frames=6, controls={"steps": 2})


def test_passes_are_counted_by_running_the_network(
    dawn: Dawn, clips: list[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(clips[0].request(), frames=5)
    found = one_pass(dawn, request)
    assert found.verdict == "pass"
    assert found.measured == f"{dawn.config.diffusion.steps} passes for 5 frames, each of [5] frames"
    monkeypatch.setattr(dawn, "config", replace(dawn.config, window=4, overlap=1))
    assert one_pass(dawn, request).verdict == "fail"


def test_one_block_is_the_clip_at_once(dawn: Dawn, request_: Request) -> None:
    assert np.array_equal(np.stack(list(autoregressive(dawn, request_, 6))), made(dawn, request_))


@pytest.mark.parametrize(("block", "seen"), [(1, [1] * 12), (4, [4, 4, 2, 2])])
def test_blocks_follow_from_the_last_frame_before_them(
    dawn: Dawn, request_: Request, block: int, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    original = UNet.full

    def full(self: UNet, motion: torch.Tensor, *rest: object) -> object:
        passes.append(motion.shape[2])
        return original(self, motion, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(UNet, "full", full)
    frames = np.stack(list(autoregressive(dawn, request_, block)))
    assert frames.shape == (6, 128, 128, 3) and passes == seen
    first = np.stack(list(autoregressive(dawn, replace(request_, frames=block), block)))
    # Pose and blinks of the whole clip differ from those of the block alone, but for the first frame of one block.
    assert first.shape == (block, 128, 128, 3)


def test_long_speech_goes_on_with_the_next_clips(clips: list[Held]) -> None:
    long = long_speech(clips, 10.0)
    assert [len(held.sound) for held in long] == [160_000] * 3
    assert np.array_equal(long[1].sound[: len(clips[1].sound)], clips[1].sound)
    second = long[1].sound[len(clips[1].sound) :]
    assert np.array_equal(second[:1000], clips[2].sound[:1000])
    assert asked(long[0]).frames == 250
    pieces = in_pieces(long[0])
    assert len(pieces) == 250 // TRAINED and {asked(piece).frames for piece in pieces} == {TRAINED}
    assert np.array_equal(
        np.concatenate([piece.sound for piece in pieces]), long[0].sound[: len(pieces) * TRAINED * 640]
    )


class Looked(NamedTuple):
    """What the fakes below see of frames."""

    lse_c: float
    similarity: float


def test_long_clips_are_held_against_short_ones_and_their_end_against_their_beginning(
    clips: list[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Request] = []
    lost, drifted = 0.0, 0.0

    def fake_made(_: object, request: Request) -> np.ndarray:
        requests.append(request)
        frames = np.zeros((request.frames, 2, 2, 3), np.uint8)
        frames[-25:] = 1  # the end
        frames[:, 0, 0, 0] = request.frames > TRAINED  # a long clip
        return frames

    def fake_judge(_: object, frames: np.ndarray) -> Looked:
        long, end = bool(frames[0, 0, 0, 0]), bool(frames[0, 1, 1, 0])
        return Looked(3.0 * (1 - lost * long), 0.9 - drifted * (long and end))

    monkeypatch.setattr(claims, "made", fake_made)
    monkeypatch.setattr(claims, "judge", fake_judge)

    def verdicts() -> list[str]:
        return [claim.verdict for claim in claims.length_claims(None, clips, (2, 4))]  # type: ignore[arg-type]

    assert verdicts() == ["pass", "pass", "pass"]
    still = [request for request in requests if request.controls]
    assert [request.seed for request in still] == [0, 1, 2] and {request.frames for request in still} == {100}
    assert all(dict(request.controls) == {"pose": "still"} for request in still)
    assert {request.seed for request in requests if not request.controls} == {0, 1, 2}
    lost = 0.2
    assert verdicts() == ["fail", "fail", "pass"]
    lost, drifted = 0.05, 0.1
    assert verdicts() == ["pass", "pass", "fail"]


def test_blinks_of_generated_clips_are_held_against_real_ones(
    clips: list[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    blinks = 1

    def fake_made(_: object, request: Request) -> np.ndarray:
        seeds.append(request.seed)
        return np.ones((100, 1, 1, 3), np.uint8)

    def fake_face(frames: np.ndarray) -> Face:
        closure = np.zeros((100, 53), np.float32)
        for number in range(blinks if frames.max() == 1 else 1):
            closure[20 + 30 * number : 25 + 30 * number] = 1
        return Face(0.0, np.zeros((100, 3), np.float32), closure)

    monkeypatch.setattr(claims, "made", fake_made)
    monkeypatch.setattr(claims, "face", fake_face)
    assert claims.blink_claim(None, clips).verdict == "pass"  # type: ignore[arg-type]
    assert seeds == [0, 1, 2]
    blinks = 2
    assert claims.blink_claim(None, clips).verdict == "fail"  # type: ignore[arg-type]


def test_blinks_are_counted_in_closures() -> None:
    closure = np.zeros(100)
    for middle in (20, 50, 80):
        closure[middle - 2 : middle + 3] = (0.5, 0.9, 1.0, 0.9, 0.5)
    assert blinks_of(closure) == pytest.approx(3 / 4, rel=0.05)
    assert blinks_of(np.zeros(100)) == 0


@pytest.mark.parametrize("told", [False, True])
def test_true_frames_are_remade_one_for_one(dawn: Dawn, clips: list[Held], told: bool) -> None:
    marks = truth_of(clips[0].clip).landmarks68 if told else None

    def remade(count: int) -> np.ndarray:
        return reconstructed(dawn, Held(clips[0].clip, clips[0].frames[:count], clips[0].sound), marks)

    whole = remade(27)
    assert whole.shape == (27, 128, 128, 3) and whole.dtype == np.uint8
    assert np.array_equal(whole[:25], remade(25))


def test_at_once_and_blocks_are_timed_on_the_same_clip(dawn: Dawn, request_: Request) -> None:
    found = claims.seconds_per_frame(dawn, replace(request_, frames=3), rounds=1)
    assert set(found) == {"at once", f"in blocks of {TRAINED}", "in blocks of 1"}
    assert all(value > 0 for value in found.values())
