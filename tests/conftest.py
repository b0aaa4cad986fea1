"""Fixtures and options that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the long form of the checks (marker `full`)")


def pytest_configure(config: pytest.Config) -> None:
    """Let the short form draw the same examples each time, so that it turns red for a change alone.

    `make test-full` draws new examples and looks at ten times as many.
    """
    hypothesis.settings.register_profile("short", derandomize=True, deadline=None)
    hypothesis.settings.register_profile("full", max_examples=1000, deadline=None)
    hypothesis.settings.load_profile("full" if config.getoption("--full") else "short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long forms to `make test-full`."""
    if config.getoption("--full"):
        return
    long = [item for item in items if item.get_closest_marker("full")]
    if long:
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real clips and weights that lies beside the repository; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "real").is_dir():
        pytest.skip(f"real clips are absent (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def weights() -> str:
    """Folder of the face landmarker; face tests are skipped where it is absent."""
    beside = ROOT.parent / "shared" / "weights"
    if "THBENCH_WEIGHTS" not in os.environ and (beside / "face_landmarker.task").is_file():
        os.environ["THBENCH_WEIGHTS"] = str(beside)
    from thbench.backbones.weights import find

    path = find("face-landmarker")
    if path is None:
        pytest.skip("the face landmarker is absent: thbench weights get face-landmarker")
    return str(path.parent)
