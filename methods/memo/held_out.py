"""What the small MEMO is worth for people it never saw: one clip of each person of the test split.

`python -m thbench_methods.memo.held_out` generates the clips by the shipped weights and puts the scores on their card,
with how often the emotion is heard that somebody speaks with.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.judging import IMAGE_DIFFUSION_BARS, mean_score, measured, one_of_each
from thbench_methods.common.sound import RATE
from thbench_methods.common.training import keep_scores
from thbench_methods.memo.bundle import FILE
from thbench_methods.memo.emotion import felt, most_often
from thbench_methods.memo.pipeline import MEMO

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.media import read_audio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench.training import Score
    from thbench.types import Clip


def emotions_heard(method: MEMO, clips: Sequence[Clip]) -> Score:
    """Return how often the emotion of clips of synth-heads is the one that is heard in them most of the time."""
    fps, names, right = method.config.fps, method.config.emotions, []
    abouts = [truth_of(clip).about for clip in clips]
    for clip, about in zip(clips, abouts, strict=True):
        sound = read_audio(clip.path).samples
        heard = most_often(felt(sound, max(1, round(len(sound) / RATE * fps)), fps, method.bundle.feel))
        right.append(float(heard == names.index(about.emotion)))
    protocol = f"share of clips in whose sound most seconds have their emotion; by chance {1 / len(names):.3g}"
    return mean_score("emotion heard", right, [about.identity for about in abouts], "", protocol)


def main() -> int:
    """Measure the shipped weights and renew their card."""
    torch.set_num_threads(1)
    method, clips = MEMO("mini"), clips_of()
    keep_scores(FILE, (*measured(method, one_of_each(clips), IMAGE_DIFFUSION_BARS), emotions_heard(method, clips)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
