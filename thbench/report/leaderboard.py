"""The leaderboard: the numbers of a run with all that is needed to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from thbench.run.info import Environment, Kind, Status
from thbench.spec import Direction
from thbench.stats.bootstrap import IntervalMethod
from thbench.types import Document
from thbench.validate.document import Mark


class Column(Document):
    """A metric under one protocol and one recipe context; what differs in either is another column."""

    id: str
    """The metric's name; `name@hash` where several columns share it."""
    metric: str
    """The metric's name."""
    title: str
    """A few words for people."""
    direction: Direction
    """Which way is better."""
    unit: str
    """`1` for a pure number."""
    version: int
    """Version of the metric."""
    protocol: str
    """Every choice of the metric that the number depends on."""
    source: str
    """Paper, equation or repository file that defines it."""
    context: Mapping[str, str]
    """What stands before every metric: fps, faces, decoder, resampler, policy for missing faces."""
    detectable: float | None = None
    """Difference between two methods that a comparison of as many identities finds four times in five, in the column's
    unit; smaller ones are mostly missed. None where no two methods were compared."""
    check: Mark | None = None
    """What `thbench validate-metrics` found; None in files of older versions."""
    check_note: str = ""
    """What fails, or why the metric was not validated."""

    @property
    def protocol_id(self) -> str:
        """Name, version and protocol, as `MetricSpec.protocol_id` has it."""
        return f"{self.metric}@{self.version} [{self.protocol}]"


class Cell(Document):
    """One row's mean in one column."""

    value: float | None
    """Mean over the scored videos, or the number of all of them as a set; None if there is none."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    method: IntervalMethod | None = None
    """How the interval was found; see `thbench.stats.bootstrap`, and `thbench.report.sets` for sets of videos."""
    note: str | None = None
    """Why there is a value but no interval."""
    remarks: tuple[str, ...] = ()
    """What a reader of the value must know: sizes of sets, their bias, the floor."""
    rank: int | None = None
    """Among the methods; those that are not told apart share a rank. None where nothing was compared."""
    scored: int
    """Videos with a value; each (variant, clip, seed) is one."""
    total: int
    """Videos that were to be scored, whatever became of them."""
    identities: int
    """Identities among the scored videos."""
    missing: Mapping[str, int] = {}
    """Reason to the number of videos; `total - scored` in all."""


class Row(Document):
    """One variant."""

    variant: str
    """Its name."""
    kind: Kind
    """What it stands for; only methods compete."""
    cells: Mapping[str, Cell]
    """Column id to cell; columns under whose recipe nothing was planned are left out."""


class Failure(Document):
    """One video that could not be made or scored."""

    variant: str
    """Row."""
    clip: str
    """Clip id."""
    seed: int
    """Seed of the generation."""
    error: str
    """Why, one sentence."""


class Cost(Document):
    """One cost of one variant; costs are measured apart from quality, by `thbench time`."""

    value: float
    """Mean of the measured trials; for memory the highest peak; for operations the count."""
    low: float | None = None
    """Lower end of the interval over processes; None where `note` says why, and for what is counted."""
    high: float | None = None
    """Upper end of the interval."""
    n: int
    """Trials; 1 for what is counted."""
    note: str | None = None
    """Why there is no interval."""


class SpeedUp(Document):
    """How much faster one variant is than another, measured in turn."""

    variant: str
    """Which variant."""
    baseline: str
    """What it is compared with."""
    measure: str
    """Id of the measure, e.g. `time/end-to-end`."""
    ratio: float
    """Geometric mean of baseline / variant over pairs: above 1, the variant is faster."""
    low: float | None = None
    """Lower end of the interval over processes; None where `note` says why."""
    high: float | None = None
    """Upper end."""
    pairs: int
    """Rounds in which both were measured."""
    note: str | None = None
    """Why there is no interval."""


class Measure(Document):
    """What is measured of a cost."""

    id: str
    """`time/MEASURE`, `time/cold/MEASURE`, `memory/KIND` or `flops`."""
    title: str
    """A few words for people."""
    unit: str
    """`s`, `B`, `operations`, or `1` for a pure number."""


class CostTable(Document):
    """Costs that may be compared: of one clip on one device. What differs in either is another table."""

    setting: Mapping[str, str]
    """On what, and at which work, it was measured."""
    measures: tuple[Measure, ...]
    """Columns; less is better in each."""
    rows: Mapping[str, Mapping[str, Cost]]
    """Variant to id of a measure to cost."""
    speed_ups: tuple[SpeedUp, ...] = ()
    """Variants beside what they were measured in turn with."""
    warnings: tuple[str, ...] = ()
    """What a reader of the times should know."""


class Leaderboard(Document):
    """The numbers of a run with all that is needed to read them."""

    schema_version: Literal[1, 2, 3] = 3
    """Version of this layout; old versions stay readable. Version 1 had no ranks and no checks of the metrics, and
    version 2 no costs."""
    name: str
    """Name of the suite, or of what was evaluated."""
    status: Status
    """How the run ended; `started` if it still runs or was killed."""
    level: float
    """Nominal coverage of the intervals."""
    columns: tuple[Column, ...]
    """Metrics in the order of the tables."""
    rows: tuple[Row, ...]
    """Ground truth first, then baselines, then methods by name."""
    comparisons: int = 0
    """Comparisons of two methods in one column behind the ranks; Holm's correction is over all of them."""
    failures: tuple[Failure, ...] = ()
    """All videos that failed."""
    not_run: int = 0
    """Videos that were planned and have no record."""
    warnings: tuple[str, ...] = ()
    """What a reader of the numbers should know; warnings of videos with their number."""
    costs: tuple[CostTable, ...] = ()
    """What the variants cost, where it was measured."""
    environments: tuple[Environment, ...]
    """On what the run was computed, the first start first."""
    attempts: int = 0
    """How often the run was started."""
    seconds: float | None = None
    """Wall seconds of all starts together; None if one of them was killed, as nobody knows its time."""

    def row(self, variant: str) -> Row:
        """The row of `variant`.

        Raises:
            KeyError: There is none.
        """
        for row in self.rows:
            if row.variant == variant:
                return row
        raise KeyError(variant)
