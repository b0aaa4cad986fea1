"""What the gate says: findings and the report, as JSON and in memory."""

from __future__ import annotations

from typing import Literal

from thbench.errors import ExitCode
from thbench.types import Document

Verdict = Literal["fine", "regression", "suspected", "protocol-check", "undecided"]
"""What is said of one rule in one variant:

- `fine`: a loss that matters is excluded;
- `regression`: a loss that matters, told apart from none, found again by the confirmation where there is one;
- `suspected`: the same in timings, which nobody has measured a second time;
- `protocol-check`: too good, or measured in another way: a person has to look;
- `undecided`: too few, too noisy, or not measured.
"""

Against = Literal["baseline", "anchor"]

EXIT: dict[Verdict, ExitCode] = {
    "fine": ExitCode.OK,
    "regression": ExitCode.FAILED,
    "suspected": ExitCode.UNDECIDED,
    "protocol-check": ExitCode.UNDECIDED,
    "undecided": ExitCode.UNDECIDED,
}
"""Exit code of each verdict."""
ORDER: tuple[Verdict, ...] = ("regression", "suspected", "protocol-check", "undecided", "fine")
"""The gravest first."""


class Measured(Document):
    """A loss with its interval. Above 0, the candidate is worse; in the metric's unit, or as a share."""

    loss: float
    """Estimate."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    baseline: float | None = None
    """The baseline's value, over what entered."""
    candidate: float | None = None
    """The candidate's."""
    pairs: int
    """Videos or samples that entered; for unpaired samples the smaller number."""
    how: str
    """How the interval was found."""


class Finding(Document):
    """One rule in one variant."""

    metric: str
    """Metric or cost."""
    variant: str
    """Variant; `*` where a rule met none."""
    against: Against
    """What the candidate was compared with."""
    verdict: Verdict
    """What is said."""
    why: str
    """One sentence."""
    smallest: float
    """Smallest loss that matters."""
    window: float | None = None
    """Gain from which the candidate is too good."""
    relative: bool
    """Whether these and the losses are shares."""
    unit: str = "1"
    """Unit of the metric."""
    measured: Measured | None = None
    """None where nothing could be compared."""
    confirmation: Measured | None = None
    """What the second measurement found."""
    notes: tuple[str, ...] = ()
    """What else a reader should know: videos that did not enter, the noise of the machine."""


class GateReport(Document):
    """All findings of one call of the gate."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    thbench: str
    """Version."""
    created: str
    """When, ISO 8601, UTC."""
    verdict: Verdict
    """The gravest; `undecided` if there is no finding."""
    baseline: str
    """What the candidate was compared with."""
    candidate: str
    """What was examined."""
    anchor: str | None = None
    """The fixed older run, if one was given."""
    confirmed_by: str | None = None
    """Where the second measurement came from."""
    findings: tuple[Finding, ...]
    """One for each rule, variant and run compared with; the gravest first."""
    warnings: tuple[str, ...] = ()
    """What a reader should know of the runs."""

    @property
    def exit_code(self) -> ExitCode:
        """What the command exits with."""
        return EXIT[self.verdict]


def gravest(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict of several findings: the gravest of them; nothing measured is undecided."""
    return next((verdict for verdict in ORDER if any(f.verdict == verdict for f in findings)), "undecided")
