"""FLAP's claims: what is asked, what is measured, and what follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thbench_methods.flap import claims as module
from thbench_methods.flap.claims import (
    ANGLES,
    ASIDE,
    BLINK_SECONDS,
    BLINKS,
    Crossed,
    Read,
    angle_claim,
    angle_errors,
    below,
    blink_claim,
    blink_rates,
    crossed,
    effects_of,
    independence_claims,
    most_different,
)

from thbench.backbones.mini.face import Seen
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.stats import mean_estimate
from thbench.types import Audio, Generation, Request

PEOPLE = tuple("abcdefgh")
SMILE, BLINK = EXPRESSIONS.index("mouthSmileLeft"), EXPRESSIONS.index("eyeBlinkLeft")


class Held:
    """A clip whose frames are its number."""

    def __init__(self, number: int) -> None:
        self.clip = type("Clip", (), {"path": f"clip/{number}", "identity": PEOPLE[number]})()
        self.frames = np.full((4, 2, 2, 3), number, np.uint8)

    def request(self, seed: int = 0, controls: Any = None) -> Request:
        sound = np.zeros(10, np.float32)
        return Request(self.frames[0], Audio(sound, 16_000), 25.0, 4, seed, controls or {})


class Method:
    """Does what it is asked, with some leak of the head into the face; frames are the number of the request."""

    def __init__(self, leak: float = 0.0) -> None:
        self.asked: list[Request] = []
        self.leak = leak

    def generate(self, request: Request) -> Generation:
        self.asked.append(request)
        return Generation([np.full((2, 2, 3), 100 + len(self.asked) - 1, np.uint8)] * request.frames)


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes what is seen of frames the truth of what the method was asked; real clips smile by their number."""

    def of(method: Method) -> None:
        def look(_: Any, frames: np.ndarray) -> Seen:
            number, count = int(frames[0, 0, 0, 0]), len(frames)
            pose, expression = np.zeros((count, 3), np.float32), np.zeros((count, 53), np.float32)
            if number < 100:
                expression[:, SMILE] = number / 10
            else:
                told = method.asked[number - 100].controls
                pose[:] = [told.get(name, 0.0) for name in ("yaw", "pitch", "roll")]
                if told.get("expression", "").startswith("clip/"):
                    expression[:, SMILE] = int(told["expression"].split("/")[1]) / 10
                expression[:, SMILE] += method.leak * pose[:, 0]
                for moment in np.arange(told.get("blinks", 0.0) / 60 * count / 25):
                    first = 5 + round(moment * 25 * 60 / told["blinks"])
                    expression[first : first + 4, BLINK : BLINK + 2] = 1.0
            return Seen(np.zeros((count, 68, 2), np.float32), pose, expression, np.ones(count, np.float32))

        monkeypatch.setattr(module, "look", look)

    return of


def test_what_is_asked_is_what_is_measured(looking: Any) -> None:
    method: Any = Method()
    looking(method)
    clips: Any = [Held(number) for number in range(3)]
    assert angle_errors(method, clips) == {name: [0.0] * 3 for name, _ in ANGLES}
    assert {request.controls["head"] for request in method.asked} == {"fixed"}
    assert {request.frames for request in method.asked} == {50}
    method.asked.clear()
    rates = blink_rates(method, clips)
    assert {request.frames for request in method.asked} == {round(BLINK_SECONDS * 25)}
    for rate in BLINKS:
        assert rates[rate] == pytest.approx([rate] * 3)


def test_controls_are_crossed(looking: Any) -> None:
    for leak, free in ((0.0, True), (0.02, False)):
        method: Any = Method(leak)
        looking(method)
        clips: Any = [Held(number) for number in (0, 1)]
        donors: Any = [Held(7), Held(6)]
        found = crossed(method, clips, donors)
        assert found.effects.shape == (2, 3, 3)
        off = found.shares - np.diag(found.shares.diagonal())
        assert found.shares.diagonal().tolist() == [1, 1, 1]
        assert (off.max() < 1e-6) == free
        if not free:
            assert off[0, 2] == pytest.approx(0.3 / 0.65, rel=1e-3)


def test_effects_are_along_what_is_asked() -> None:
    plain = Read(np.zeros(3), 10.0, np.zeros(4))
    other = Read(np.array([3.0, 4.0, 0.0]), 25.0, np.array([0.5, 7.0, 0.0, 0.0]))
    assert effects_of(plain, other, np.array([2.0, 0.0, 0.0, 0.0])) == (5, 15, 0.5)


def test_angles_are_held_against_the_bar() -> None:
    good = {name: [2.0 + n / 10 for n in range(8)] for name, _ in ANGLES}
    assert angle_claim(good, PEOPLE).verdict == "pass"
    assert angle_claim({**good, "roll": [8.0 + n / 10 for n in range(8)]}, PEOPLE).verdict == "fail"
    assert angle_claim({**good, "roll": [1.0, 9.0] * 4}, PEOPLE).verdict == "cannot tell"


def test_blinks_are_held_against_the_bar() -> None:
    assert blink_claim({20.0: [20.0, 30.0, 10.0, 20.0] * 2, 40.0: [40.0] * 8}, PEOPLE).verdict == "pass"
    assert blink_claim({20.0: [20.0] * 8, 40.0: [20.0] * 8}, PEOPLE).verdict == "fail"


def test_independence_is_told_of_each_control() -> None:
    free = np.tile(np.diag([10.0, 20.0, 0.5]) + 0.01, (8, 1, 1)) + np.arange(8)[:, None, None] / 1000
    assert [claim.verdict for claim in independence_claims(Crossed(free), PEOPLE)] == ["pass"] * 3
    leaking = free.copy()
    leaking[:, 0, 2] = 0.3 + np.arange(8) / 100
    verdicts = [claim.verdict for claim in independence_claims(Crossed(leaking), PEOPLE)]
    assert verdicts == ["fail", "pass", "pass"]


def test_a_mean_below_a_bound_passes() -> None:
    assert below(mean_estimate([1.0, 1.1, 1.2, 1.1], PEOPLE[:4]), 2.0) == "pass"
    assert below(mean_estimate([3.0, 3.1, 3.2, 3.1], PEOPLE[:4]), 2.0) == "fail"
    assert below(mean_estimate([1.0, 3.0, 1.0, 3.0], PEOPLE[:4]), 2.0) == "cannot tell"


def test_the_most_different_face_is_asked_for(looking: Any) -> None:
    looking(Method())
    clips: Any = [Held(number) for number in (0, 3, 7)]
    assert [held.clip.path for held in most_different(clips)] == ["clip/7", "clip/7", "clip/0"]
    assert BLINK in ASIDE and SMILE not in ASIDE
