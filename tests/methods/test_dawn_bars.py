"""What DAWN's shipped weights reach on people whom they never saw.

The long form generates one clip of each person of the test split and compares it with the real one, with a still of it
and with its sound exchanged, and puts the paper's claims to the test; the short form reads the cards that the
trainings' evaluation wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.common.judging import Held, Judged, fvd, judge, made, one_of_each, read_held
from thbench_methods.dawn.bundle import A2V_FILE, LFG_FILE, PBNET_FILE
from thbench_methods.dawn.claims import (
    LONG_SECONDS,
    PEOPLE,
    blink_claim,
    length_claims,
    one_pass,
    pace_claim,
    speed_claim,
)
from thbench_methods.dawn.pipeline import Dawn

from thbench.data.synth_heads.dataset import clips_of
from thbench.report.claims import Claim
from thbench.stats import mean_estimate
from thbench.training import Card, Score

SHARES = {"LSE-C (mini)": 0.5, "identity (mini)": 0.85}


def scores(file: Path) -> dict[str, Score]:
    card = Card.model_validate_json(file.with_suffix(".json").read_bytes())
    return {score.name: score for score in card.scores}


@pytest.mark.parametrize("file", [LFG_FILE, A2V_FILE], ids=["flow", "whole"])
@pytest.mark.parametrize("name", list(SHARES))
def test_the_cards_tell_every_bar_and_hold_it(file: Path, name: str) -> None:
    told = scores(file)[f"{name}, share of real"]
    assert told.bar == f">= {SHARES[name]}" and told.people == 24 and told.value >= SHARES[name]


def test_weights_are_small() -> None:
    assert sum(file.stat().st_size for file in (LFG_FILE, A2V_FILE, PBNET_FILE)) < 6_000_000


@pytest.fixture(scope="module")
def clips() -> Iterator[list[Held]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield list(read_held(one_of_each(clips_of())))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def method() -> Dawn:
    return Dawn("mini")


@pytest.fixture(scope="module")
def real(clips: list[Held]) -> list[Judged]:
    return [judge(held, held.frames) for held in clips]


@pytest.fixture(scope="module")
def stills(clips: list[Held]) -> list[Judged]:
    return [judge(held, np.repeat(held.frames[:1], len(held.frames), axis=0)) for held in clips]


@pytest.fixture(scope="module")
def generated(method: Dawn, clips: list[Held]) -> list[Judged]:
    return [judge(held, made(method, held.request())) for held in clips]


@pytest.mark.full
def test_lips_beat_a_still_and_real_lips_with_anothers_speech(
    clips: list[Held], stills: list[Judged], generated: list[Judged]
) -> None:
    shuffled = [judge(held, held.frames, other.sound) for held, other in zip(clips, clips[1:] + clips[:1], strict=True)]
    found, *others = (
        mean_estimate([row.lse_c for row in rows], [row.person for row in rows]).interval
        for rows in (generated, stills, shuffled)
    )
    assert found is not None
    assert all(other is not None and found.low > other.high for other in others)


@pytest.mark.full
def test_videos_are_nearer_to_real_ones_than_stills_are(
    real: list[Judged], stills: list[Judged], generated: list[Judged]
) -> None:
    assert fvd(generated, real) < fvd(stills, real)


@pytest.mark.full
def test_shares_of_real_clips(real: list[Judged], generated: list[Judged]) -> None:
    for name, least in {"lse_c": 0.5, "similarity": 0.85}.items():
        share = np.mean([getattr(row, name) for row in generated]) / np.mean([getattr(row, name) for row in real])
        assert share >= least


@pytest.mark.full
def test_a_clip_is_denoised_in_one_pass(method: Dawn, clips: list[Held]) -> None:
    assert one_pass(method, clips[0].request()).verdict == "pass"


@pytest.fixture(scope="module")
def long(method: Dawn, clips: list[Held]) -> dict[float, tuple[Claim, Claim]]:
    found = length_claims(method, clips[:PEOPLE])
    return dict(zip(LONG_SECONDS, zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.full
@pytest.mark.parametrize("seconds", LONG_SECONDS)
def test_long_clips_speak_as_well_as_those_of_trained_length(
    long: dict[float, tuple[Claim, Claim]], seconds: float
) -> None:
    assert long[seconds][0].verdict == "pass"


@pytest.mark.full
@pytest.mark.parametrize("seconds", LONG_SECONDS)
def test_identity_does_not_drift(long: dict[float, tuple[Claim, Claim]], seconds: float) -> None:
    assert long[seconds][1].verdict == "pass"


@pytest.mark.full
def test_blinks_come_as_often_as_in_real_clips(method: Dawn, clips: list[Held]) -> None:
    assert blink_claim(method, clips).verdict == "pass"


@pytest.mark.full
def test_all_at_once_is_faster_than_block_by_block(method: Dawn, clips: list[Held]) -> None:
    assert speed_claim(method, clips[0].request()).verdict == "pass"


@pytest.mark.full
def test_eight_frames_a_second_on_two_cores(method: Dawn, clips: list[Held]) -> None:
    assert pace_claim(method, clips[0].request()).verdict == "pass"
