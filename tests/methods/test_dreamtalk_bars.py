"""What is DreamTalk's own of what its shipped weights reach on people whom they never saw: renderer and styles.

The long form generates clips of the test split; the short form reads the cards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from held_out import HeldOut
from thbench_methods.common.claims import above
from thbench_methods.common.judging import read_held
from thbench_methods.dreamtalk.bundle import PREDICTOR_FILE, RENDERER_FILE, SPEAKING_FILE
from thbench_methods.dreamtalk.claims import (
    Ranked,
    Scaled,
    Styled,
    guidance,
    stated,
    style_consistency,
    style_prediction,
    style_similarity,
)
from thbench_methods.dreamtalk.pipeline import DreamTalk
from thbench_methods.dreamtalk.scores import DRIVEN_BARS

from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.emotion import EMOTIONS
from thbench.stats import mean_estimate
from thbench.training import Card, Score


def scores(file: Path) -> dict[str, Score]:
    card = Card.model_validate_json(file.with_suffix(".json").read_bytes())
    return {score.name: score for score in card.scores}


def test_the_renderer_holds_its_bars() -> None:
    told = {bar: scores(RENDERER_FILE)[f"{bar}, share of real"] for bar in DRIVEN_BARS}
    assert told["LSE-C (mini)"].value >= 0.6
    assert told["identity (mini)"].value >= 0.85


def test_the_card_holds_the_bar_of_style_among_generations() -> None:
    assert scores(SPEAKING_FILE)["style similarity of generations"].value >= 0.9


@pytest.mark.xfail(
    strict=True, reason="0.70: a third of the clip's emotion is seen in a rendered face of another person"
)
def test_the_card_holds_the_bar_of_style_beside_the_clip() -> None:
    assert scores(SPEAKING_FILE)["style similarity to the clip"].value >= 0.9


def test_the_card_tells_that_the_style_clip_decides_the_emotion() -> None:
    score = scores(SPEAKING_FILE)["emotion of the style clip"]
    assert score.low is not None and score.low > 1 / len(EMOTIONS)


def test_the_card_holds_the_bar_of_predicted_style() -> None:
    score = scores(PREDICTOR_FILE)["style retrieval"]
    assert score.low is not None and score.low > 0.5


def test_claims_follow_from_what_was_found() -> None:
    people = tuple("abcdef")
    all_alike = Ranked((0.99, 0.98, 0.97, 0.99, 0.98, 0.97), people)
    chance = Ranked((0.5, 0.4, 0.6, 0.5, 0.45, 0.55), people)
    away = np.array([[0.1, 0.2, 0.3]] * 6) + np.linspace(0, 0.01, 6)[:, None] * [0, 1, 2]
    sync = np.array([[4.0, 3.5, 3.0]] * 6) + np.linspace(0, 0.1, 6)[:, None] * [2, 1, 0]
    scaled = Scaled(away, sync, people)
    styled = Styled(chance, (1.0, 0.0), (1.0, 1.0))
    claims = stated(all_alike, styled, chance, scaled)
    assert "50 %" in claims[1].reason
    assert [claim.verdict for claim in claims] == ["pass", "fail", "cannot tell", "pass", "pass"]


@pytest.mark.full
def test_strong_guidance_costs_sync(held_out: HeldOut) -> None:
    scaled = guidance(DreamTalk("mini"), held_out.clips)
    fall = mean_estimate((scaled.sync[:, 0] - scaled.sync[:, 2]).tolist(), scaled.people)
    assert above(fall) == "pass"


@pytest.mark.full
def test_results_of_one_style_are_alike(held_out: HeldOut) -> None:
    assert style_consistency(DreamTalk("mini"), held_out.clips).area.value >= 0.9


@pytest.mark.full
@pytest.mark.xfail(
    strict=True, reason="0.70: a third of the clip's emotion is seen in a rendered face of another person"
)
def test_results_are_like_their_style_clip(held_out: HeldOut) -> None:
    assert style_similarity(DreamTalk("mini"), held_out.clips).like.area.value >= 0.9


@pytest.mark.full
def test_style_is_predicted_of_speech_and_portrait() -> None:
    assert above(style_prediction(DreamTalk("mini"), list(read_held(clips_of()))).area, 0.5) == "pass"
