"""Plans of the splits: nobody and nothing is shared, and prefixes stay."""

from __future__ import annotations

import pytest

from thbench.data.synth_heads.behaviour import INTENT_TEXT, INTENTS
from thbench.data.synth_heads.emotion import EMOTIONS
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.plan import CLIPS, PEOPLE, SPLITS, describe, plan
from thbench.data.synth_heads.truth import identity_vector


@pytest.fixture(scope="module")
def plans():
    return {split: [plan(split, i) for i in range(CLIPS[split])] for split in SPLITS}


def test_no_identity_and_no_sentence_is_shared(plans):
    for field in ("identity", "text", "seed", "id"):
        sets = [{getattr(p, field) for p in plans[s]} for s in SPLITS]
        assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2]), field


def test_single_sentences_of_longer_clips_are_not_shared_either():
    def sentences(split):
        texts = [plan(split, i, 10.0).text for i in range(60)]
        return {s for t in texts for s in t.replace("?", ".").split(".") if s.strip()}

    train, test = sentences("train"), sentences("test")
    assert not train & test


def test_the_test_split_is_as_promised(plans):
    assert len(plans["test"]) == 48
    assert len({p.identity for p in plans["test"]}) == PEOPLE["test"] == 24
    assert {p.emotion for p in plans["test"]} == set(EMOTIONS)
    assert {p.intent for p in plans["test"]} == set(INTENTS)
    assert {p.language for p in plans["test"]} == {"en", "de", "fr", "es"}
    assert {p.level for p in plans["test"]} == {1, 2, 3}


def test_train_covers_people_emotions_and_intents_evenly(plans):
    train = plans["train"]
    per_person = {}
    for p in train:
        per_person.setdefault(p.person, set()).add(p.emotion)
    assert min(len(e) for e in per_person.values()) >= 6
    counts = [sum(p.intent == i for p in train) for i in INTENTS]
    assert max(counts) < 1.3 * min(counts)


def test_people_differ_and_repeat():
    vectors = [identity_vector(s) for s in range(30)]
    assert vectors[3] == identity_vector(3)
    assert len({tuple(v.values()) for v in vectors}) == 30
    assert len({make_person(s).hair for s in range(60)}) > 8
    share = sum(make_person(s).feminine > 0.5 for s in range(300)) / 300
    assert 0.35 < share < 0.65


def test_the_prompt_says_what_the_clip_shows(plans):
    for p in plans["test"]:
        text = describe(make_person(p.person), p)
        assert INTENT_TEXT[p.intent] in text
        assert ("neutral" in text) == (p.emotion == "neutral")
