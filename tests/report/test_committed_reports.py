"""The committed report of the mini suite is in step with its data, and the README with the report."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from thbench.report.reading import read_leaderboard
from thbench.report.site.build import read_data
from thbench.report.site.pages import pages_of
from thbench.report.write import FORMATS

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "reports" / "mini"
HOW = "make reports makes it again"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_leaderboard_is_that_of_its_json(name: str) -> None:
    board = read_leaderboard(REPORT / "leaderboard.json")
    assert (REPORT / name).read_text(encoding="utf-8") == FORMATS[name](board), HOW


def test_the_pages_are_those_of_their_data() -> None:
    made = dict(pages_of(read_data(REPORT)))
    for name, text in made.items():
        assert (REPORT / name).read_text(encoding="utf-8") == text, f"{name}: {HOW}"
    there = {path.relative_to(REPORT).as_posix() for path in REPORT.rglob("*.html")}
    assert there == {name for name in made if name.endswith(".html")}, HOW


def test_every_video_that_is_shown_is_there_and_small() -> None:
    scenes = read_data(REPORT).media.scenes
    assert scenes
    for scene in scenes:
        for track in scene.tracks:
            assert 0 < (REPORT / track.video).stat().st_size < 500_000


def test_the_readme_shows_the_present_result() -> None:
    script = runpy.run_path(str(ROOT / "reports" / "refresh.py"))
    assert script["readme"]() == (ROOT / "README.md").read_text(encoding="utf-8"), HOW
