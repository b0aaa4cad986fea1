"""The committed reports of suites are in step with their data, and the README with the mini suite's."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from thbench.report.figures import draw_all
from thbench.report.figures.collect import figure_data
from thbench.report.reading import read_leaderboard
from thbench.report.site.build import read_data
from thbench.report.site.pages import pages_of
from thbench.report.write import FORMATS
from thbench.validate.document import read_validation

ROOT = Path(__file__).parents[2]
REPORTS = [ROOT / "reports" / name for name in ("mini", "acceleration")]
of_every_suite = pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
HOW = "make reports makes it again"


@of_every_suite
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_leaderboard_is_that_of_its_json(report: Path, name: str) -> None:
    board = read_leaderboard(report / "leaderboard.json")
    assert (report / name).read_text(encoding="utf-8") == FORMATS[name](board), HOW


@of_every_suite
def test_the_pages_are_those_of_their_data(report: Path) -> None:
    made = dict(pages_of(read_data(report)))
    for name, text in made.items():
        assert (report / name).read_text(encoding="utf-8") == text, f"{name}: {HOW}"
    there = {path.relative_to(report).as_posix() for path in report.rglob("*.html")}
    assert there == {name for name in made if name.endswith(".html")}, HOW


@of_every_suite
def test_every_video_that_is_shown_is_there_and_small(report: Path) -> None:
    scenes = read_data(report).media.scenes
    assert scenes or report.name != "mini"
    for scene in scenes:
        for track in scene.tracks:
            assert 0 < (report / track.video).stat().st_size < 500_000


@of_every_suite
def test_the_figures_are_those_of_their_data(report: Path, tmp_path: Path) -> None:
    """Drawn again, they are the same but for what another font library does to the edges of letters."""
    image = pytest.importorskip("matplotlib.image", reason="needs the extra report")
    data = read_data(report)
    assert data.figures is not None and data.figures.drawn
    validation = read_validation(ROOT / "reports" / "validate-metrics.json")
    again = draw_all(figure_data(data, data.figures.inputs, report, validation=validation), tmp_path)
    assert [(d.png, d.title) for d in again.drawn] == [(d.png, d.title) for d in data.figures.drawn], HOW
    assert again.lacking == data.figures.lacking, HOW
    for one in again.drawn:
        ours, theirs = image.imread(tmp_path / one.png), image.imread(report / one.png)
        assert ours.shape == theirs.shape and float(abs(ours - theirs).mean()) < 0.01, f"{one.png}: {HOW}"
        assert (report / one.pdf).read_bytes().startswith(b"%PDF")
    assert sum(path.stat().st_size for path in (report / "figures").iterdir()) < 6_000_000


def test_the_readme_shows_the_present_result() -> None:
    script = runpy.run_path(str(ROOT / "reports" / "refresh.py"))
    assert script["readme"]() == (ROOT / "README.md").read_text(encoding="utf-8"), HOW
