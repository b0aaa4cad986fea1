"""The look of all figures: the style file, who has which colour and sign, and how files are written."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from thbench.report.grid import clean
from thbench.report.names import base_of, method_of
from thbench.run.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thbench.report.leaderboard import Leaderboard

INK, SOFT, RULE, REAL, BASELINE, WARN = "#16191d", "#555d68", "#c4cad1", "#16191d", "#8a939e", "#94480a"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6a3d9a", "#7f7f7f")
"""Of methods, in the order of the table."""
DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
SIGNS = ("o", "^", "v", "D", "P", "X", "<", ">")
COLUMN, PAGE = 3.5, 7.2
"""Inches: one column of a paper, and its whole width."""
LONGEST_NAME = 30
"""Characters of a variant's name in a figure."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a variant is drawn."""

    colour: str
    sign: str
    filled: bool
    dash: str | tuple[float, tuple[float, ...]]


def looks_of(leaderboard: Leaderboard) -> dict[str, Look]:
    """Variant to look: one colour and sign for each method, open and dashed with acceleration."""
    found: dict[str, Look] = {}
    methods: dict[str, int] = {}
    accelerated: dict[str, int] = {}
    baselines = 0
    for row in leaderboard.rows:
        if row.kind == "ground-truth":
            found[row.variant] = Look(REAL, "*", True, "-")
        elif row.kind == "baseline":
            found[row.variant] = Look(BASELINE, "s", True, DASHES[baselines % len(DASHES)])
            baselines += 1
        else:
            place = methods.setdefault(method_of(row.variant), len(methods))
            base = base_of(row.variant)
            number = 0
            if base is not None:
                number = accelerated[base] = accelerated.get(base, 0) + 1
            sign = SIGNS[(place + number) % len(SIGNS)]
            found[row.variant] = Look(COLOURS[place % len(COLOURS)], sign, base is None, DASHES[number % len(DASHES)])
    return found


def short(name: str, most: int = LONGEST_NAME) -> str:
    r"""A name as text of a figure: on one line, not too long, and nothing in it means anything to matplotlib.

    Example:
        >>> short("a$x$" + "b" * 40)
        'a\\$x\\$bbbbbbbbbbbbbbbbbbbbbbbb…'
    """
    text = clean(name)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text.replace("$", r"\$")


@contextmanager
def styled() -> Iterator[None]:
    """Within it, figures have the look of the style file, whatever the user's own settings."""
    import matplotlib as mpl
    from matplotlib import style

    with mpl.rc_context():
        mpl.rcdefaults()
        style.use(str(resources.files("thbench.report.figures") / "thbench.mplstyle"))
        yield


def figure(width: float, height: float, dpi: float | None = None) -> Figure:
    """An empty figure, in inches; no window and no state of matplotlib's own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(drawing)
    return drawing


def arms(value: float, ends: tuple[float, float] | None) -> list[list[float]] | None:
    """The arms of an error bar, below and above, as matplotlib takes them; None without an interval."""
    return None if ends is None else [[max(value - ends[0], 0)], [max(ends[1] - value, 0)]]


def name_ends(axes: Axes, points: Sequence[tuple[float, float, str, bool]], *, most: int = 20) -> None:
    """Write names beside points, where they cover no other name or point.

    Args:
        axes: Where; its limits must be final.
        points: Coordinates, name, and whether it is to stand out.
        most: How many names; those that stand out come first.
    """
    from matplotlib.transforms import Bbox

    drawing = axes.figure
    renderer = drawing.canvas.get_renderer()  # type: ignore[attr-defined]
    to_pixels = axes.transData.transform
    scale = drawing.dpi / 72
    taken = [Bbox.from_bounds(x - 4 * scale, y - 4 * scale, 8 * scale, 8 * scale) for x, y in
             (to_pixels((p[0], p[1])) for p in points)]  # fmt: skip
    frame = axes.get_window_extent(renderer)
    for x, y, name, strong in sorted(points, key=lambda p: not p[3])[:most]:
        for dx, dy, ha, va in ((6, 0, "left", "center"), (-6, 0, "right", "center"), (0, 7, "center", "bottom"),
                               (0, -7, "center", "top"), (6, 7, "left", "bottom"), (6, -7, "left", "top"),
                               (-6, 7, "right", "bottom"), (-6, -7, "right", "top")):  # fmt: skip
            text = axes.annotate(
                short(name), (x, y), (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=7,
                color=INK if strong else SOFT, fontweight="bold" if strong else "normal", annotation_clip=False,
                zorder=2.5, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.3},
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            inside = box.x0 >= frame.x0 and box.x1 <= frame.x1 + 2 and box.y0 >= frame.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def save(drawing: Figure, stem: Path) -> tuple[Path, Path]:
    """Write a figure as PDF and PNG; equal figures give equal files.

    Raises:
        WriteError: A file cannot be written.
    """
    import io

    kinds: Mapping[str, dict[str, None]] = {"pdf": {"CreationDate": None, "Creator": None, "Producer": None},
                                            "png": {"Software": None}}  # fmt: skip
    files = []
    with styled():
        # Laid out once: both files are of the same size, and names stay where they were placed.
        if drawing.get_layout_engine() is not None:
            drawing.draw_without_rendering()
            drawing.set_layout_engine("none")
        for kind, metadata in kinds.items():
            content = io.BytesIO()
            drawing.savefig(content, format=kind, metadata=metadata)
            path = stem.with_suffix(f".{kind}")
            write_atomically(path, content.getvalue())
            files.append(path)
    return files[0], files[1]
