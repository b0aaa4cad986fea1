"""What papers publish, as data, and what of it stands beside a run.

Published numbers are shown beside ours and never mixed with them. Each has its paper, table, row and column; what is
not published says so. A difference is formed only to be looked at: why the two cannot be compared stands with it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from thbench.errors import UsageError, did_you_mean
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thbench.report.leaderboard import Leaderboard

FOLDER = "papers"
"""Folder of the data beside this file."""
CLOSEST: Mapping[str, tuple[str, ...]] = {
    "FID": ("fid/",),
    "FVD": ("fvd/",),
    "FVD16": ("fvd/16", "fvd/styleganv-16f"),
    "FVD32": ("fvd/32",),
    "LSE-C": ("lse-c/",),
    "LSE-D": ("lse-d/",),
    "Sync": ("lse-c/",),
    "Sync-C": ("lse-c/",),
    "Sync_conf": ("lse-c/",),
    "Sync-D": ("lse-d/",),
    "CSIM": ("csim/",),
    "SSIM": ("ssim",),
    "PSNR": ("psnr",),
    "LPIPS": ("lpips/",),
    "M-LMD": ("m-lmd/",),
    "LMD": ("m-lmd/",),
    "F-LMD": ("f-lmd/",),
    "BAS": ("beat-align/",),
    "Blink/s": ("blink-rate",),
    "Diversity": ("pose-div/",),
    "Head-motion diversity": ("pose-div/",),
}
"""A paper's word for a metric to the beginnings of the columns here that measure something of that name."""

Role = Literal["this method", "setting", "ablation", "base model", "other method", "ground truth"]
"""What a row of a published table stands for; `setting` is the method at another setting."""


class PublishedColumn(Document):
    """One column of a published table."""

    name: str
    """Heading, unique in its table."""
    metric: str
    """The paper's word for the metric."""
    dataset: str | None
    """On what it was measured."""
    direction: Literal["lower", "higher", "closer-to-real", "closer-to-zero"] | None
    """Which way is better; None where nothing is."""
    unit: str | None
    """Unit; None where the paper names none."""
    protocol: str
    """What is known of how it was measured."""


class PublishedRow(Document):
    """One row of a published table."""

    name: str
    """Its name in the table."""
    values: tuple[str | bool | None, ...]
    """One for each column, with the digits as printed; None where the table has none."""
    is_this_method: bool
    """Whether the row is the method of the paper."""
    role: Role
    """What it stands for."""
    group: str | None = None
    """Part of the table."""
    note: str | None = None
    """What is to be known of the row."""


class PublishedTable(Document):
    """One table of a paper."""

    id: str
    """Number in the paper."""
    title: str
    """What it shows."""
    source: str
    """Paper, version, address, table."""
    reliability: str
    """`paper`, `author's image` or `second-hand`."""
    dataset: str
    """Data and split, as far as known."""
    columns: tuple[PublishedColumn, ...]
    """Columns."""
    rows: tuple[PublishedRow, ...]
    """Rows."""
    notes: str | None = None
    """What a reader must know."""

    @model_validator(mode="after")
    def _is_a_table(self) -> PublishedTable:
        wrong = [row.name for row in self.rows if len(row.values) != len(self.columns)]
        if wrong:
            raise ValueError(
                f"{self.id}: rows {wrong} have other numbers of values than the {len(self.columns)} columns"
            )
        return self


class NotPublished(Document):
    """A number that would be of use and is not there."""

    what: str
    """Which."""
    status: Literal["not published", "not known here"]
    """`not published`: the authors give none; `not known here`: it may exist."""
    note: str | None = None
    """What is known of it."""


class Published(Document):
    """All that the paper of one method publishes."""

    method: str
    """Name in the paper."""
    arxiv: str | None
    """Number at arXiv."""
    tables: tuple[PublishedTable, ...]
    """Tables."""
    not_published: tuple[NotPublished, ...]
    """What is not there."""


class Beside(Document):
    """A published number and what a run has of that name."""

    table: str
    """Table of the paper."""
    row: str
    """Row of the table."""
    column: str
    """Column of the table."""
    published: str
    """The number, as printed."""
    variant: str
    """Row of the run."""
    metric: str
    """Column of the run."""
    reproduced: float
    """The run's number."""
    difference: float
    """reproduced - published."""
    apart: tuple[str, ...]
    """Why the two cannot be compared."""


def published_methods() -> tuple[str, ...]:
    """Names of the methods whose papers are here."""
    folder = resources.files("thbench.report") / FOLDER
    return tuple(sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json")))


@lru_cache(maxsize=16)
def published(method: str) -> Published:
    """What the paper of `method` publishes.

    Raises:
        UsageError: There is no such method.
    """
    known = published_methods()
    if method not in known:
        raise UsageError(f"no published tables of {method!r} are here{did_you_mean(method, known)}")
    text = (resources.files("thbench.report") / FOLDER / f"{method}.json").read_text(encoding="utf-8")
    # Numbers stay text, so that 0.660 does not become 0.66.
    content = json.loads(text, parse_float=str, parse_int=str)
    return Published.model_validate({name: content[name] for name in Published.model_fields})


def beside(method: str, leaderboard: Leaderboard, dataset: str) -> Iterator[Beside]:
    """Every published number of `method` beside every column of the run that measures something of its name.

    Args:
        method: Method name.
        leaderboard: The run.
        dataset: What the run was computed on.
    """
    variants = [row for row in leaderboard.rows if row.variant.replace("@", "+").split("+")[0] == method]
    for table in published(method).tables:
        for row in (row for row in table.rows if row.is_this_method):
            for column, value in zip(table.columns, row.values, strict=True):
                number = _number(value)
                if number is None:
                    continue
                for ours in (c for c in leaderboard.columns if c.id.startswith(CLOSEST.get(column.metric, ("\0",)))):
                    for one in variants:
                        cell = one.cells.get(ours.id)
                        if cell is not None and cell.value is not None:
                            yield Beside(
                                table=table.id,
                                row=row.name,
                                column=column.name,
                                published=str(value),
                                variant=one.variant,
                                metric=ours.id,
                                reproduced=cell.value,
                                difference=cell.value - number,
                                apart=tuple(_reasons(column, table, one.variant, ours.protocol, dataset)),
                            )


def _number(value: str | bool | None) -> float | None:
    return None if value is None or isinstance(value, bool) else float(value)


def _reasons(
    column: PublishedColumn, table: PublishedTable, variant: str, protocol: str, dataset: str
) -> Iterator[str]:
    yield f"split: the paper has {column.dataset or table.dataset}, this run {dataset}"
    yield f"protocol: the paper says {column.protocol!r}, this run has {protocol!r}"
    if "@mini" in variant:
        yield "weights: the mini preset was trained here, small; the paper's was not"
