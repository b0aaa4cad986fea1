"""SSIM, MS-SSIM, PSNR and landmark distances against the published functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from thbench.parity.metric_images import TARGETS
from thbench.parity import check

HERE = Path(__file__).parent
LIMITS = {"metrics.lmd": 1e-12, "metrics.ssim_psnr": 1e-5}
"""Much closer than the fixtures ask for."""


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_fixture_passes(target: str) -> None:
    outcome = check(HERE / target, TARGETS)
    assert outcome.status == "passed", outcome
    assert len(outcome.outputs) == 12
    assert max(agreement.error for agreement in outcome.outputs) < LIMITS[target]
