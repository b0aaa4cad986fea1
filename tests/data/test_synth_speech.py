"""Sentences, visemes, coarticulation, and the synthesiser's times."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import numpy as np
import pytest
from synth_helpers import SOUNDS, babble

from thbench.data.synth_heads.speech import sentences, visemes
from thbench.data.synth_heads.speech.espeak import Phoneme, Voice, say


@pytest.mark.parametrize(
    ("ipa", "expected"),
    [
        ("m", ("p",)), ("ˈaɪ", ("a", "i")), ("oʊ", ("o", "u")), ("tʃ", ("S",)), ("θ", ("T",)), ("f", ("f",)),
        ("ˈiː", ("i",)), ("ŋ", ("k",)), ("w", ("u",)), ("ɹ", ("r",)), ("", ()), ("ʔ", ("k",)), ("dʒ", ("S",)),
    ],
)  # fmt: skip
def test_sounds_have_their_visemes(ipa, expected):
    assert visemes.visemes_of(ipa) == expected


def test_gestures_cover_the_clip_without_gaps():
    line = visemes.gestures(babble().phonemes, 3.0)
    assert line[0].start == 0 and line[-1].end == 3.0
    assert all(a.end == pytest.approx(b.start) for a, b in pairwise(line))
    assert sum(g.stress == 1 for g in line) == sum("ˈ" in s for s in SOUNDS) + 1  # oʊ is two vowels


def test_no_speech_is_silence():
    line = visemes.gestures((), 1.0)
    assert {g.viseme for g in line} == {"silence"}
    assert np.allclose(visemes.articulate(line, np.linspace(0, 1, 5)), 0)


def test_lips_meet_on_every_closure_and_open_on_vowels():
    phonemes = babble().phonemes
    line = visemes.gestures(phonemes, 1.4)
    seal, jaw = (visemes.ARTICULATORS.index(n) for n in ("seal", "jaw"))
    for sound in phonemes:
        middle = visemes.articulate(line, np.array([0.5 * (sound.start + sound.end)]))[0]
        if sound.ipa in ("m", "p", "b"):
            assert middle[seal] > 0.75
        if "a" in sound.ipa:
            assert middle[seal] < 0.3 and middle[jaw] > 0.5


def test_neighbours_colour_a_sound():
    # The lips round for u already during the s before it, and do not for the s before i.
    def rounding(vowel):
        line = visemes.gestures((Phoneme("s", 0.2, 0.32), Phoneme(vowel, 0.32, 0.5)), 0.7)
        return visemes.articulate(line, np.array([0.29]))[0, visemes.ARTICULATORS.index("round")]

    assert rounding("uː") > rounding("iː") + 0.15


def test_articulation_is_continuous_and_bounded():
    line = visemes.gestures(babble().phonemes, 1.5)
    path = visemes.articulate(line, np.arange(0, 1.5, 0.001))
    assert path.min() >= 0 and path.max() <= 1
    assert np.abs(np.diff(path, axis=0)).max() < 0.06
    shares = visemes.activations(line, np.arange(0, 1.5, 0.04))
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_grammars_are_complete(language):
    rng = np.random.default_rng(0)
    texts = {sentences.sentence(rng, language) for _ in range(300)}
    assert len(texts) > 150
    assert all(not re.search(r"[{}]", t) for t in texts)
    grammar = sentences.LANGUAGES[language]
    used = {slot for words in grammar.values() for w in words for slot in re.findall(r"\{(\w+)\}", w)}
    assert used <= set(grammar)


def test_the_split_of_a_sentence_is_its_own():
    rng = np.random.default_rng(1)
    drawn = [sentences.sentence(rng) for _ in range(2000)]
    share = {s: np.mean([sentences.split_of(t) == s for t in drawn]) for s in sentences.SPLITS}
    assert 0.07 < share["test"] < 0.13 and 0.07 < share["validation"] < 0.13
    assert all(sentences.split_of(t.upper()) == sentences.split_of(t) for t in drawn[:50])


TEXT = "My brother bought a big blue boat."


@pytest.fixture(scope="module")
def spoken():
    pytest.importorskip("espeakng_loader", reason="speech needs the extra `synth`")
    return say(TEXT, Voice("en-us+f3", 165, 50, 50))


def test_equal_requests_give_equal_sound_in_whatever_second_of_the_clock(spoken):
    time.sleep(1.1 - time.time() % 1)
    again = say(TEXT, Voice("en-us+f3", 165, 50, 50))
    assert np.array_equal(spoken.audio.samples, again.audio.samples)
    assert spoken.phonemes == again.phonemes
    other = say(TEXT, Voice("en-us+m3", 150, 30, 50))
    assert len(other.audio.samples) != len(spoken.audio.samples)


def test_phonemes_cover_the_sound_and_silence_lies_outside(spoken):
    phonemes, samples = spoken.phonemes, spoken.audio.samples
    assert all(a.end == pytest.approx(b.start) for a, b in pairwise(phonemes))
    peak = np.abs(samples).max()
    before, after = round(phonemes[0].start * 16000), round(phonemes[-1].end * 16000)
    assert np.abs(samples[: max(before - 16, 0)]).max(initial=0) < 0.02 * peak
    assert np.abs(samples[after + 160 :]).max(initial=0) < 0.05 * peak
    assert phonemes[-1].end <= spoken.audio.duration + 1e-3


def test_plosives_are_quiet_and_vowels_loud(spoken):
    def level(p):
        part = spoken.audio.samples[round((p.start + 0.25 * (p.end - p.start)) * 16000) : round(p.end * 16000)]
        return float(np.sqrt(np.mean(part**2)))

    vowels = [level(p) for p in spoken.phonemes if "ˈ" in p.ipa]
    closures = [level(p) for p in spoken.phonemes if p.ipa in ("b", "p", "t", "k")]
    assert np.median(vowels) > 1.3 * np.median(closures)


def test_an_unknown_voice_is_refused_by_name():
    pytest.importorskip("espeakng_loader", reason="speech needs the extra `synth`")
    from thbench.errors import UsageError

    with pytest.raises(UsageError, match="xx-nowhere"):
        say("hello", Voice("xx-nowhere", 150, 50, 50))
