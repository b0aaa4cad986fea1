"""Beat alignment and pose diversity against the published functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from thbench.parity.metric_motion import TARGETS
from thbench.parity import check

HERE = Path(__file__).parent


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_fixture_passes(target: str) -> None:
    outcome = check(HERE / target, TARGETS)
    assert outcome.status == "passed", outcome
    assert len(outcome.outputs) >= 8
    assert max(agreement.error for agreement in outcome.outputs) < 1e-7
