"""The file of a validation, and what a leaderboard reads from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from thbench.errors import UsageError
from thbench.types import Document
from thbench.validate.catalogue import Degradation
from thbench.validate.expectations import Response as Expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from thbench.spec import MetricSpec

NAME = "validate-metrics"
"""Stem of the files under `reports/`."""

Verdict = Literal["holds", "fails", "not measured"]
Mark = Literal["holds", "fails", "not validated"]
"""What a table says of a metric."""


class Response(Document):
    """What one metric did under one degradation."""

    metric: str
    degradation: str
    clips: int
    """Clips that have a value at every dose; the numbers below are of these. Metrics of sets of videos give one number
    for all clips together."""
    means: tuple[float, ...]
    """Mean over clips at each dose; empty without clips."""
    rho: float | None
    """Spearman correlation of the doses with `means`; None where the means are all equal or there are none."""
    least_rho: float | None
    """Weakest correlation of a single clip in the direction of `rho`."""
    change: float | None
    """Mean over clips of the absolute change from the unchanged clip, at the dose where it is largest."""
    expected: Expected | None
    """None: the table of expectations says nothing."""
    allowed: float | None
    """Largest allowed `change` where `ignores` is expected."""
    verdict: Verdict | None
    """None where nothing is expected."""
    reason: str = ""
    """Why it fails or was not measured."""


class MetricVerdict(Document):
    """Whether a metric does what is expected of it."""

    metric: str
    protocol_id: str
    """Name, version and protocol: the verdict is about this column and no other."""
    verdict: Verdict
    """`not measured`: no response that it must show could be measured."""
    held: int
    """Expectations that hold."""
    failed: int
    """Expectations that do not; the rest was not measured."""
    expected: int
    """Expectations in all."""
    reasons: tuple[str, ...]
    """What fails or was not measured, one line each."""


class Validation(Document):
    """A whole run of `thbench validate-metrics`."""

    schema_version: Literal[1] = 1
    thbench: str
    """Version."""
    created: str
    """ISO 8601, UTC."""
    seconds: float
    """Wall time."""
    workers: int
    frames: int
    """Frames evaluated, all variants together."""
    acted_seconds: float = 4.0
    """How much of each clip was drawn afresh."""
    acted_clips: tuple[str, ...]
    """Clips drawn afresh from their truth."""
    sound_clips: tuple[str, ...]
    """Further clips in which only the sound was changed."""
    long_clips: tuple[str, ...]
    """Clips joined to one long video."""
    monotone: float
    """Least absolute Spearman correlation that counts as monotone."""
    degradations: tuple[Degradation, ...]
    verdicts: tuple[MetricVerdict, ...]
    responses: tuple[Response, ...]
    """All that was measured or expected."""
    failures: tuple[str, ...] = ()
    """Videos that could not be made or scored."""

    @property
    def failing(self) -> tuple[MetricVerdict, ...]:
        """Metrics that fail their own expectations."""
        return tuple(v for v in self.verdicts if v.verdict == "fails")


def read_validation(path: Path) -> Validation:
    """Read the JSON file of a validation.

    Raises:
        UsageError: It is not there or not such a file.
    """
    try:
        return Validation.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); run: thbench validate-metrics") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a file of validate-metrics: {error}; run: thbench validate-metrics") from error


def mark_of(verdict: MetricVerdict | None) -> tuple[Mark, str]:
    """What a table says of a metric: a word and, unless it holds, why.

    Args:
        verdict: None if it was never tried under this version and protocol.
    """
    if verdict is None:
        return "not validated", "not tried"
    if verdict.verdict == "not measured":
        return "not validated", verdict.reasons[0] if verdict.reasons else "not tried"
    if verdict.verdict == "holds":
        return "holds", ""
    return "fails", f"{verdict.failed} of {verdict.expected} expectations: {'; '.join(verdict.reasons)}"


def marks(validation: Validation, specs: Iterable[MetricSpec]) -> Mapping[str, str]:
    """What a leaderboard says beside its columns.

    Args:
        validation: See `read_validation`.
        specs: Metrics of the leaderboard. One whose version or protocol is not that of the file is not marked as
            failing by it, but as not validated.

    Returns:
        Metric name to a sentence, for metrics that fail or were not validated; the others are left out.
    """
    verdicts = {v.protocol_id: v for v in validation.verdicts}
    found = {spec.name: mark_of(verdicts.get(spec.protocol_id)) for spec in specs}
    return {
        name: f"fails {why}" if mark == "fails" else f"{mark}: {why}"
        for name, (mark, why) in found.items()
        if mark != "holds"
    }
