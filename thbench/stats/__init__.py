"""Statistics of clips: means, intervals over identities, paired differences."""

from thbench.stats.bootstrap import (
    Estimate,
    Interval,
    PairedDifference,
    mean_estimate,
    paired_difference,
    resample_counts,
)

__all__ = ["Estimate", "Interval", "PairedDifference", "mean_estimate", "paired_difference", "resample_counts"]
