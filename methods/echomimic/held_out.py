"""What the small EchoMimic is worth for people it never saw: one clip of each person of the test split.

`python -m thbench_methods.echomimic.held_out` generates the clips by the shipped weights of EchoMimic and of EchoMimic
Acc and puts the scores on their cards.
"""

from __future__ import annotations

import sys

import torch
from thbench_methods.common.judging import IMAGE_DIFFUSION_BARS, measured, one_of_each
from thbench_methods.common.training import keep_scores
from thbench_methods.echomimic.acc.pipeline import EchoMimicAcc
from thbench_methods.echomimic.bundle import ACC_FILE, FILE
from thbench_methods.echomimic.pipeline import EchoMimic


def main() -> int:
    """Measure the shipped weights and renew their cards."""
    from thbench.data.synth_heads.dataset import clips_of

    torch.set_num_threads(1)
    held = one_of_each(clips_of())
    for build, file in ((EchoMimic, FILE), (EchoMimicAcc, ACC_FILE)):
        keep_scores(file, measured(build("mini"), held, IMAGE_DIFFUSION_BARS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
