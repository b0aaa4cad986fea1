"""Operations of the paper's Tables 1 and 2, counted anew on our networks and kept beside this file.

`python -m thbench_methods.lightningcp.recomputed` counts them again; it takes some minutes.
"""

from __future__ import annotations

import sys
from importlib import resources
from typing import TYPE_CHECKING

from thbench.report.published import published
from thbench.report.recomputed import Recomputed, RecomputedNumber

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thbench_methods.lightningcp.tables import Recomputed as Counted

FILE = "recomputed.json"
"""Where the counts are kept, beside this file."""
COLUMN = "TFLOP/clip"


def kept() -> Recomputed:
    """Return the counts that come with this package."""
    return Recomputed.model_validate_json((resources.files(__package__) / FILE).read_bytes())


def document(counted: Iterable[Counted]) -> Recomputed:
    """Return counts by the names of the published tables."""
    names = {table.id: [row.name for row in table.rows] for table in published("lightningcp").tables}
    numbers = []
    for one in counted:
        table = f"Table {one.published.table}"
        start = f"{one.published.model} / {one.published.variant}"
        (row,) = (name for name in names[table] if name.partition(" (")[0] == start)
        numbers.append(
            RecomputedNumber(
                table=table, row=row, column=COLUMN, value=round(one.tflop, 4), assumption=_assumption(one)
            )
        )
    return Recomputed(
        method="lightningcp",
        what="operations of the denoising network for one clip, counted on the meta device without weights",
        command="python -m thbench_methods.lightningcp.recomputed",
        numbers=tuple(numbers),
    )


def _assumption(one: Counted) -> str:
    keys = "" if one.key_steps == one.steps else f"{one.key_steps} of {one.steps} steps in full"
    return "; ".join(part for part in (keys, one.assumption) if part)


def main() -> int:
    """Count all rows and keep them."""
    from thbench_methods.lightningcp.tables import recomputed

    with resources.as_file(resources.files(__package__) / FILE) as path:
        path.write_text(document(recomputed()).model_dump_json(indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
