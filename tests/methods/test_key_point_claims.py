"""How the claims of KDTalker and MoDA are measured: on methods whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from thbench_methods.common.judging import one_of_each, read_held
from thbench_methods.kdtalker.claims import attention, diversity
from thbench_methods.moda.claims import emotion, steps

from thbench.data.synth_heads.dataset import clips_of
from thbench.types import Generation


@pytest.fixture(scope="module")
def clips():
    return [
        replace(held, frames=held.frames[:24], sound=held.sound[:15_360])
        for held in read_held(one_of_each(clips_of())[:8])
    ]


class Replay:
    """Answers a portrait with its real clip, or with what a function makes of that and of the request."""

    def __init__(self, clips, change=lambda frames, request: frames):
        self.clips, self.change = clips, change

    def generate(self, request):
        (held,) = (held for held in self.clips if np.array_equal(held.frames[0], request.portrait))
        return Generation(iter(self.change(held.frames, request)))


def still(frames, request):
    return np.repeat(frames[:1], len(frames), axis=0)


def test_real_clips_are_as_diverse_as_real_clips_and_no_seed_differs(clips):
    ratio, spread = diversity(Replay(clips), clips)
    assert ratio.measured.split(": ")[1].startswith("1 (") and spread.measured.split(": ")[1].startswith("0 degrees")
    assert (ratio.verdict, spread.verdict) == ("cannot tell", "cannot tell")


def test_seeds_that_differ_and_stills_are_told(clips):
    shifted = Replay(clips, lambda frames, request: np.roll(frames, request.seed * 3, axis=0))
    assert diversity(shifted, clips)[1].verdict == "pass"
    assert diversity(Replay(clips, still), clips)[0].verdict == "fail"


def test_lips_that_stand_still_sync_less(clips):
    claim = attention(Replay(clips), Replay(clips, still), clips)
    assert claim.verdict == "pass" and "fall" in claim.measured
    assert attention(Replay(clips, still), Replay(clips), clips).verdict == "fail"


def test_few_steps_fail_where_they_lose_lips_and_pass_where_nothing_changes(clips):
    assert [claim.verdict for claim in steps(Replay(clips), clips)] == ["pass", "pass"]
    lost = Replay(clips, lambda frames, request: still(frames, request) if request.controls["steps"] == 10 else frames)
    sync, same = steps(lost, clips)
    assert (sync.verdict, same.verdict) == ("fail", "pass")


def test_an_emotion_that_changes_nothing_is_not_passed(clips):
    assert emotion(Replay(clips), clips).verdict != "pass"
