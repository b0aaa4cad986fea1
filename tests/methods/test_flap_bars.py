"""The claims of FLAP's paper, put to the test on people whom its shipped weights never saw."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from held_out import HeldOut, one_thread
from thbench_methods.flap.bundle import FILE
from thbench_methods.flap.claims import (
    PEOPLE,
    angle_claim,
    angle_errors,
    blink_claim,
    blink_rates,
    crossed,
    independence_claims,
    most_different,
)
from thbench_methods.flap.pipeline import FLAP

from thbench.report.claims import Claim


def failing(claims: Sequence[Claim]) -> dict[str, str]:
    return {claim.statement: claim.measured for claim in claims if claim.verdict != "pass"}


@pytest.fixture(scope="module")
def method() -> FLAP:
    return FLAP("mini")


@pytest.fixture(scope="module")
def people(held_out: HeldOut) -> list[str]:
    return [held.clip.identity for held in held_out.clips[:PEOPLE]]


def test_weights_are_small() -> None:
    assert FILE.stat().st_size < 8_000_000


@pytest.mark.full
def test_heads_turn_by_the_angles_that_are_asked_for(method: FLAP, held_out: HeldOut, people: list[str]) -> None:
    with one_thread():
        assert failing([angle_claim(angle_errors(method, held_out.clips[:PEOPLE]), people)]) == {}


@pytest.mark.full
def test_eyes_blink_as_often_as_is_asked_for(method: FLAP, held_out: HeldOut, people: list[str]) -> None:
    with one_thread():
        assert failing([blink_claim(blink_rates(method, held_out.clips[:PEOPLE]), people)]) == {}


@pytest.mark.full
def test_controls_leave_each_other_alone(method: FLAP, held_out: HeldOut, people: list[str]) -> None:
    with one_thread():
        donors = most_different(held_out.clips)[:PEOPLE]
        found = crossed(method, held_out.clips[:PEOPLE], donors)
        assert failing(independence_claims(found, people)) == {}
