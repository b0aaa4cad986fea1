"""Verdicts: by interval and effect, both ways, and never green for what was not measured."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from gate_helpers import CLIPS, cost_record, memory, noisy, rules, run_of, scored, several, timed, with_truth

from thbench.errors import UsageError
from thbench.gate.costs import Costs
from thbench.gate.decide import decide
from thbench.gate.document import GateReport, Measured
from thbench.gate.examine import Side
from thbench.gate.gate import Confirmation, run_gate
from thbench.gate.quality import quality_of
from thbench.gate.rules import Rule, default_rules, parse_rules
from thbench.gate.timing import blocks_of
from thbench.run.info import Planned
from thbench.run.store import Contents
from thbench.stats.shift import enough

TIME = {"metric": "time/end-to-end", "smallest": 0.05}
PSNR = {"metric": "psnr", "smallest": 0.2, "window": 3.0}


def loss(value: float, half: float, pairs: int = 20) -> Measured:
    return Measured(loss=value, low=value - half, high=value + half, pairs=pairs, how="given")


class TestDecide:
    rule = Rule(metric="x", smallest=1.0, window=3.0)

    @pytest.mark.parametrize(
        ("value", "half", "expected"),
        [
            (0.0, 0.5, "fine"),
            (0.0, 0.0, "fine"),
            (2.0, 1.0, "regression"),
            (2.0, 2.5, "undecided"),  # large, but not told apart from none
            (0.9, 0.05, "fine"),  # certain, but does not matter
            (0.9, 0.3, "undecided"),
            (0.0, 4.0, "undecided"),
            (-2.0, 0.5, "fine"),
            (-3.5, 1.0, "protocol-check"),
            (-3.5, 4.0, "fine"),  # a loss is excluded, and a gain beyond the window is not told apart from none
            (1.0, 0.5, "regression"),
        ],
    )
    def test_by_interval_and_effect(self, value: float, half: float, expected: str) -> None:
        assert decide(loss(value, half), self.rule)[0] == expected

    @pytest.mark.parametrize(
        ("value", "half", "expected"),
        [(0.0, 0.5, "fine"), (2.0, 0.5, "regression"), (-2.0, 0.5, "regression"), (-2.0, 2.5, "undecided")],
    )
    def test_the_same_means_neither_way(self, value: float, half: float, expected: str) -> None:
        rule = Rule(metric="x", smallest=1.0, direction="same")
        assert decide(loss(value, half), rule)[0] == expected

    def test_too_noisy_says_how_many_samples_would_tell(self) -> None:
        assert "about 320 samples instead of 20" in decide(loss(0.0, 4.0), self.rule)[1]


def gate(baseline: Side, candidate: Side, *several: Any, **options: Any) -> GateReport:
    return run_gate(baseline, candidate, rules(*several), **options)


class TestTimes:
    def test_equal_code_passes_and_slower_code_is_red_after_a_confirmation(self) -> None:
        rng = np.random.default_rng(0)
        base, same, slow, again = (timed(*several(rng, 40, f)) for f in (1.0, 1.0, 1.15, 1.15))
        assert gate(base, same, TIME).exit_code == 0
        found = gate(base, slow, TIME, confirm=lambda: Confirmation("again", again))
        assert (found.exit_code, found.findings[0].verdict) == (1, "regression")
        assert found.findings[0].confirmation.loss == pytest.approx(0.15, abs=0.03)

    def test_an_unconfirmed_slowdown_is_suspected_and_says_what_to_do(self) -> None:
        rng = np.random.default_rng(1)
        found = gate(timed(*several(rng, 40)), timed(*several(rng, 40, 1.15)), TIME)
        assert (found.exit_code, found.verdict) == (2, "suspected")
        assert "--confirm" in found.findings[0].why

    def test_a_spike_that_does_not_come_again_is_fine(self) -> None:
        rng = np.random.default_rng(2)
        base, spiked, again = (timed(*several(rng, 40, f)) for f in (1.0, 1.5, 1.0))
        found = gate(base, spiked, TIME, confirm=lambda: Confirmation("again", again))
        assert (found.exit_code, found.findings[0].verdict) == (0, "fine")
        assert "not found again" in found.findings[0].why

    def test_the_confirmation_is_made_only_when_something_is_red(self) -> None:
        rng = np.random.default_rng(3)
        found = gate(
            timed(*several(rng, 40)), timed(*several(rng, 40)), TIME, confirm=lambda: pytest.fail("was called")
        )
        assert found.exit_code == 0

    def test_ten_times_slower_is_found_at_every_allowed_number_of_samples(self) -> None:
        rng = np.random.default_rng(4)
        smallest = None
        for a, b, rounds in itertools.product([1, 2, 3, 4, 5, 6, 12, 20], [1, 2, 3, 4, 6, 8, 20], [1, 2, 3, 4, 7, 20]):
            processes = [[noisy(rng, rounds, factor) for _ in range(n)] for n, factor in ((a, 1.0), (b, 10.0))]
            base, slow = (timed(*side) for side in processes)
            found = gate(base, slow, TIME, confirm=lambda slow=slow: Confirmation("again", slow))
            if min(a, b) > 1 and enough(*(len(blocks_of(side)) for side in processes)):
                smallest = smallest or (a, b, rounds)
                assert found.exit_code == 1, (a, b, rounds)
            else:
                assert found.exit_code == 2, (a, b, rounds)
                assert "too few" in found.findings[0].why
        assert smallest == (2, 2, 2)

    def test_one_process_alone_cannot_tell_how_processes_differ(self) -> None:
        """Five percent lie between two processes of equal code, and samples of one do not show it."""
        rng = np.random.default_rng(10)
        found = gate(timed(noisy(rng, 40)), timed(noisy(rng, 40, 1.2)), TIME)
        assert found.exit_code == 2 and "--processes" in found.findings[0].why

    def test_alternating_processes_are_paired_so_that_drift_cancels(self) -> None:
        rng = np.random.default_rng(6)
        drift = np.exp(np.linspace(0, 1, 12))

        def side(turn: int, factor: float) -> Side:
            records = [
                cost_record({"m": [noisy(rng, 3, factor * d)]}, created=f"2026-01-01T00:{2 * i + turn:02}")
                for i, d in enumerate(drift)
            ]
            return Side("side", costs=Costs(tuple(records)))

        base, same, slow = side(0, 1.0), side(1, 1.0), side(1, 1.1)
        assert gate(base, same, TIME).exit_code == 0
        found = gate(base, slow, TIME)
        assert found.verdict == "suspected"
        assert found.findings[0].measured.how.startswith("ranks of pairs")

    def test_another_machine_or_other_work_is_not_compared(self) -> None:
        rng = np.random.default_rng(7)
        base = timed(*several(rng, 20))
        other = cost_record({"m": several(rng, 20)})
        elsewhere = other.model_copy(update={"environment": other.environment.model_copy(update={"cpu": "another"})})
        longer = other.model_copy(update={"workload": other.workload.model_copy(update={"frames": 6})})
        for record, word in ((elsewhere, "processor"), (longer, "frames")):
            found = gate(base, Side("side", costs=Costs((record,))), TIME)
            assert found.exit_code == 2 and word in found.findings[0].why

    def test_allocated_memory_is_counted_so_one_value_is_enough(self) -> None:
        def side(allocated: int) -> Side:
            return Side("side", costs=Costs((cost_record({"m": [[1.0]]}, memory=(memory("m", allocated),)),)))

        rule = {"metric": "memory/allocated", "smallest": 0.05}
        assert gate(side(1000), side(1000), rule).exit_code == 0
        assert gate(side(1000), side(1100), rule).exit_code == 1
        host = gate(side(1000), side(1100), {"metric": "memory/host", "smallest": 0.05})
        assert host.exit_code == 2


class TestQuality:
    rng = np.random.default_rng(8)
    hard = rng.normal(scale=5, size=CLIPS) + 30

    def run(self, change: float, spread: float = 0.05) -> Side:
        values = self.hard + change + spread * np.random.default_rng(9).normal(size=CLIPS)
        return scored(with_truth(values.tolist()))

    def test_unchanged_passes_worse_is_red_and_too_good_asks_for_a_look(self) -> None:
        base = self.run(0.0)
        assert gate(base, base, PSNR).exit_code == 0
        assert gate(base, self.run(-0.1), PSNR).exit_code == 0
        assert gate(base, self.run(-1.0), PSNR).exit_code == 1
        assert gate(base, self.run(1.0), PSNR).exit_code == 0
        good = gate(base, self.run(5.0), PSNR)
        assert (good.exit_code, good.verdict) == (2, "protocol-check")
        assert "check that data, protocol" in good.findings[0].why

    def test_few_people_cannot_tell(self) -> None:
        values = self.hard[:4]
        base = scored(with_truth(values.tolist()))
        other = scored(with_truth((values + [1.0, -1.2, 0.4, -0.9]).tolist()))
        assert gate(base, other, PSNR).exit_code == 2

    def test_videos_that_lost_their_value_are_a_regression(self) -> None:
        base = self.run(0.0)
        values = [*self.hard[:-6].tolist(), *[None] * 6]
        found = gate(base, scored(with_truth(values)), {**PSNR, "smallest": 1.0})
        assert found.exit_code == 1 and "no face (6)" in found.findings[0].why
        few = gate(base, scored(with_truth([*self.hard[:-3].tolist(), *[None] * 3])), {**PSNR, "smallest": 1.0})
        assert few.exit_code == 2 and "no face (3)" in few.findings[0].why
        one = gate(scored(with_truth(self.hard.tolist())), scored(with_truth([None, *self.hard[1:].tolist()])), PSNR)
        assert one.exit_code == 0 and "no face (1)" in one.findings[0].notes[0]
        assert gate(base, scored(with_truth(values)), {**PSNR, "may_lose": 0.5, "smallest": 1.0}).exit_code == 0
        failed = scored(with_truth(self.hard.tolist()), failed=("m-c3",))
        assert gate(scored(with_truth(self.hard.tolist())), failed, PSNR).exit_code == 1

    def test_fewer_clips_are_no_regression_but_said(self) -> None:
        found = gate(self.run(0.0), scored(with_truth(self.hard[:20].tolist())), {**PSNR, "smallest": 1.0})
        assert found.exit_code == 0 and "4 videos of the baseline" in found.findings[0].notes[0]

    def test_an_unfinished_run_is_not_green(self) -> None:
        values = with_truth(self.hard.tolist())
        contents = run_of(values)
        planned = tuple(
            Planned(key=r.key, variant=r.variant, clip=r.clip, identity=r.identity, recipe=r.recipe)
            for r in contents.records
        )
        info = contents.info.model_copy(update={"planned": planned})
        half = Side("half", quality_of(Contents(info, contents.records[:-4])))
        found = gate(scored(values), half, PSNR)
        assert found.exit_code == 2 and "not finished: 4 videos" in found.findings[0].why

    def test_the_real_videos_are_the_control(self) -> None:
        other = {**with_truth(self.hard.tolist()), "ground-truth": [49.0] * CLIPS}
        found = gate(scored(with_truth(self.hard.tolist())), scored(other), PSNR)
        assert (found.exit_code, found.verdict) == (2, "protocol-check")
        assert "the real video" in found.findings[0].why

    def test_another_protocol_is_never_compared(self) -> None:
        other = scored(with_truth(self.hard.tolist()), protocol="other")
        assert gate(self.run(0.0), other, PSNR).verdict == "protocol-check"

    def test_relative_limits(self) -> None:
        rule = {"metric": "psnr", "smallest": 0.02, "relative": True}
        found = gate(self.run(0.0), self.run(-1.0), rule)
        assert found.exit_code == 1
        assert found.findings[0].measured.loss == pytest.approx(1 / 30, rel=0.1)

    def test_closer_to_real(self) -> None:
        def run(shift: float) -> Side:
            return scored(with_truth((50.0 + shift + 0.1 * self.hard).tolist()), direction="closer-to-real")

        rule = {"metric": "psnr", "smallest": 0.5}
        assert gate(run(1.0), run(2.0), rule).exit_code == 1
        assert gate(run(2.0), run(1.0), rule).exit_code == 0

    def test_a_metric_without_direction_needs_one(self) -> None:
        base = scored(with_truth(self.hard.tolist()), direction="none")
        with pytest.raises(UsageError, match="direction = 'same'"):
            gate(base, base, PSNR)
        assert gate(base, base, {**PSNR, "direction": "same"}).exit_code == 0

    def test_small_losses_add_up_against_the_anchor(self) -> None:
        """Each step loses 0.15 dB, less than matters; the third is red beside the anchor."""
        steps = [self.run(-0.15 * i, spread=0.0) for i in range(4)]
        for before, after in itertools.pairwise(steps):
            assert gate(before, after, PSNR).exit_code == 0
        found = gate(steps[2], steps[3], PSNR, anchor=steps[0])
        assert found.exit_code == 1
        assert [f.verdict for f in found.findings if f.against == "anchor"] == ["regression"]


class TestNothingMeasured:
    full = scored(with_truth([30.0 + i for i in range(CLIPS)]))

    def test_an_empty_selection_cannot_tell(self) -> None:
        for rule in (
            {"metric": "psnr", "smallest": 1.0, "variants": "nobody"},
            {"metric": "lse-*", "smallest": 1.0},
            {"metric": "lse-*", "smallest": 1.0, "optional": True},
        ):
            assert gate(self.full, self.full, rule).exit_code == 2

    def test_a_missing_metric_is_never_green(self) -> None:
        rule = {"metric": "psnr", "smallest": 1.0, "optional": True}
        without = scored(with_truth([None] * CLIPS))
        for base, candidate in ((self.full, without), (without, self.full), (without, without)):
            assert gate(base, candidate, rule).exit_code == 2
        found = gate(self.full, without, rule, PSNR)
        assert "not measured in the candidate run" in found.findings[0].why

    def test_a_missing_metric_beside_a_fine_one_is_not_green(self) -> None:
        found = gate(self.full, self.full, PSNR, {"metric": "ssim", "smallest": 0.1})
        assert {f.metric: f.verdict for f in found.findings} == {"psnr": "fine", "ssim": "undecided"}
        assert found.exit_code == 2

    def test_a_variant_that_is_gone(self) -> None:
        both = scored({**with_truth([30.0] * CLIPS), "n": [30.0 + i for i in range(CLIPS)]})
        assert gate(both, self.full, PSNR).exit_code == 2
        found = gate(self.full, both, {**PSNR, "smallest": 99.0})
        assert "only the candidate has n" in found.warnings[0]

    def test_timed_in_one_run_only(self) -> None:
        base = timed(*several(np.random.default_rng(1), 20))
        for sides in ((base, self.full), (self.full, base)):
            assert gate(*sides, TIME, PSNR).exit_code == 2


class TestRules:
    def test_the_first_rule_that_covers_a_metric_judges_it(self) -> None:
        full = TestNothingMeasured.full
        found = gate(full, full, {**PSNR, "smallest": 7.0}, {"metric": "ps*", "smallest": 1.0})
        assert [f.smallest for f in found.findings] == [7.0]

    def test_the_default_rules_are_rules(self) -> None:
        assert len(default_rules().rule) > 5 and all(rule.optional for rule in default_rules().rule)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "rule"),
            ("[[rule]]\nmetric = 'x'", "smallest"),
            ("[[rule]]\nmetric = 'x'\nsmallest = -1", "greater than 0"),
            ("[[rule]]\nmetric = 'x'\nsmallest = 1\nwindows = 2", "windows"),
            ("[[rule]\n", "not valid TOML"),
        ],
    )
    def test_what_is_no_rule_is_refused_by_name(self, text: str, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            parse_rules(text, "rules.toml")
