"""What the tests of the methods share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from held_out import HeldOut
from thbench_methods.parity import TARGETS

from thbench.parity import Outcome, check


@pytest.fixture
def parity(shared: Path) -> Callable[[str], Outcome]:
    """Runs one parity fixture by name; the test is skipped where the fixtures are absent."""

    def run(name: str) -> Outcome:
        folder = shared / "parity" / name
        if not folder.is_dir():
            pytest.skip(f"the parity fixture is absent (looked in {folder})")
        return check(folder, TARGETS)

    return run


@pytest.fixture(scope="session")
def held_out() -> HeldOut:
    """People of the test split, and what methods make of them."""
    return HeldOut()
