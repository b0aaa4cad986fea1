"""Figures of a report by matplotlib: each kind in a file of its own, each a pure function of the report's data.

`draw(data)` of a kind gives figures by name, or one sentence why there are none. `draw_all` writes them as PDF and PNG.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from thbench.errors import MissingExtraError
from thbench.report.figures.data import FigureInputs
from thbench.types import Document

if TYPE_CHECKING:
    from pathlib import Path

    from thbench.report.figures.data import FigureData

FOLDER = "figures"
"""Folder of the figures, relative to that of the report."""


class Kind(NamedTuple):
    """One kind of figure."""

    module: str
    title: str
    caption: str
    """What is seen, for those who do not see it too."""


KINDS = (
    Kind(
        "pareto",
        "Trade-offs",
        "Each variant by two of its numbers with their intervals. The line joins what no other method beats in both; "
        "dashes lead from a method to itself with an acceleration; the dotted line is where generation keeps up with "
        "speech.",
    ),
    Kind(
        "accelerations",
        "What accelerations cost",
        "How many times faster each acceleration makes its method, against what it changes of a metric, with 95 % "
        "intervals: of the change over identities, paired by clip; numbers of whole sets have none. Filled signs, "
        "joined by the line, are those that no other beats in both.",
    ),
    Kind(
        "distributions",
        "How clips spread",
        "Every clip is a point; bars hold the middle half of the clips, lines reach from the 5th to the 95th "
        "percentile, ticks mark the median.",
    ),
    Kind(
        "lip_curves",
        "Lips against sound",
        "Mean distance of lips and sound over the shift between them, with 95 % intervals over identities. A well "
        "synchronised video has one deep valley at 0; a flat curve has no relation to its sound.",
    ),
    Kind("pose", "Head movement", "Yaw, pitch and roll over time, and the path of yaw and pitch."),
    Kind(
        "similarity",
        "Similarity over denoising steps",
        "How alike the cached features of all pairs of steps are, how much they change from step to step, and which "
        "steps run in full.",
    ),
    Kind(
        "latency",
        "Where time goes",
        "Mean time of a clip by stage, with the 95 % interval of the whole over fresh processes.",
    ),
    Kind(
        "validity",
        "Whether metrics measure what they say",
        "What every metric of this table does under every degradation of talking heads of known truth.",
    ),
    Kind(
        "failures",
        "What has no value",
        "How many videos of each variant lack each metric, with a letter for the main reason.",
    ),
    Kind("contact_sheet", "Frames", "The same instants of one clip, as every variant made it."),
)
"""All kinds, in the order of the page."""


class Drawn(Document):
    """One figure."""

    kind: str
    """Which kind."""
    title: str
    """A few words for people."""
    caption: str
    """What is seen."""
    png: str
    """File, relative to the folder of the report."""
    pdf: str
    """The same as vectors."""
    width: int
    """Pixels of the PNG."""
    height: int
    """Pixels of the PNG."""


class FigureIndex(Document):
    """The figures of a report."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    drawn: tuple[Drawn, ...] = ()
    """Those that there are."""
    lacking: Mapping[str, str] = {}
    """Title of a kind to the reason why there is none."""
    inputs: FigureInputs = FigureInputs()
    """What they were drawn from beside the data of the site."""


def draw_all(data: FigureData, folder: Path) -> FigureIndex:
    """Write every figure that the data allows, in the place of those that `folder` held.

    Args:
        data: What to draw.
        folder: Folder of the report.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        WriteError: A file cannot be written.
    """
    require_matplotlib()
    from thbench.report.figures.style import save, styled

    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    drawn: list[Drawn] = []
    lacking: dict[str, str] = {}
    for kind in KINDS:
        with styled():
            found = importlib.import_module(f"{__name__}.{kind.module}").draw(data)
        if isinstance(found, str):
            lacking[kind.title] = found
            continue
        for name, figure in found.items():
            pdf, png = save(figure, folder / FOLDER / name)
            width, height = _png_size(png)
            drawn.append(
                Drawn(
                    kind=kind.module,
                    title=kind.title,
                    caption=kind.caption,
                    png=f"{FOLDER}/{png.name}",
                    pdf=f"{FOLDER}/{pdf.name}",
                    width=width,
                    height=height,
                )
            )
    return FigureIndex(drawn=tuple(drawn), lacking=lacking, inputs=data.inputs)


def require_matplotlib() -> None:
    """Make sure that figures can be drawn.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "matplotlib", "report", "drawing figures") from error


def _png_size(path: Path) -> tuple[int, int]:
    """Width and height, from the first chunk of the file (RFC 2083, section 11.2.1)."""
    with path.open("rb") as file:
        head = file.read(24)
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
