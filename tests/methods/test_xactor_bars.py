"""The claims of X-Actor's paper, put to the test on people whom its shipped weights never saw.

What its clips are worth beside real ones is in the common bars. What is worse without diffusion forcing needs a second
actor, which training leaves in its folder of checkpoints; it is measured by
`python -m thbench_methods.xactor.claims FOLDER --rival FILE`, and not here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from held_out import HeldOut, one_thread
from thbench_methods.common.judging import read_held
from thbench_methods.xactor.bundle import ACTING_FILE, RENDERING_FILE
from thbench_methods.xactor.claims import END, FPS, SECONDS, carried_bytes, claims
from thbench_methods.xactor.config import MINI
from thbench_methods.xactor.pipeline import XActor

from thbench.data.synth_heads.dataset import clips_of
from thbench.report.claims import Claim
from thbench.types import Audio, Request


def failing(found: Sequence[Claim]) -> dict[str, str | None]:
    return {claim.statement: claim.measured for claim in found if claim.verdict != "pass"}


@pytest.fixture(scope="module")
def method() -> XActor:
    return XActor("mini")


def test_weights_are_small() -> None:
    assert ACTING_FILE.stat().st_size + RENDERING_FILE.stat().st_size < 8_000_000


def test_no_more_is_carried_on_after_a_minute_than_after_ten_seconds(method: XActor) -> None:
    held = next(iter(read_held(clips_of()[:1])))
    controls = {"acting_steps": 1, "audio_guidance": 1.0}
    request = Request(held.frames[0], Audio(held.sound, 16_000), float(FPS), SECONDS * FPS, 0, controls)
    with one_thread():
        early, late = (carried_bytes(method, request, part * FPS // MINI.actor.chunk) for part in (END, SECONDS))
    assert early == late


@pytest.mark.full
def test_a_minute_is_made_in_constant_memory_without_drift_and_motion_tells_nothing_of_who_it_is(
    method: XActor, held_out: HeldOut
) -> None:
    with one_thread():
        found = claims(method, None, held_out.clips, {})
    tested = [claim for claim in found if claim.verdict != "not tested"]
    assert len(tested) == 4
    assert failing(tested) == {}
