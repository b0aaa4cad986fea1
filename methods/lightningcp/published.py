"""The three tables of the paper, from the published tables that come with thbench, as numbers by model and variant.

Source: J. Long, W. Sun, R.-C. Tu, D. Tao, "Lightning Fast Caching-based Parallel Denoising Prediction for Accelerating
Talking Head Generation", AAAI 2026, pp. 7503-7511, arXiv 2509.00052; the AAAI version. Quality is on 100 clips each of
HDTF and MEAD; operations and seconds are of the denoising network alone, for one clip of fixed length on A800: base and
DeepCache on one GPU, the others on several, whose number is not given. There are no seeds, repeats or deviations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.published import published
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

Quality = tuple[float, float, float, float]
"""FVD, FID, E-FID, Sync (confidence; higher is better)."""
_QUALITY = ("FVD", "FID", "E-FID", "Sync")


class PublishedRow(Document):
    """One row of a table."""

    table: int
    """Of the paper."""
    model: str
    """As the paper names it."""
    variant: str
    """As the paper names it; `base` for no acceleration."""
    hdtf: Quality
    """On HDTF; in Table 3 on a subset of it, which is not comparable."""
    mead: Quality | None = None
    """On MEAD."""
    tflop: float | None = None
    """Operations per clip, 10^12."""
    seconds: float | None = None
    """Latency per clip."""
    speedup: float | None = None
    """Base latency over this one."""


def _rows(number: int) -> tuple[PublishedRow, ...]:
    """The rows of a table of the paper, by its number."""
    (table,) = (table for table in published("lightningcp").tables if table.id == f"Table {number}")
    names = [column.name for column in table.columns]
    return tuple(
        _row(number, row.name, {n: float(v) for n, v in zip(names, row.values, strict=True) if v is not None})
        for row in table.rows
    )


def _row(number: int, name: str, values: Mapping[str, float]) -> PublishedRow:
    """A row named `model / variant`, where the variant may be followed by a remark in parentheses."""
    model, _, variant = name.partition(" / ")
    return PublishedRow(
        table=number,
        model=model,
        variant=variant.partition(" (")[0],
        # Table 3 is of HDTF alone and does not say so in its columns.
        hdtf=_quality(values, "HDTF " if "HDTF FVD" in values else ""),
        mead=_quality(values, "MEAD ") if "MEAD FVD" in values else None,
        tflop=values.get("TFLOP/clip"),
        seconds=values.get("s/clip"),
        speedup=values.get("speedup"),
    )


def _quality(values: Mapping[str, float], dataset: str) -> Quality:
    """The four numbers of quality in the columns whose names begin with a dataset."""
    fvd, fid, e_fid, sync = (values[f"{dataset}{name}"] for name in _QUALITY)
    return fvd, fid, e_fid, sync


TABLE_1 = _rows(1)
"""Main results; Faster Diffusion has three more key steps on EchoMimic, as the paper says."""
TABLE_2 = _rows(2)
"""Components; rm is reference feature removal."""
TABLE_3 = _rows(3)
"""Input latent estimation, on a subset of HDTF."""
