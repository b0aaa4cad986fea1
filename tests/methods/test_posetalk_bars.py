"""The claims of PoseTalk's paper, put to the test on people whom its shipped weights never saw.

The long form generates clips of the test split; the short form reads the cards.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from held_out import HeldOut
from thbench_methods.posetalk.bundle import POSE_FILE, VIDEO_FILE
from thbench_methods.posetalk.claims import ASKED, LEAST, action_claims, lip_claims, realness_claim, speed_claim
from thbench_methods.posetalk.pipeline import PoseTalk

from thbench.training import Card, Score


def scores(file: Path) -> dict[str, Score]:
    card = Card.model_validate_json(file.with_suffix(".json").read_bytes())
    return {score.name: score for score in card.scores}


@pytest.mark.parametrize("action", ASKED)
def test_the_card_of_pose_tells_every_bar_and_holds_it(action: str) -> None:
    for what in ("precision", "recall"):
        told = scores(POSE_FILE)[f"{action}: {what}"]
        assert told.bar == f">= {LEAST}" and told.value >= LEAST


def test_weights_are_small() -> None:
    assert POSE_FILE.stat().st_size + VIDEO_FILE.stat().st_size < 6_000_000


@pytest.fixture(scope="module")
def method() -> PoseTalk:
    return PoseTalk("mini")


@pytest.mark.full
def test_prompts_are_followed(method: PoseTalk, held_out: HeldOut) -> None:
    assert {
        claim.statement: claim.verdict for claim in action_claims(method, held_out.clips) if claim.verdict != "pass"
    } == {}


UNCLEAR = "113 for text and sound, 109 for text, 121 for sound: not told apart; the distance sees no sound beside pose"


@pytest.mark.full
@pytest.mark.xfail(strict=True, reason=UNCLEAR)
def test_pose_of_text_and_sound_is_more_real_than_of_either(method: PoseTalk, held_out: HeldOut) -> None:
    assert realness_claim(method, held_out.clips).verdict == "pass"


@pytest.mark.full
def test_lips_are_little_of_a_plain_loss_and_refinement_brings_them_nearer(method: PoseTalk, held_out: HeldOut) -> None:
    share, gain = lip_claims(method, held_out.clips)
    assert share.verdict != "fail"  # 0.040, with the paper's bound of 0.04 inside the interval
    assert gain.verdict == "pass"


@pytest.mark.full
def test_eight_frames_a_second_on_two_cores(method: PoseTalk, held_out: HeldOut) -> None:
    assert speed_claim(method, held_out.clips[0]).verdict == "pass"
