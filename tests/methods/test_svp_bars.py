"""The claims of SVP's paper, put to the test on people whom its shipped weights never saw."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from held_out import HeldOut, one_thread
from thbench_methods.svp.bundle import FILE
from thbench_methods.svp.claims import (
    STYLES,
    drawn,
    encoders,
    generated,
    head_claim,
    heads,
    kind_of,
    mixed,
    mixing_claim,
    sampled,
    sampling_claim,
    spoken,
    style_claims,
)
from thbench_methods.svp.pipeline import SVP

from thbench.data.synth_heads.dataset import truth_of
from thbench.report.claims import Claim


def failing(claims: Sequence[Claim]) -> dict[str, str]:
    return {claim.statement: claim.measured for claim in claims if claim.verdict != "pass"}


def people(held_out: HeldOut, count: int) -> list[str]:
    return [held.clip.identity for held in held_out.clips[:count]]


@pytest.fixture(scope="module")
def method() -> SVP:
    return SVP("mini")


def test_weights_are_small() -> None:
    assert FILE.stat().st_size < 8_000_000


@pytest.mark.full
def test_results_speak_in_the_style_of_their_style_clip(method: SVP, held_out: HeldOut) -> None:
    clips = held_out.clips[:STYLES]
    kinds = [kind_of(truth_of(held.clip)) for held in clips]
    with one_thread():
        found, true = (spoken(method, clips, say, kinds) for say in (generated(method), drawn))
        assert failing(style_claims(found, true, encoders(method))) == {}


@pytest.mark.full
def test_styles_can_be_mixed_evenly(method: SVP, held_out: HeldOut) -> None:
    with one_thread():
        assert failing([mixing_claim(*mixed(method, held_out.clips))]) == {}


@pytest.mark.full
def test_sampled_styles_differ(method: SVP, held_out: HeldOut) -> None:
    with one_thread():
        found = sampled(method, held_out.clips)
        assert failing([sampling_claim(found, people(held_out, len(found)))]) == {}


@pytest.mark.full
def test_heads_follow_their_key_points(method: SVP, held_out: HeldOut) -> None:
    with one_thread():
        found = heads(method, held_out.clips)
        assert failing([head_claim(found, people(held_out, len(found)))]) == {}
