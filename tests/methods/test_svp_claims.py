"""SVP's claims: what is measured, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.common.judging import Held, read_held
from thbench_methods.svp import claims as module
from thbench_methods.svp.claims import (
    MIXES,
    Read,
    Spoken,
    drawn,
    generated,
    head_claim,
    heads,
    kind_of,
    mixed,
    mixing_claim,
    plain,
    ranked,
    sampled,
    sampling_claim,
    spoken,
    spread,
    steps_along,
    style_claims,
)

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.metrics.csim import unit

PEOPLE = tuple("abcdefgh")


def reading(level: float, seed: int = 0) -> Read:
    """Expression about a level of its own, and silence."""
    draw = np.random.default_rng((seed, round(1000 * level)))
    own = np.random.default_rng(round(1000 * level)).uniform(0, 1, 53)
    frames = own + 0.02 * draw.standard_normal((20, 53))
    return Read(frames.astype(np.float32), torch.zeros(20, 2, 3))


def test_ranks_are_areas() -> None:
    wanted = np.eye(4, 6)
    assert ranked(wanted, wanted, PEOPLE[:4], PEOPLE[:4]).shares == (1.0,) * 4
    assert np.mean(ranked(wanted[[1, 0, 3, 2]], wanted, PEOPLE[:4], PEOPLE[:4]).shares) < 0.5
    # Rows that are all the same tell nothing.
    assert ranked(np.tile(wanted[0], (4, 1)), wanted, PEOPLE[:4], PEOPLE[:4]).shares == (0.5,) * 4


def test_what_all_results_share_does_not_count() -> None:
    draw = np.random.default_rng(0)
    wanted = draw.standard_normal((8, 5))
    found = wanted + 0.3 * draw.standard_normal((8, 5))
    near = ranked(found, wanted, PEOPLE, PEOPLE)
    far = ranked(found + [9, -4, 0, 2, 1], wanted, PEOPLE, PEOPLE)
    assert far.shares == near.shares
    assert near.area.value > 0.8


def test_rows_of_the_same_kind_are_no_others() -> None:
    wanted = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.2], [0.0, -1.0]])
    found = wanted[[1, 0, 2, 3]]
    assert min(ranked(found, wanted, PEOPLE[:4], ("a", "a", "b", "c")).shares) == 1
    assert min(ranked(found, wanted, PEOPLE[:4], PEOPLE[:4]).shares) < 1
    with pytest.raises(ValueError, match="all rows are of the kind 'a'"):
        ranked(found, wanted, PEOPLE[:4], ("a",) * 4)


def test_styles_are_held_against_the_bar() -> None:
    def all_of(seed: int) -> tuple[Read, ...]:
        return tuple(reading(number / 10, seed) for number in range(8))

    def codes(one: Read) -> np.ndarray:
        return np.asarray(one.expression.mean(axis=0))

    clips, kept, other = (all_of(seed) for seed in range(3))
    ways = {"first way": codes, "second way": plain}
    true = Spoken(clips, clips, clips, PEOPLE, PEOPLE)
    like, same = style_claims(Spoken(kept, other, clips, PEOPLE, PEOPLE), true, ways)
    assert like.verdict == same.verdict == "pass"
    assert like.measured is not None
    assert like.measured.startswith("AUC by first way") and like.measured.count("of true pictures 1") == 2
    lost, consistent = style_claims(Spoken(kept[::-1], other[::-1], clips, PEOPLE, PEOPLE), true, ways)
    assert lost.verdict == "fail"
    assert consistent.verdict == "pass"
    # The first way decides.
    blind = {"first way": lambda one: np.zeros(3), "second way": plain}
    assert style_claims(Spoken(kept, other, clips, PEOPLE, PEOPLE), true, blind)[0].verdict == "fail"


def test_steps_are_measured_along_the_line() -> None:
    start, end = np.array([1.0, 0.0]), np.array([3.0, 0.0])
    rows = [np.array([x, y]) for x, y in ((1.0, 5.0), (2.0, -7.0), (1.5, 0.0), (3.0, 1.0))]
    assert steps_along(rows, start, end) == pytest.approx([0.5, -0.25, 0.75])


def test_mixing_has_to_go_forward_in_every_step() -> None:
    draw = np.random.default_rng(0)
    even = (0.25 + 0.02 * draw.standard_normal((8, 4))).tolist()
    assert mixing_claim(even, PEOPLE).verdict == "pass"
    back = [[0.5, -0.2 + row[1] / 10, 0.5, 0.2] for row in even]
    assert mixing_claim(back, PEOPLE).verdict == "fail"
    unsure = [[0.2, (-1) ** number * 0.2, 0.3, 0.3] for number in range(8)]
    assert mixing_claim(unsure, PEOPLE).verdict == "cannot tell"


def test_sampled_styles_have_to_differ_more_than_seeds() -> None:
    assert sampling_claim([(2.0 + n / 10, 1.0) for n in range(8)], PEOPLE).verdict == "pass"
    assert sampling_claim([(1.0, 2.0 + n / 10) for n in range(8)], PEOPLE).verdict == "fail"
    assert head_claim([(0.1, 0.3 + n / 100) for n in range(8)], PEOPLE).verdict == "pass"
    assert head_claim([(0.3, 0.3 + (-1) ** n / 100) for n in range(8)], PEOPLE).verdict == "cannot tell"
    assert spread([np.zeros(2), np.array([3.0, 4.0]), np.array([3.0, 4.0])]) == pytest.approx(10 / 3)


class Clip:
    def __init__(self, number: int) -> None:
        self.path, self.identity = f"style/{number}", PEOPLE[number]


class Numbered:
    """A clip whose frames are its number."""

    def __init__(self, number: int) -> None:
        self.clip, self.frames = Clip(number), np.full((4, 2, 2, 3), 10 * number, np.uint8)
        self.sound = np.zeros(10, np.float32)

    def request(self, seed: int = 0, controls: Any = None) -> Any:
        from thbench.types import Audio, Request

        return Request(self.frames[0], Audio(self.sound, 16_000), 25.0, 4, seed, controls or {})


class Method:
    """Frames are what was asked: the style's number, or the mixture of both."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def generate(self, request: Any) -> Any:
        from thbench.types import Generation

        self.asked.append(request)
        told = request.controls
        value = 0.0
        if told.get("style", "").startswith("style/"):
            value = 10 * float(told["style"].split("/")[1])
            if "style_to" in told:
                value += told["mix"] * (10 * float(told["style_to"].split("/")[1]) - value)
        elif told.get("style") == "sampled":
            value = 20.0 * told["style_seed"] + request.seed
        return Generation([np.full((2, 2, 3), round(value), np.uint8)] * request.frames)


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Method:
    def seen(frames: np.ndarray, sound: np.ndarray, method: Any) -> Read:
        value = frames[:, 0, 0, 0].astype(np.float32)[:, None]
        return Read(np.concatenate((value, 100 - value), axis=1), torch.zeros(len(frames), 1, 1))

    monkeypatch.setattr(module, "read", seen)
    return Method()


def test_each_style_says_two_speeches_by_portraits_of_others(method: Any) -> None:
    clips: Any = [Numbered(number) for number in range(8)]
    found = spoken(method, clips, generated(method), PEOPLE)
    assert [request.controls["style"] for request in method.asked] == [f"style/{n}" for n in range(8)] * 2
    shown = [int(request.portrait[0, 0, 0]) // 10 for request in method.asked]
    assert shown == [1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1, 1, 1]
    assert [one.expression[0, 0] for one in found.first] == [one.expression[0, 0] for one in found.clips]
    assert found.people == found.kinds == PEOPLE


def test_too_few_clips_are_refused(
    method: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clips: Any = [Numbered(number) for number in range(5)]
    with pytest.raises(ValueError, match="there are 5 clips; at least 6"):
        spoken(method, clips, generated(method), PEOPLE[:5])
    monkeypatch.setattr("sys.argv", ["claims", str(tmp_path), "--clips", "2"])
    with pytest.raises(SystemExit):
        module.main()
    assert "--clips is 2; it must be 6 or more" in capsys.readouterr().err


def test_true_pictures_show_one_person_in_the_manner_of_another() -> None:
    clips = {kind_of(truth_of(clip)): clip for clip in clips_of()}
    happy, calm, other = (next(read_held([clips[kind]])) for kind in ("happy 3", "neutral", "sad 2"))
    smile = EXPRESSIONS.index("mouthSmileLeft")
    frames = drawn(calm, other, happy)
    assert frames.shape == (len(truth_of(calm.clip)), 128, 128, 3)
    smiling, still = (look(loaded.face(), rgb[::20]) for rgb in (frames, drawn(calm, other, calm)))
    assert smiling.expression[:, smile].mean() > still.expression[:, smile].mean() + 0.2
    # It is the person of the portrait, who keeps still.
    assert np.abs(frames.astype(float) - frames[:1])[:, :12, :12].max() < 3
    whole = [
        as_input(whole_frame(rgb, loaded.identity().INPUT_SIZE)[None]) for rgb in (frames[0], *faces(other, happy))
    ]
    with torch.inference_mode():
        mine, portrait, style = (unit(loaded.identity()(one).numpy())[0] for one in whole)
    assert mine @ portrait > mine @ style


def faces(*clips: Held) -> list[np.ndarray]:
    return [held.frames[0] for held in clips]


def test_styles_are_mixed_with_the_most_different(method: Any) -> None:
    clips: Any = [Numbered(number) for number in range(5)]
    steps, people = mixed(method, clips, 2)
    assert people == ["a", "b"]
    assert method.asked[0].controls["style_to"] == "style/4"
    assert [request.controls["mix"] for request in method.asked[:5]] == list(MIXES)
    for row in steps:
        assert row == pytest.approx([0.25] * 4, abs=0.02)


def test_styles_and_seeds_are_drawn_apart(method: Any) -> None:
    clips: Any = [Numbered(number) for number in range(3)]
    (styles, seeds), *_ = sampled(method, clips, 1, 3)
    assert styles / seeds == pytest.approx(20)
    asked = [(request.seed, request.controls["style_seed"]) for request in method.asked]
    assert asked == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1)]


def test_led_heads_are_compared_with_free_ones(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    track = torch.rand(4, 3, 2)
    track[:, 1] = track[:, 0] + torch.tensor([0.5, 0.0])

    class Seen:
        key_points = track[0]

    method.look = lambda picture: Seen()
    method.bundle = type("Bundle", (), {"head_track": lambda self, path: track})()

    def looked(_: Any, frames: np.ndarray) -> Any:
        led = "head" in method.asked[-1].controls
        return type("Seen", (), {"landmarks": np.zeros((4, 68, 2)) if led else np.ones((4, 68, 2))})()

    monkeypatch.setattr(module, "look", looked)
    monkeypatch.setattr(module, "key_points_of", lambda points: track + 0.1 * bool(points.any()))
    clips: Any = [Numbered(number) for number in range(2)]
    (led, free), *_ = heads(method, clips, 1)
    assert led == 0
    assert free == pytest.approx(0.1 * 2**0.5 / 0.5)
