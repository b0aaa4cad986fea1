"""What Hallo's small weights reach on people whom they never saw, and what its accelerations change.

The long form generates clips of the test split; the short form reads the card.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from thbench_methods.common.judging import Held, Judged, fvd, judge, made, one_of_each, read_held
from thbench_methods.common.presets import shipped
from thbench_methods.hallo.bundle import FILE
from thbench_methods.hallo.held_out import BARS
from thbench_methods.hallo.pipeline import Hallo

from thbench.data.synth_heads.dataset import clips_of
from thbench.stats import jackknife, mean_estimate
from thbench.stats.bootstrap import Estimate, Interval
from thbench.training import Card

PLANS = {"base": (), "lightningcp": ("lightningcp",), "fewer-steps": ("fewer-steps",)}
"""Of equal cost but for the first."""
LOST = pytest.mark.xfail(strict=True, reason="identity falls by 0.0005 [0.0001, 0.0008] of 0.966")


@pytest.fixture(scope="module")
def clips() -> Iterator[list[Held]]:
    shipped(FILE)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield list(read_held(one_of_each(clips_of())))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def real(clips: list[Held]) -> list[Judged]:
    return [judge(held, held.frames) for held in clips]


@pytest.fixture(scope="module")
def stills(clips: list[Held]) -> list[Judged]:
    return [judge(held, np.repeat(held.frames[:1], len(held.frames), axis=0)) for held in clips]


@pytest.fixture(scope="module")
def generated(clips: list[Held]) -> dict[str, list[Judged]]:
    methods = {name: Hallo("mini", accelerations=names) for name, names in PLANS.items()}
    return {name: [judge(held, made(method, held.request())) for held in clips] for name, method in methods.items()}


def ends(estimate: Estimate) -> Interval:
    assert estimate.interval is not None
    return estimate.interval


def synced(rows: list[Judged]) -> Interval:
    return ends(mean_estimate([row.lse_c for row in rows], [row.person for row in rows]))


def share(rows: list[Judged], truths: list[Judged], name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows]) / np.mean([getattr(row, name) for row in truths]))


def nearer(rows: list[Judged], others: list[Judged], truths: list[Judged]) -> Estimate:
    """By how much the FVD of `rows` is below that of `others`, paired by leaving out the same people."""

    def gain(without: str | None) -> float:
        kept = [index for index, row in enumerate(truths) if row.person != without]
        first, second, real = ([side[index] for index in kept] for side in (rows, others, truths))
        return fvd(second, real) - fvd(first, real)

    return jackknife(gain(None), {row.person: gain(row.person) for row in truths})


@pytest.mark.full
def test_lips_beat_a_still(generated: dict[str, list[Judged]], stills: list[Judged]) -> None:
    assert synced(generated["base"]).low > synced(stills).high


@pytest.mark.full
def test_lips_beat_real_lips_with_anothers_speech(generated: dict[str, list[Judged]], clips: list[Held]) -> None:
    pairs = pairwise([*clips, clips[0]])
    shuffled = [judge(held, held.frames, other.sound) for held, other in pairs]
    assert synced(generated["base"]).low > synced(shuffled).high


@pytest.mark.full
def test_shares_of_real_clips(generated: dict[str, list[Judged]], real: list[Judged]) -> None:
    assert share(generated["base"], real, "lse_c") >= 0.45
    assert share(generated["base"], real, "similarity") >= 0.8


@pytest.mark.full
def test_clips_are_nearer_to_real_ones_than_stills(
    generated: dict[str, list[Judged]], real: list[Judged], stills: list[Judged]
) -> None:
    assert fvd(generated["base"], real) < fvd(stills, real)


@pytest.mark.full
@pytest.mark.parametrize("name", ["lse_c", pytest.param("similarity", marks=LOST)])
def test_lightningcp_keeps_what_the_base_reaches(generated: dict[str, list[Judged]], name: str) -> None:
    losses = [
        getattr(before, name) - getattr(after, name)
        for before, after in zip(generated["base"], generated["lightningcp"], strict=True)
    ]
    found = ends(mean_estimate(losses, [row.person for row in generated["base"]]))
    assert found.low <= 0, f"{name} falls by {found.low:.3g} to {found.high:.3g}"


@pytest.mark.full
def test_lightningcp_is_nearer_to_real_clips_than_fewer_steps(
    generated: dict[str, list[Judged]], real: list[Judged]
) -> None:
    assert ends(nearer(generated["lightningcp"], generated["fewer-steps"], real)).low > 0


def test_the_card_tells_every_bar_and_holds_it() -> None:
    card = Card.model_validate_json(shipped(FILE).with_suffix(".json").read_bytes())
    scores = {score.name: score for score in card.scores}
    told = {bar: scores[f"{bar}, share of real"] for bar in BARS}
    assert {bar: score.bar for bar, score in told.items()} == BARS
    assert {score.people for score in told.values()} == {24}
    assert told["LSE-C (mini)"].value >= 0.45
    assert told["identity (mini)"].value >= 0.8
