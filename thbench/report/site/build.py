"""Writes the site: first its data, then its pages from that data alone.

`read_data` gives back what `write_site` wrote, so that the pages of a committed report can be made again and compared.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from thbench.errors import MissingExtraError, UsageError
from thbench.report.claims import Claims, read_claims
from thbench.report.figures import FigureIndex, draw_all, require_matplotlib
from thbench.report.names import slug
from thbench.report.reading import read_leaderboard
from thbench.report.receipts import Receipts, read_receipts
from thbench.report.schema import schema_text
from thbench.report.site.collect import cards_of, clip_tables
from thbench.report.site.comparing import compare_runs
from thbench.report.site.data import Cards, ClipTable, Comparison, Media, SiteData
from thbench.report.site.media import collect_media
from thbench.run.files import WriteError, reason_of, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from thbench.report.leaderboard import Leaderboard
    from thbench.run.store import Contents
    from thbench.types import Document
    from thbench.validate.document import Validation

DATA = "site/data"
"""Folder of the data, relative to that of the report."""
CLIPS = f"{DATA}/clips"
"""Folder of one file for each variant."""
DATA_FILES: Mapping[str, type[Document]] = {
    f"{DATA}/methods.json": Cards,
    f"{DATA}/claims.json": Claims,
    f"{DATA}/receipts.json": Receipts,
    f"{DATA}/media.json": Media,
    f"{DATA}/comparison.json": Comparison,
    f"{DATA}/figures.json": FigureIndex,
}
"""Data files beside `leaderboard.json` and the clips; each of them only if there is anything in it."""
SHOWN_CLIPS = 3
"""Clips whose videos are shown."""

DocumentT = TypeVar("DocumentT", bound="Document")


def write_site(
    contents: Contents,
    leaderboard: Leaderboard,
    folder: Path,
    *,
    clips: int = SHOWN_CLIPS,
    against: tuple[Contents, Leaderboard] | None = None,
    validation: Validation | None = None,
    figures: bool = True,
) -> int:
    """Write the site of a run into `folder`, beside `leaderboard.json`, and its figures.

    Args:
        contents: The run.
        leaderboard: Its leaderboard, with the rows and columns of the pages.
        folder: Folder of the report.
        clips: How many clips to show as videos.
        against: Another run to compare with.
        validation: What `thbench validate-metrics` found, for a figure.
        figures: Whether to draw figures.

    Returns:
        How many pages there are.

    Raises:
        MissingExtraError: The templating library is not installed.
        UsageError: A file of claims or receipts of the run cannot be read.
        WriteError: A file cannot be written.
    """
    _require_templates()
    tables = clip_tables(contents.records, contents.info)
    comparison = None
    if against is not None:
        other, board = against
        comparison = compare_runs(leaderboard, tables, board, clip_tables(other.records, other.info))
    runs = sorted({*contents.folders.values(), folder})
    data = SiteData(
        leaderboard=leaderboard,
        clips=tables,
        cards=cards_of(leaderboard),
        claims=_together(map(read_claims, runs)),
        receipts=_all_receipts(map(read_receipts, runs)),
        media=collect_media(contents, leaderboard, folder, clips=clips),
        comparison=comparison,
    )
    if figures:
        data = data.model_copy(update={"figures": _figures(contents, data, folder, validation)})
    write_data(data, folder)
    return write_pages(data, folder)


def _figures(contents: Contents, data: SiteData, folder: Path, validation: Validation | None) -> FigureIndex:
    """Draw what there is; without matplotlib, say so."""
    try:
        require_matplotlib()
    except MissingExtraError as error:
        return FigureIndex(lacking={"Figures": str(error)})
    from thbench.report.figures.collect import figure_data, inputs_of

    inputs = inputs_of(contents, [row.variant for row in data.leaderboard.rows])
    return draw_all(figure_data(data, inputs, folder, validation=validation), folder)


def _together(parts: Iterable[Claims | None]) -> Claims | None:
    """The claims of several run folders; those that several hold alike count once."""
    found = [claim for part in parts if part is not None for claim in part.claims]
    return Claims(claims=tuple(dict.fromkeys(found))) if found else None


def _all_receipts(parts: Iterable[Receipts | None]) -> Receipts | None:
    found = {(r.variant, r.clip, r.seed): r for part in parts if part is not None for r in part.receipts}
    return Receipts(receipts=tuple(found.values())) if found else None


def publish(
    contents: Contents,
    leaderboard: Leaderboard,
    folder: Path,
    *,
    clips: int = SHOWN_CLIPS,
    against: tuple[Contents, Leaderboard] | None = None,
    validation: Validation | None = None,
    figures: bool = True,
) -> str:
    """Write the site, or say in one sentence why there is none; the files of the leaderboard do without it.

    Args and errors are those of `write_site`, but for the missing package.
    """
    try:
        pages = write_site(
            contents, leaderboard, folder, clips=clips, against=against, validation=validation, figures=figures
        )
    except MissingExtraError as error:
        return f"No site: {error}"
    return f"Site: {folder / 'index.html'} ({pages} pages)"


def write_data(data: SiteData, folder: Path) -> None:
    """Write the data files, and remove those of variants that are no more.

    Raises:
        WriteError: A file cannot be written.
    """
    shutil.rmtree(folder / CLIPS, ignore_errors=True)
    (folder / CLIPS).mkdir(parents=True, exist_ok=True)
    for variant, table in data.clips.items():
        _put(folder / CLIPS / f"{slug(variant)}.json", table.model_dump_json() + "\n")
    documents = (data.cards, data.claims, data.receipts, data.media, data.comparison, data.figures)
    for name, document in zip(DATA_FILES, documents, strict=True):
        if document is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_atomically(folder / name, document.model_dump_json(indent=1) + "\n")
    write_atomically(folder / DATA / "leaderboard.schema.json", schema_text())


def write_pages(data: SiteData, folder: Path) -> int:
    """Write the pages of `data`; return how many there are.

    Raises:
        WriteError: A file cannot be written.
    """
    from thbench.report.site.pages import pages_of

    shutil.rmtree(folder / "site" / "methods", ignore_errors=True)
    (folder / "site" / "methods").mkdir(parents=True, exist_ok=True)
    for stale in ("videos.html", "compare.html", "papers.html", "figures.html"):
        (folder / "site" / stale).unlink(missing_ok=True)
    count = 0
    for name, text in pages_of(data):
        _put(folder / name, text)
        count += name.endswith(".html")
    return count


def _put(path: Path, text: str) -> None:
    """Replace a file that can be made again at any time: whole or not at all, without waiting for the disk.

    Raises:
        WriteError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {reason_of(error)}; make room or rights there, then try again"
        ) from error


def read_data(folder: Path) -> SiteData:
    """Read all that the pages of a report are made of.

    Raises:
        UsageError: A file is absent or cannot be read.
    """
    leaderboard = read_leaderboard(folder / "leaderboard.json")
    tables = [_required(folder / CLIPS / f"{slug(row.variant)}.json", ClipTable) for row in leaderboard.rows]
    return SiteData(
        leaderboard=leaderboard,
        clips={table.variant: table for table in sorted(tables, key=lambda table: table.variant)},
        cards=_required(folder / DATA / "methods.json", Cards),
        claims=_read(folder / DATA / "claims.json", Claims),
        receipts=_read(folder / DATA / "receipts.json", Receipts),
        media=_required(folder / DATA / "media.json", Media),
        comparison=_read(folder / DATA / "comparison.json", Comparison),
        figures=_read(folder / DATA / "figures.json", FigureIndex),
    )


def _required(path: Path, kind: type[DocumentT]) -> DocumentT:
    found = _read(path, kind)
    if found is None:
        raise UsageError(f"{path} is absent; write the report again with thbench report RUN")
    return found


def _read(path: Path, kind: type[DocumentT]) -> DocumentT | None:
    """The document in a file; None if there is no such file."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} cannot be read: {error}; write the report again with thbench report RUN") from error


def _require_templates() -> None:
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "jinja2", "report", "writing the site") from error
