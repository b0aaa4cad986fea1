"""Statements of papers that were put to the test: verdicts by intervals, and where a method keeps its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.claims import write_claims

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thbench.report.claims import Claim, Verdict
    from thbench.stats import Estimate


def keep_claims(folder: Path, claims: Sequence[Claim]) -> Path:
    """Write all claims of one method to `claims/METHOD.json` of a run folder, in the place of those that it held.

    Raises:
        ValueError: No claims, or of several methods.
        WriteError: The file cannot be written.
    """
    (method,) = {claim.method for claim in claims}
    return write_claims(folder, method, claims)


def above(estimate: Estimate, bound: float = 0.0) -> Verdict:
    """Return whether a mean lies above a bound, by its 95 % interval."""
    ends = estimate.interval
    if ends is None or ends.low <= bound <= ends.high:
        return "cannot tell"
    return "pass" if ends.low > bound else "fail"


def in_words(estimate: Estimate, unit: str = "") -> str:
    """Return a mean with its interval and what is behind it."""
    ends = estimate.interval
    interval = "no interval" if ends is None else f"95 % interval {ends.low:.3g} to {ends.high:.3g}"
    return f"{estimate.value:.3g}{unit} ({interval}, n = {estimate.n}, {estimate.clusters} people)"
