"""What the shipped face regressor and SyncNet are worth on the embedded test split: people whom they never saw.

Short forms here, on a clip of every other person; all clips, as on the training cards, run with `--full`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from thbench.backbones.mini import loaded
from thbench.backbones.mini.digests import digest, mark, weights_folder
from thbench.backbones.mini.train import face_scores, sync_scores
from thbench.data.synth_heads.dataset import clips_of
from thbench.training import Card, Score
from thbench.types import Clip

NAMES = ("face", "sync")


def card(name: str) -> Card:
    return Card.model_validate_json((weights_folder() / f"{name}.json").read_text(encoding="utf-8"))


def met(score: Score) -> bool:
    sign, bar = score.bar.split()
    return score.value <= float(bar) if sign == "<=" else score.value >= float(bar)


def unmet(scores: Sequence[Score]) -> dict[str, float]:
    return {s.name: round(s.value, 4) for s in scores if s.bar and not met(s)}


def few() -> tuple[Clip, ...]:
    clips = clips_of()
    people = sorted({c.identity for c in clips})[::2]
    return tuple(next(c for c in clips if c.identity == person) for person in people)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_is_small_and_has_a_card(name: str) -> None:
    data = (weights_folder() / f"{name}.safetensors").read_bytes()
    told = card(name)
    assert len(data) == told.bytes < 4e6
    assert hashlib.sha256(data).hexdigest() == told.sha256 == digest(name)
    assert told.curve[-1].step == told.recipe.steps
    assert told.curve[-1].values["loss"] < told.curve[0].values["loss"]
    assert all(s.people == 24 for s in told.scores)
    assert told.title in (weights_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert mark(name).startswith("mini-")


@pytest.fixture(scope="module")
def seen() -> tuple[Score, ...]:
    return face_scores.evaluate(loaded.face(), few())


@pytest.fixture(scope="module")
def heard() -> tuple[Score, ...]:
    return sync_scores.evaluate(loaded.sync(), sync_scores.read_spoken(few()))


def test_faces_of_strangers_are_measured_as_the_card_says(seen: tuple[Score, ...]) -> None:
    told = {s.name: s for s in card("face").scores}
    for score in seen:
        # A quarter of the clips: their interval and that of all of them have values in common.
        assert score.low <= told[score.name].high and told[score.name].low <= score.high, score.name


def test_pose_blinks_and_presence_of_strangers(seen: tuple[Score, ...]) -> None:
    assert not {"yaw", "pitch", "roll"} & set(unmet(seen))
    assert next(s for s in seen if s.name == "presence").value > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_all_strangers_together_are_within_the_bars(name: str) -> None:
    """The bars are for all 24 people; the long form shows that the card is true of them."""
    assert not unmet(card(name).scores)


def test_offsets_of_strangers(heard: tuple[Score, ...]) -> None:
    assert not unmet(heard)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_the_cards_are_true_of_all_clips(name: str) -> None:
    if name == "face":
        scores = face_scores.evaluate(loaded.face(), clips_of())
    else:
        scores = sync_scores.evaluate(loaded.sync(), sync_scores.read_spoken(clips_of()))
    told = {s.name: s.value for s in card(name).scores}
    assert {s.name: s.value for s in scores} == pytest.approx(told, rel=1e-3, abs=1e-3)


def test_blinks_are_paired_once() -> None:
    assert face_scores.matched([(10, 14), (40, 44)], [9, 45, 46]) == (2, 2, 3)
    assert face_scores.matched([(10, 14)], [12, 13]) == (1, 1, 2)
    assert face_scores.matched([], [5]) == (0, 0, 1)
    assert face_scores.f1([face_scores.Matched(2, 2, 3), face_scores.Matched(0, 1, 0)]) == pytest.approx(4 / 6)
    assert np.isnan(face_scores.f1([face_scores.Matched(0, 0, 0)]))


def test_moved_sound_keeps_its_length() -> None:
    sound = np.arange(1, 6401, dtype=np.int16)
    assert (sync_scores.moved(sound, 2)[1280:] == sound[:-1280]).all() and not sync_scores.moved(sound, 2)[:1280].any()
    assert (sync_scores.moved(sound, -2)[:-1280] == sound[1280:]).all()
    assert not sync_scores.moved(sound, -2)[-1280:].any()
    assert len(sync_scores.moved(sound, 100)) == len(sync_scores.moved(sound, -100)) == 6400
