"""Head, gaze, lids and brows follow intent, emotion, prosody and habit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synth_helpers import babble

from thbench.data.synth_heads.behaviour import INTENTS, Cue, body
from thbench.data.synth_heads.emotion import EMOTIONS, RECIPES
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.performance import perform, quantised
from thbench.data.synth_heads.person import stream
from thbench.data.synth_heads.style import STYLE_NAMES, make_style

TIMES = np.arange(100) / 25
CALM = replace(make_style(0), head_range=0.0, accent_nods=0.0, sway=0.0, gaze_wander=0.0, turned=0.0, tilted=0.0)


def acted(intent="none", emotion="neutral", level=1, style=CALM, seed=0, accents=()):
    return body(stream(1, seed), style, Cue(4.0, accents, (0.3, 3.6), emotion, level, intent), TIMES)


def turns(values):
    """How often a signal changes direction by a real amount."""
    step = np.sign(np.diff(values)) * (np.abs(np.diff(values)) > 0.3)
    step = step[step != 0]
    return int((np.diff(step) != 0).sum())


@pytest.mark.parametrize(("intent", "axis"), [("nod", 1), ("shake", 0), ("tilt", 2), ("look away", 0)])
def test_an_intent_moves_its_axis_within_its_window(intent, axis):
    moved = acted(intent)
    begin, end = moved.gesture
    inside = (begin <= TIMES) & (end >= TIMES)
    size = np.ptp(moved.pose[inside, axis])
    assert size > 5
    assert np.ptp(moved.pose[~inside], axis=0)[axis] < 0.2 * size
    others = [a for a in (0, 1, 2) if a != axis]
    assert np.ptp(moved.pose[:, others], axis=0).max() < size


def test_nods_and_shakes_go_back_and_forth_and_tilts_do_not():
    assert turns(acted("nod").pose[:, 1]) >= 3
    assert turns(acted("shake").pose[:, 0]) >= 3
    assert turns(acted("tilt").pose[:, 2]) <= 1


def test_looking_away_takes_the_eyes_along():
    moved = acted("look away")
    straight = acted("none")
    world = moved.gaze[:, 0] + moved.pose[:, 0]
    assert np.abs(world).max() > 15
    assert np.abs(straight.gaze[:, 0] + straight.pose[:, 0]).max() < 1e-6


def test_no_intent_has_no_gesture():
    assert acted("none").gesture is None
    assert set(INTENTS) >= {"none", "nod", "shake", "tilt", "look away"}


def test_accents_nod_down_into_the_syllable():
    style = replace(CALM, accent_nods=1.0)
    pose = acted(style=style, accents=(2.0,)).pose[:, 1]
    assert np.argmin(pose - pose[0]) == pytest.approx(50, abs=4)
    assert pose.min() < pose[0] - 0.5


def test_blinks_shut_the_lids_when_they_say():
    style = replace(CALM, blink_rate=34.0)
    moved = next(m for m in (acted(style=style, seed=s) for s in range(20)) if m.blinks)
    for moment in moved.blinks:
        assert moved.blink[np.abs(TIMES - moment) < 0.03].max() > 0.8
    far = np.min(np.abs(TIMES[:, None] - np.array(moved.blinks)), axis=1) > 0.35
    assert moved.blink[far].max() == 0


def test_clips_of_one_person_move_differently_and_repeat_exactly():
    style = make_style(7)
    a, b, again = (acted(style=style, seed=s) for s in (1, 2, 1))
    assert np.abs(a.pose - b.pose).max() > 2
    assert np.array_equal(a.pose, again.pose)


def test_habits_differ_between_people_and_are_all_named():
    styles = [make_style(s).as_dict() for s in range(40)]
    assert set(styles[0]) == set(STYLE_NAMES)
    assert all(np.std([s[name] for s in styles]) > 0 for name in STYLE_NAMES)


@pytest.mark.parametrize("emotion", [e for e in EMOTIONS if e != "neutral"])
def test_emotions_grow_with_their_level(emotion):
    assert set(RECIPES[emotion].face) <= set(EXPRESSIONS)
    size = []
    for level in (1, 2, 3):
        face = perform(babble(), CALM, emotion, level, "none", seed=3, seconds=2.0, fps=25).motion.expression
        plain = perform(babble(), CALM, "neutral", 1, "none", seed=3, seconds=2.0, fps=25).motion.expression
        names = [EXPRESSIONS.index(n) for n in RECIPES[emotion].face if n != "jawOpen"]
        size.append(float((face - plain)[:, names].mean()))
    assert 0 < size[0] < size[1] < size[2]


def test_a_performance_is_silent_and_shut_outside_its_speech():
    played = perform(babble(), CALM, "neutral", 1, "none", seed=5, seconds=2.0, fps=25)
    first, last = played.phonemes[0].start, played.phonemes[-1].end
    rate = played.audio.rate
    assert not played.audio.samples[: round(first * rate) - 1].any()
    assert not played.audio.samples[round(last * rate) + 1 :].any()
    jaw = played.motion.expression[:, EXPRESSIONS.index("jawOpen")]
    times = np.arange(len(jaw)) / 25
    assert jaw[(times < first - 0.12) | (times > last + 0.15)].max() < 0.06
    assert jaw[(times > first) & (times < last)].max() > 0.25


def test_beats_are_the_stressed_vowels():
    played = perform(babble(), CALM, "neutral", 1, "none", seed=5, seconds=2.0, fps=25)
    stressed = [p for p in played.phonemes if "ˈ" in p.ipa]
    assert all(any(p.start <= b <= p.end for b in played.beats) for p in stressed)
    assert all(any(p.start <= b <= p.end for p in stressed) for b in played.beats)


def test_stored_steps_are_reached_exactly():
    motion = perform(babble(), make_style(3), "happy", 2, "nod", seed=1, seconds=2.0, fps=25).motion
    again = quantised(motion)
    assert np.array_equal(motion.pose, again.pose) and np.array_equal(motion.expression, again.expression)
