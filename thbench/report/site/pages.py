"""From data to pages: a pure function, so that pages can be checked against the data beside them."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from thbench._version import __version__
from thbench.report import prose
from thbench.report.digits import format_interval, format_value
from thbench.report.grid import ARROWS, DASH, clean
from thbench.report.names import base_of, slug
from thbench.report.paper_tables import lay_out_paper, notes_of
from thbench.report.published import beside, published, published_methods
from thbench.report.recomputed import recomputed
from thbench.report.site import curves
from thbench.report.site.acceleration import costs_of
from thbench.report.site.board import TOLD, board_of, reasons_by_column
from thbench.report.site.comparing import comparison_view
from thbench.report.site.methods import method_view
from thbench.report.site.pareto import plots_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thbench.report.site.data import SiteData

ASSETS = ("site.css", "site.js", "player.js")
"""Files that the pages refer to, below `site/`."""
MOST_FAILURES = 200
"""Failed videos that the first page lists; the pages of the methods list theirs, and leaderboard.json has all."""


def pages_of(data: SiteData) -> Iterator[tuple[str, str]]:
    """All pages and assets, as path relative to the folder of the report, and text."""
    for name in ASSETS:
        yield f"site/{name}", (resources.files("thbench.report.site") / "assets" / name).read_text(encoding="utf-8")
    board = board_of(data.leaderboard)
    about = _about(data)
    yield (
        "index.html",
        _render(
            "index.html",
            about,
            root="",
            here="index",
            board=board,
            plots=plots_of(data.leaderboard),
            costs=costs_of(data.leaderboard),
            reasons=reasons_by_column(data.leaderboard),
            failures=data.leaderboard.failures[:MOST_FAILURES],
        ),
    )
    for section in board.sections:
        for row in section.rows:
            view = method_view(row, section, board, data)
            yield row.href, _render("method.html", about, root="../../", here="method", view=view)
    if data.media.scenes:
        yield "site/videos.html", _render("videos.html", about, root="../", here="videos")
    if data.figures is not None:
        yield "site/figures.html", _render("figures.html", about, root="../", here="figures", index=data.figures)
    if data.papers:
        papers = {name: published(name) for name in published_methods()}
        rows = {name: tuple(beside(name, data.leaderboard, f"the suite {data.leaderboard.name!r}")) for name in papers}
        again = {name: recomputed(name) for name in papers}
        grids = {
            name: [lay_out_paper(table, again[name], len(table.columns) * 3)[0] for table in paper.tables]
            for name, paper in papers.items()
        }
        notes = {name: [notes_of(table, again[name]) for table in paper.tables] for name, paper in papers.items()}
        more = {"papers": papers, "beside": rows, "grids": grids, "notes": notes}
        yield "site/papers.html", _render("papers.html", about, root="../", here="papers", **more)
    if data.comparison is not None:
        deltas = comparison_view(data.comparison)
        yield "site/compare.html", _render("compare.html", about, root="../", here="compare", view=deltas)


def _about(data: SiteData) -> dict[str, Any]:
    """What every page may say."""
    board = data.leaderboard
    return {
        "data": data,
        "leaderboard": board,
        "version": __version__,
        "state": prose.state_of(board),
        "interval_sentence": prose.interval_sentence(board),
        "common": prose.common_context(board),
        "effort": prose.effort_of(board),
        "cost_sentence": prose.cost_sentence(board),
    }


def _render(template: str, about: dict[str, Any], **more: Any) -> str:
    return environment().get_template(template).render(**about, **more)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, with everything escaped that is not marked as safe."""
    made = Environment(
        loader=PackageLoader("thbench.report.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "name": name_markup,
        "clean": clean,
        "slug": slug,
        "value": format_value,
        "breakable": breakable,
        "variant": variant_markup,
        "capital": lambda text: text[:1].upper() + text[1:],
    }
    made.globals |= {
        "DASH": DASH,
        "ARROWS": ARROWS,
        "TOLD": TOLD,
        "interval": format_interval,
        "context_text": prose.context_text,
        "curves": curves,
    }
    return made


def name_markup(text: str) -> Markup:
    """Any text as its own direction island, so that a right-to-left name turns nothing around it."""
    return Markup("<bdi>{}</bdi>").format(clean(text))


def breakable(text: str) -> Markup:
    """Text that may break after slashes, at signs and plus signs."""
    broken = str(escape(clean(text)))
    for sign in "/@+":
        broken = broken.replace(sign, f"{sign}<wbr>")
    return Markup("<bdi>{}</bdi>").format(Markup(broken))


def variant_markup(text: str) -> Markup:
    """A variant's name; of an accelerated one, what it is without the acceleration is set back."""
    base = base_of(text)
    if base is None:
        return breakable(text)
    return Markup('<bdi class="with"><span class="base">{}</span>{}</bdi>').format(
        breakable(base), breakable(text.removeprefix(base))
    )
