"""What DreamTalk's shipped weights reach on people whom they never saw.

The long form generates one clip of each person of the test split and compares it with the real one, with a still of it
and with its sound exchanged; the short form reads the cards that the trainings' evaluation wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.common.claims import above
from thbench_methods.common.judging import BARS, Held, Judged, fvd, judge, made, one_of_each, read_held
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


def test_the_card_tells_every_bar_and_holds_it() -> None:
    told = {bar: scores(SPEAKING_FILE)[f"{bar}, share of real"] for bar in BARS}
    assert {bar: score.bar for bar, score in told.items()} == BARS
    assert {score.people for score in told.values()} == {24}
    assert told["LSE-C (mini)"].value >= 0.6
    assert told["identity (mini)"].value >= 0.85
    assert 0.3 <= told["pose diversity (mini)"].value <= 2


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


@pytest.fixture(scope="module")
def clips() -> Iterator[list[Held]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield list(read_held(one_of_each(clips_of())))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def real(clips: list[Held]) -> list[Judged]:
    return [judge(held, held.frames) for held in clips]


@pytest.fixture(scope="module")
def generated(clips: list[Held]) -> list[Judged]:
    method = DreamTalk("mini")
    return [judge(held, made(method, held.request())) for held in clips]


@pytest.mark.full
def test_lips_beat_a_still_and_real_lips_with_anothers_speech(
    clips: list[Held], real: list[Judged], generated: list[Judged]
) -> None:
    stills = [judge(held, np.repeat(held.frames[:1], len(held.frames), axis=0)) for held in clips]
    shuffled = [judge(held, held.frames, other.sound) for held, other in zip(clips, clips[1:] + clips[:1], strict=True)]
    found, *others = (
        mean_estimate([row.lse_c for row in rows], [row.person for row in rows]).interval
        for rows in (generated, stills, shuffled)
    )
    assert found is not None
    assert all(other is not None and found.low > other.high for other in others)
    assert fvd(generated, real) < fvd(stills, real)


@pytest.mark.full
def test_shares_of_real_clips(real: list[Judged], generated: list[Judged]) -> None:
    share = {
        name: np.mean([getattr(row, name) for row in generated]) / np.mean([getattr(row, name) for row in real])
        for name in ("lse_c", "similarity", "pose_diversity")
    }
    assert share["lse_c"] >= 0.6
    assert share["similarity"] >= 0.85
    assert 0.3 <= share["pose_diversity"] <= 2


@pytest.mark.full
def test_strong_guidance_costs_sync(clips: list[Held]) -> None:
    scaled = guidance(DreamTalk("mini"), clips)
    fall = mean_estimate((scaled.sync[:, 0] - scaled.sync[:, 2]).tolist(), scaled.people)
    assert above(fall) == "pass"


@pytest.mark.full
def test_results_of_one_style_are_alike(clips: list[Held]) -> None:
    assert style_consistency(DreamTalk("mini"), clips).area.value >= 0.9


@pytest.mark.full
@pytest.mark.xfail(
    strict=True, reason="0.70: a third of the clip's emotion is seen in a rendered face of another person"
)
def test_results_are_like_their_style_clip(clips: list[Held]) -> None:
    assert style_similarity(DreamTalk("mini"), clips).like.area.value >= 0.9


@pytest.mark.full
def test_style_is_predicted_of_speech_and_portrait() -> None:
    assert above(style_prediction(DreamTalk("mini"), list(read_held(clips_of()))).area, 0.5) == "pass"
