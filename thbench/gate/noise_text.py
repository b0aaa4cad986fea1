"""A calibration as a table in the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from thbench.report.grid import clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from thbench.gate.noise import Noise


def render(noise: Noise) -> RenderableType:
    """What this machine does to equal code, by processes per side."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in (
        "variant",
        "cost",
        "processes",
        "rounds",
        "equal code within",
        "red at first",
        "red",
        f"{noise.planted:.0%} found",
    ):
        table.add_column(name)
    for variant, costs in noise.sizes.items():
        for cost, sizes in costs.items():
            for size in sizes:
                table.add_row(
                    Text(clean(variant)),
                    Text(clean(cost)),
                    str(size.processes),
                    str(size.rounds),
                    f"±{math.expm1(size.spread):.1%}",
                    f"{size.first_alarms:.1%}",
                    f"{size.false_alarms:.1%}",
                    f"{size.found:.1%}",
                )
    sentence = f"{noise.machine}. A loss mattered from {noise.smallest:.0%}; red after a confirmation."
    return Group(table, Text(clean(sentence), style="dim"))
