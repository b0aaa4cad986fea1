"""Every rule against every variant of two runs: pure functions of what the runs hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from thbench.errors import UsageError
from thbench.gate.costs import Costs, cost_loss
from thbench.gate.decide import decide
from thbench.gate.document import Finding
from thbench.gate.outputs import RMSE, distances
from thbench.gate.quality import ColumnKey, Lost, Quality, measured_of, moved_truth, quality_loss
from thbench.report.outcomes import FAILED
from thbench.stats.bootstrap import RESAMPLES

ALPHA = 0.05
"""Chance from which lost values may be bad luck."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from thbench.gate.document import Against, Verdict
    from thbench.gate.noise import Noise
    from thbench.gate.outputs import Shown
    from thbench.gate.rules import Rule, Rules
    from thbench.report.contrast import Unit


@dataclass(frozen=True, slots=True)
class Side:
    """One run as the gate sees it."""

    name: str
    """Its folder."""
    quality: Quality = field(default_factory=Quality)
    """From its records."""
    costs: Costs = field(default_factory=Costs)
    """From its cost records."""
    videos: Mapping[str, Mapping[Unit, Shown]] = field(default_factory=dict)
    """Variant to its videos, as far as they are still there."""
    warnings: tuple[str, ...] = ()
    """From reading it."""

    @property
    def variants(self) -> frozenset[str]:
        """Rows, and what was timed."""
        return self.quality.variants | self.costs.names.keys()

    def measures(self, variant: str) -> frozenset[str]:
        """Metrics of which a variant has a value, and costs that were measured."""
        row = self.quality.rows.get(variant, {})
        scored = frozenset(self.quality.columns[key].metric for key, evidence in row.items() if evidence.scored)
        shown = frozenset({RMSE}) if any(v.path for v in self.videos.get(variant, {}).values()) else frozenset()
        return scored | shown | self.costs.names.get(variant, frozenset())

    @property
    def all_measures(self) -> frozenset[str]:
        """Of all variants together."""
        return frozenset().union(*(self.measures(variant) for variant in self.variants))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs and what they are compared for."""

    baseline: Side
    candidate: Side
    noise: Noise | None = None
    against: Against = "baseline"
    resamples: int = RESAMPLES


def examine(pair: Comparison, rules: Rules) -> tuple[Finding, ...]:
    """All findings of all rules, in their order; a metric of a variant is judged by the first rule that covers it.

    Raises:
        UsageError: A rule gives no direction for a metric that has none.
    """
    found: list[Finding] = []
    judged: set[tuple[str, str]] = set()
    for rule in rules.rule:
        findings = list(_of_rule(pair, rule, judged))
        if not findings and not rule.optional and not _judged_elsewhere(rule, judged):
            findings = [_finding(pair, rule, rule.metric, "*", "undecided", _unmet(pair, rule))]
        judged.update((finding.metric, finding.variant) for finding in findings)
        found += findings
    return tuple(found)


def _judged_elsewhere(rule: Rule, judged: set[tuple[str, str]]) -> bool:
    return any(rule.covers(metric, variant) for metric, variant in judged)


def _of_rule(pair: Comparison, rule: Rule, judged: set[tuple[str, str]]) -> Iterator[Finding]:
    ours, theirs = pair.baseline, pair.candidate
    for variant in sorted(ours.variants):
        for metric in sorted(ours.measures(variant) | theirs.measures(variant)):
            # What says nothing of good or bad is judged only where a rule names it, and not by a glob of metrics.
            if rule.covers(metric, variant) and (metric, variant) not in judged and (metric != RMSE or rule.is_output):
                yield _judge(pair, rule, metric, variant)


def _unmet(pair: Comparison, rule: Rule) -> str:
    """Why a rule has nothing to judge."""
    known = pair.baseline.all_measures | pair.candidate.all_measures
    if not any(rule.covers(metric, variant) for metric in known for variant in pair.baseline.variants):
        return f"neither run has measured {rule.metric!r} of a variant {rule.variants!r}"
    return f"nothing to judge for {rule.metric!r}"


def _judge(pair: Comparison, rule: Rule, metric: str, variant: str) -> Finding:
    ours, theirs = pair.baseline, pair.candidate
    if variant not in theirs.variants:
        return _finding(pair, rule, metric, variant, "undecided", "the candidate run has no such variant")
    for side, who in ((ours, "baseline"), (theirs, "candidate")):
        if metric not in side.measures(variant):
            return _finding(pair, rule, metric, variant, "undecided", f"not measured in the {who} run")
    if rule.is_cost:
        loss = cost_loss(ours.costs, theirs.costs, variant, metric, pair.noise)
        if loss.measured is None:
            return _finding(pair, rule, metric, variant, "undecided", loss.reason)
        return _finding(pair, rule, metric, variant, *decide(loss.measured, rule), measured=loss.measured)
    if rule.is_output:
        sides = distances(ours.videos[variant], theirs.videos[variant])
        return _judge_lost(
            pair, rule, metric, variant, quality_loss(*sides, "lower", resamples=pair.resamples), "levels"
        )
    return _judge_quality(pair, rule, metric, variant)


def _judge_quality(pair: Comparison, rule: Rule, metric: str, variant: str) -> Finding:
    ours, theirs = pair.baseline.quality, pair.candidate.quality
    shared = ours.keys_of(metric) & theirs.keys_of(metric)
    both = [key for key in sorted(shared, key=str) if key in ours.rows[variant] and key in theirs.rows[variant]]
    if not both:
        why = f"the two runs measure {metric} in different ways: another version, protocol, frame rate or face pass"
        return _finding(pair, rule, metric, variant, "protocol-check", why)
    if moved := moved_truth(ours, theirs, frozenset(both)):
        return _finding(pair, rule, metric, variant, "protocol-check", moved)
    return _judge_column(pair, rule, metric, variant, both[0])


def _judge_column(pair: Comparison, rule: Rule, metric: str, variant: str, key: ColumnKey) -> Finding:
    column = pair.baseline.quality.columns[key]
    direction = rule.direction or column.direction
    if direction == "none":
        raise UsageError(f"{metric} has no direction; say in the rule which way is better, e.g. direction = 'same'")
    lost = quality_loss(
        pair.baseline.quality.rows[variant][key],
        pair.candidate.quality.rows[variant][key],
        "lower" if direction == "same" else direction,
        resamples=pair.resamples,
    )
    return _judge_lost(pair, rule, metric, variant, lost, column.unit)


def _judge_lost(pair: Comparison, rule: Rule, metric: str, variant: str, lost: Lost, unit: str) -> Finding:
    measured = measured_of(lost.contrast, relative=rule.is_relative)
    more = {
        "measured": None if isinstance(measured, str) else measured,
        "unit": unit,
        "notes": tuple(_notes(lost)),
    }
    if FAILED in lost.lost and lost.contrast.pairs:
        return _finding(pair, rule, metric, variant, "regression", _lost_values(lost), **more)
    verdict: Verdict = "undecided"
    why = measured if isinstance(measured, str) else ""
    if not isinstance(measured, str):
        verdict, why = decide(measured, rule)
    if verdict == "fine" and lost.unfinished:
        verdict, why = "undecided", f"the candidate run is not finished: {lost.unfinished} videos have not been made"
    if verdict == "fine" and lost.share > rule.may_lose:
        verdict, why = "regression" if lost.chance < ALPHA else "undecided", _lost_values(lost)
    return _finding(pair, rule, metric, variant, verdict, why, **more)


def _lost_values(lost: Lost) -> str:
    reasons = "; ".join(f"{reason} ({count})" for reason, count in lost.lost.items())
    return f"{sum(lost.lost.values())} videos that had a value have none any more: {reasons}"


def _notes(lost: Lost) -> Iterator[str]:
    if lost.lost:
        yield _lost_values(lost)
    if lost.not_planned:
        yield f"{lost.not_planned} videos of the baseline are not part of the candidate run"
    if lost.new:
        yield f"{lost.new} videos have a value in the candidate run only"


def _finding(
    pair: Comparison, rule: Rule, metric: str, variant: str, verdict: Verdict, why: str, **more: object
) -> Finding:
    return Finding.model_validate(
        {
            "metric": metric,
            "variant": variant,
            "against": pair.against,
            "verdict": verdict,
            "why": why,
            "smallest": rule.smallest,
            "window": rule.window,
            "relative": rule.is_relative,
            **more,
        }
    )


def confirmed(finding: Finding, again: Iterable[Finding], where: str) -> Finding:
    """A red finding after the second measurement: red only if that is red as well.

    Args:
        finding: A regression of the first measurement.
        again: The findings of the second.
        where: What the second measurement was.
    """
    same = next((f for f in again if (f.metric, f.variant) == (finding.metric, finding.variant)), None)
    if same is None:
        why = f"{finding.why}; the confirmation {where} did not measure it"
        return finding.model_copy(update={"verdict": "suspected", "why": why})
    update = {"confirmation": same.measured}
    if same.verdict == "regression":
        return finding.model_copy(update={**update, "why": f"{finding.why}; found again by the confirmation"})
    if same.verdict == "fine":
        why = f"not found again: {finding.why}; the confirmation says: {same.why}"
        return finding.model_copy(update={**update, "verdict": "fine", "why": why})
    why = f"{finding.why}; the confirmation cannot tell: {same.why}"
    return finding.model_copy(update={**update, "verdict": "suspected", "why": why})


def unconfirmed(finding: Finding, rules: Rules) -> Finding:
    """A red finding without a second measurement.

    Quality of the same clips and seeds has nothing random between two runs of the same code, so its regressions stand.
    Times may be a spike of the machine, so they are only suspected.
    """
    rule = next((r for r in rules.rule if r.covers(finding.metric, finding.variant)), None)
    if rule is None or not rule.is_cost or finding.measured is None or finding.measured.how.startswith("counted"):
        return finding
    why = f"{finding.why}; measure again and give --confirm RUN, or let --confirm-command do it"
    return finding.model_copy(update={"verdict": "suspected", "why": why})


def against_anchor(pair: Comparison, anchor: Side) -> Comparison:
    """The same candidate compared with the anchor."""
    return replace(pair, baseline=anchor, against="anchor")
