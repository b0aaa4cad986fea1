"""Statistics of clips: means, intervals over identities, paired differences, ranks."""

from thbench.stats.bootstrap import (
    Estimate,
    Interval,
    PairedDifference,
    mean_estimate,
    paired_difference,
    resample_counts,
)
from thbench.stats.jackknife import jackknife
from thbench.stats.power import detectable, identities_needed
from thbench.stats.ranks import rank_groups
from thbench.stats.significance import holm, p_value

__all__ = [
    "Estimate",
    "Interval",
    "PairedDifference",
    "detectable",
    "holm",
    "identities_needed",
    "jackknife",
    "mean_estimate",
    "p_value",
    "paired_difference",
    "rank_groups",
    "resample_counts",
]
