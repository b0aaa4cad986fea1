"""What the shipped weights of every method reach on people whom they never saw.

The long form generates one clip of each person of the test split and compares it with the real one, with a still of it
and with real lips to another's speech; the short form reads the cards, on which the same scores stand.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from held_out import HeldOut, share, synced
from thbench_methods.common.judging import fvd
from thbench_methods.common.presets import shipped
from thbench_methods.dawn.bundle import A2V_FILE
from thbench_methods.dreamtalk.bundle import SPEAKING_FILE
from thbench_methods.echomimic.bundle import ACC_FILE
from thbench_methods.echomimic.bundle import FILE as ECHOMIMIC_FILE
from thbench_methods.flap.bundle import FILE as FLAP_FILE
from thbench_methods.hallo.bundle import FILE as HALLO_FILE
from thbench_methods.kdtalker.bundle import FILE as KDTALKER_FILE
from thbench_methods.memo.bundle import FILE as MEMO_FILE
from thbench_methods.moda.bundle import FILE as MODA_FILE
from thbench_methods.posetalk.bundle import VIDEO_FILE
from thbench_methods.svp.bundle import FILE as SVP_FILE
from thbench_methods.xactor.bundle import ACTING_FILE

from thbench.training import Card


class Asked(NamedTuple):
    """What is asked for of a method, as shares of the real clips' scores."""

    file: Path
    """Weights beside which the card lies."""
    lse_c: float
    """At least."""
    identity: float
    """At least."""
    pose_diversity: tuple[float, float] | None = None
    """Between."""


ASKED = {
    "dreamtalk": Asked(SPEAKING_FILE, 0.6, 0.85, (0.3, 2.0)),
    "kdtalker": Asked(KDTALKER_FILE, 0.6, 0.85, (0.3, 2.0)),
    "moda": Asked(MODA_FILE, 0.6, 0.85, (0.3, 2.0)),
    "posetalk": Asked(VIDEO_FILE, 0.5, 0.85),
    "dawn": Asked(A2V_FILE, 0.5, 0.85),
    "hallo": Asked(HALLO_FILE, 0.45, 0.8),
    "echomimic": Asked(ECHOMIMIC_FILE, 0.45, 0.8),
    "echomimic-acc": Asked(ACC_FILE, 0.45, 0.8),
    "memo": Asked(MEMO_FILE, 0.45, 0.8),
    "flap": Asked(FLAP_FILE, 0.45, 0.8),
    "x-actor": Asked(ACTING_FILE, 0.45, 0.8),
    "svp": Asked(SVP_FILE, 0.45, 0.8),
}
every_method = pytest.mark.parametrize("name", ASKED)


@every_method
def test_the_card_tells_every_bar_and_holds_it(name: str) -> None:
    asked = ASKED[name]
    card = Card.model_validate_json(shipped(asked.file).with_suffix(".json").read_bytes())
    told = {score.name: score for score in card.scores}
    lse_c, identity = (told[f"{bar} (mini), share of real"] for bar in ("LSE-C", "identity"))
    assert (lse_c.bar, lse_c.people) == (f">= {asked.lse_c:g}", 24) and lse_c.value >= asked.lse_c
    assert (identity.bar, identity.people) == (f">= {asked.identity:g}", 24) and identity.value >= asked.identity
    if asked.pose_diversity is not None:
        low, high = asked.pose_diversity
        diversity = told["pose diversity (mini), share of real"]
        assert (diversity.bar, diversity.people) == (f"{low:g} to {high:g}", 24) and low <= diversity.value <= high


@pytest.mark.full
@every_method
def test_lips_beat_a_still_and_real_lips_with_anothers_speech(held_out: HeldOut, name: str) -> None:
    found = synced(held_out.generated(name))
    assert found.low > synced(held_out.stills).high
    assert found.low > synced(held_out.shuffled).high


@pytest.mark.full
@every_method
def test_shares_of_real_clips(held_out: HeldOut, name: str) -> None:
    asked, rows, real = ASKED[name], held_out.generated(name), held_out.real
    assert share(rows, real, "lse_c") >= asked.lse_c
    assert share(rows, real, "similarity") >= asked.identity
    if asked.pose_diversity is not None:
        low, high = asked.pose_diversity
        assert low <= share(rows, real, "pose_diversity") <= high


@pytest.mark.full
@every_method
def test_clips_are_nearer_to_real_ones_than_stills(held_out: HeldOut, name: str) -> None:
    assert fvd(held_out.generated(name), held_out.real) < fvd(held_out.stills, held_out.real)
