"""How X-Actor's claims are measured: on methods whose answer is known."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.common.judging import Held, one_of_each, read_held
from thbench_methods.xactor import claims as subject
from thbench_methods.xactor.claims import (
    Distance,
    End,
    Ends,
    carried_bytes,
    driven,
    end_claims,
    ends_of,
    forcing_claims,
    identity_claim,
    inside,
    memory_claim,
    seen,
)
from thbench_methods.xactor.config import MINI
from thbench_methods.xactor.pipeline import XActor
from xactor_weights import random_mini

from thbench.data.synth_heads.dataset import clips_of
from thbench.stats import mean_estimate
from thbench.types import Audio, Generation, Request

LENGTH = 6


@pytest.fixture(scope="module")
def clips() -> list[Held]:
    chosen = list(read_held(one_of_each(clips_of())[:5]))
    return [replace(held, frames=held.frames[:24], sound=held.sound[:15_360]) for held in chosen]


class Replay:
    """Answers a portrait with its real frames, each as a function makes it of its number."""

    def __init__(self, clips: list[Held], change: Callable[[np.ndarray, int], np.ndarray] = lambda frame, _: frame):
        self.clips, self.change = clips, change

    def generate(self, request: Request, on_step: Any = None) -> Generation:
        (held,) = (held for held in self.clips if np.array_equal(held.frames[0], request.portrait))
        frames = (held.frames[k % len(held.frames)] for k in range(request.frames))
        return Generation(self.change(frame, number) for number, frame in enumerate(frames))


def fading(frame: np.ndarray, number: int) -> np.ndarray:
    """Each frame is a little greyer than the one before."""
    share = min(number / 24, 0.9)
    return np.uint8((1 - share) * frame + share * 128)


def ends(method: Any, clips: list[Held], frames: int = 24) -> list[Ends]:
    return [
        ends_of(method, Request(held.frames[0], Audio(held.sound, 16_000), 25.0, frames), held.clip.identity, LENGTH)
        for held in clips
    ]


@pytest.fixture(scope="module")
def real(clips: list[Held]) -> Distance:
    return Distance(np.concatenate([seen(list(held.frames), held.frames[0]).features for held in clips]))


@pytest.fixture(scope="module")
def steady(clips: list[Held]) -> list[Ends]:
    return ends(Replay(clips), clips)


@pytest.fixture(scope="module")
def drifting(clips: list[Held]) -> list[Ends]:
    return ends(Replay(clips, fading), clips)


def test_ends_are_the_first_and_the_last_frames(clips: list[Held], steady: list[Ends]) -> None:
    held = clips[0]
    for own, frames in ((steady[0].first, held.frames[:LENGTH]), (steady[0].last, held.frames[-LENGTH:])):
        expected = seen(list(frames), held.frames[0])
        assert own.similarity == pytest.approx(expected.similarity)
        np.testing.assert_allclose(own.features, expected.features, rtol=1e-4, atol=1e-5)
    assert seen([held.frames[0]], held.frames[0]).similarity == pytest.approx(1)
    with pytest.raises(ValueError, match="no two ends"):
        ends(Replay(clips), clips[:1], frames=2 * LENGTH - 1)


def test_what_fades_fails_and_what_does_not_passes(steady: list[Ends], drifting: list[Ends], real: Distance) -> None:
    # The same frames at both ends.
    still = [row._replace(last=row.first) for row in steady]
    assert [claim.verdict for claim in end_claims(still, real)] == ["pass", "pass"]
    assert [claim.verdict for claim in end_claims(drifting, real)] == ["fail", "fail"]


def test_the_rival_is_worse_only_where_it_is(steady: list[Ends], drifting: list[Ends], real: Distance) -> None:
    assert [claim.verdict for claim in forcing_claims(steady, drifting, real)] == ["pass", "pass"]
    assert [claim.verdict for claim in forcing_claims(drifting, steady, real)] == ["fail", "fail"]
    same = forcing_claims(steady, steady, real)
    assert [claim.verdict for claim in same] == ["cannot tell", "cannot tell"]
    assert all(claim.reason for claim in same)


def test_the_distance_and_its_difference_leave_out_people(
    steady: list[Ends], drifting: list[Ends], real: Distance
) -> None:
    first, last = ({row.person: getattr(row, which) for row in drifting} for which in ("first", "last"))
    assert real(last).value > real(first).value
    assert real.difference(last, first).value == pytest.approx(real(last).value - real(first).value)
    assert real(first).clusters == 5
    whole = {"a": End(1.0, real.real)}
    assert real(whole).value == pytest.approx(0, abs=1e-3)
    assert real(whole).interval is None


def test_the_end_may_be_better_but_not_worse_than_the_beginning() -> None:
    first = mean_estimate([0.8, 0.82, 0.78, 0.81], list("abcd"))
    assert first.interval is not None
    low, high = first.interval.low, first.interval.high
    assert inside(first, high + 0.1, higher_is_better=True) == "pass"
    assert inside(first, low - 0.01, higher_is_better=True) == "fail"
    assert inside(first, low - 0.1, higher_is_better=False) == "pass"
    assert inside(first, high + 0.01, higher_is_better=False) == "fail"
    assert inside(mean_estimate([0.8], ["a"]), 0.8, higher_is_better=True) == "cannot tell"


def test_memory_that_grows_is_found(clips: list[Held], steady: list[Ends]) -> None:
    kept: list[mmap.mmap] = []

    def hoarding(frame: np.ndarray, number: int) -> np.ndarray:
        # Pages of its own: an array may lie in memory that the process freed before, and then nothing grows.
        kept.append(mmap.mmap(-1, 2**22))
        kept[-1].write(bytes(2**22))
        return frame

    grown = ends(Replay(clips, hoarding), clips[:1])
    assert memory_claim(grown, (10, 10)).verdict == "fail"
    assert memory_claim([row._replace(grown=0.0) for row in steady], (10, 10)).verdict == "pass"
    assert memory_claim([row._replace(grown=0.0) for row in steady], (10, 11)).verdict == "fail"


def test_who_is_moved_as_another_stays_oneself_or_does_not(clips: list[Held]) -> None:
    stays = identity_claim(clips, lambda portrait, frames: np.repeat(portrait[None], len(frames), axis=0))
    assert stays.verdict == "pass"
    assert identity_claim(clips, lambda portrait, frames: frames).verdict == "fail"


def test_clips_are_drawn_anew_with_heads_that_rest(clips: list[Held]) -> None:
    held = clips[0]
    rested = subject.at_rest(held)
    assert rested.clip is held.clip and rested.sound is held.sound
    assert rested.frames.shape[1:] == held.frames.shape[1:]
    changes = np.abs(np.diff(rested.frames.astype(int), axis=0)).max(axis=(0, 3))
    assert changes[:12].max() == 0 and changes.max() > 30  # what is above the head rests, and a face moves


def test_without_the_rivals_weights_it_is_not_tested(
    clips: list[Held], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SECONDS", 2), ("END", 1), ("PEOPLE", 3)):
        monkeypatch.setattr(subject, name, value)
    with random_mini(tmp_path):
        method = XActor("mini")
    monkeypatch.setattr(
        subject, "ends_of", lambda method, request, person: Ends(person, End(0.9, RANDOM), End(0.8, RANDOM), 0.0)
    )
    monkeypatch.setattr(subject, "at_rest", lambda held: held)
    monkeypatch.setattr(subject, "identity_claim", lambda *_: subject._untested("nothing"))
    found = subject.claims(method, None, clips, {"acting_steps": 1})
    assert [claim.verdict for claim in found[-2:]] == ["not tested"] * 2
    assert "2 s" in found[0].statement
    # Long clips may be made in fewer steps than the preset's, and say so.
    assert [claim.variant for claim in found[:3]] == ["x-actor@mini, acting_steps 1"] * 3
    assert {claim.variant for claim in found[3:]} == {"x-actor@mini"}
    assert len({claim.statement for claim in found}) == len(found)


RANDOM = np.random.default_rng(0).normal(size=(30, 256)).astype(np.float32)


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XActor]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield XActor("mini")


def test_carried_bytes_are_those_of_the_chunks(method: XActor, clips: list[Held]) -> None:
    request = replace(clips[0].request(), controls={"acting_steps": 1})
    full = MINI.actor.context - 1 + len(MINI.acting.history)
    few, enough, more = (carried_bytes(method, request, chunks) for chunks in (1, full, full + 2))
    assert few < enough == more


def test_a_portrait_is_moved_as_a_clip(method: XActor, clips: list[Held], monkeypatch: pytest.MonkeyPatch) -> None:
    told = method.told
    monkeypatch.setattr(method, "told", lambda controls: replace(told(controls), steps=1))
    made = driven(method, clips[0].frames[0], clips[1].frames[:9])
    assert made.shape == (9, 128, 128, 3)
    other = driven(method, clips[0].frames[0], clips[2].frames[:9])
    assert not np.array_equal(made, other)
    assert torch.is_inference_mode_enabled() is False
