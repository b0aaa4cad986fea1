"""What the small Hallo is worth for people it never saw: one clip of each person of the test split.

`python -m thbench_methods.hallo.held_out` generates the clips by the shipped weights and puts the scores on their card.
"""

from __future__ import annotations

import sys

import torch
from thbench_methods.common.judging import IMAGE_DIFFUSION_BARS, measured, one_of_each
from thbench_methods.common.training import keep_scores
from thbench_methods.hallo.bundle import FILE
from thbench_methods.hallo.pipeline import Hallo


def main() -> int:
    """Measure the shipped weights and renew their card."""
    from thbench.data.synth_heads.dataset import clips_of

    torch.set_num_threads(1)
    keep_scores(FILE, measured(Hallo("mini"), one_of_each(clips_of()), IMAGE_DIFFUSION_BARS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
