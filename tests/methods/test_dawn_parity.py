"""DAWN's networks against the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from thbench_methods.parity_dawn import TARGETS

from thbench.parity import check


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_fixture_passes(target: str, shared: Path) -> None:
    folder = shared / "parity" / target
    if not folder.is_dir():
        pytest.skip(f"the fixture {folder} is absent")
    outcome = check(folder, TARGETS)
    assert outcome.status == "passed", outcome
    assert outcome.outputs
