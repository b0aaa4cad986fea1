"""From a loss with its interval to a verdict. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thbench.gate.document import Measured, Verdict
    from thbench.gate.rules import Rule


def decide(measured: Measured, rule: Rule) -> tuple[Verdict, str]:
    """Judge by interval and effect: a regression is told apart from no loss, and it matters.

    - regression: the interval excludes 0, and the estimate is at least the smallest loss that matters;
    - protocol-check: the interval excludes 0 on the other side, and the gain is at least the window;
    - fine: the interval excludes a loss that matters;
    - undecided: neither; more samples would tell.

    Args:
        measured: The loss. For the direction `same` the signed change.
        rule: Its limits.

    Returns:
        Verdict and why, one sentence.
    """
    if rule.direction == "same":
        return _decide_same(measured, rule)
    if measured.low > 0 and measured.loss >= rule.smallest:
        return "regression", "worse by what matters, and told apart from no loss"
    if rule.window is not None and measured.high < 0 and -measured.loss >= rule.window:
        return "protocol-check", (
            "better than the window allows: check that data, protocol and method are what they were, then renew the "
            "baseline"
        )
    if measured.high < rule.smallest:
        return "fine", "a loss that matters is excluded"
    return "undecided", _too_wide(measured, rule)


def _decide_same(measured: Measured, rule: Rule) -> tuple[Verdict, str]:
    changed = measured.low > 0 or measured.high < 0
    if changed and abs(measured.loss) >= rule.smallest:
        return "regression", "changed by what matters, and told apart from no change"
    if -rule.smallest < measured.low and measured.high < rule.smallest:
        return "fine", "a change that matters is excluded"
    return "undecided", _too_wide(measured, rule)


def _too_wide(measured: Measured, rule: Rule) -> str:
    """What is missing for a decision."""
    half = (measured.high - measured.low) / 2
    if half < rule.smallest:
        return "between fine and worse: the interval holds both; measure more"
    times = (half / rule.smallest) ** 2
    return (
        f"the interval is too wide: about {_count(times * measured.pairs)} samples instead of {measured.pairs} would "
        "tell, or a quieter machine"
    )


def _count(number: float) -> str:
    return f"{number:.0f}" if number < 1e6 else f"{number:.1g}"
