"""Puts KDTalker's claims to the test with its small preset, and its held-out scores onto its card.

`python -m thbench_methods.kdtalker.claims FOLDER` writes `claims.json` of a run or report.

The ablation without spatiotemporal attention is trained as long as the shipped network, by the same recipe; its weights
stay in the folder of trainings.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import face, judge, made, measured, one_of_each, read_held
from thbench_methods.common.training import keep_scores, tell
from thbench_methods.kdtalker.bundle import FILE, Bundle, load_mini
from thbench_methods.kdtalker.config import MINI
from thbench_methods.kdtalker.pipeline import KDTalker
from thbench_methods.kdtalker.train import RECIPE, denoiser_task, features
from thbench_methods.nets.liveportrait.examples import open_examples
from thbench_methods.nets.speech.train import heard

from thbench.data.synth_heads.cache import data_folder, split_folder
from thbench.data.synth_heads.dataset import clips_of
from thbench.report.claims import Claim
from thbench.stats import mean_estimate
from thbench.training import fit
from thbench.training.weights import load_weights, save_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench_methods.common.judging import Held

PAPER = "Yang et al., arXiv 2503.12963"
SEEDS, DIVERSITY_CLIPS = 8, 6
WITHOUT_ATTENTION = replace(MINI, sizes=replace(MINI.sizes, attention=False))


def claims(clips: Sequence[Held], ablation: Path) -> tuple[Claim, ...]:
    """Test every claim.

    Args:
        clips: Held-out ones.
        ablation: Weights of the network without attention.
    """
    method = KDTalker("mini")
    return (*diversity(method, clips[:DIVERSITY_CLIPS]), attention(method, without_attention(ablation), clips))


def diversity(method: KDTalker, clips: Sequence[Held]) -> tuple[Claim, Claim]:
    """Head pose over time against real clips, and over eight seeds."""
    ratios, spreads, people = [], [], []
    for held in clips:
        rows = [face(made(method, held.request(seed))) for seed in range(SEEDS)]
        ratios.append(np.mean([row.pose_diversity for row in rows]) / face(held.frames).pose_diversity)
        spreads.append(np.stack([row.pose for row in rows]).std(axis=0, dtype=np.float64).mean())
        people.append(held.clip.identity)
    ratio, spread = (mean_estimate([float(v) for v in values], people) for values in (ratios, spreads))
    common = {"method": "kdtalker", "source": f"{PAPER}, table 1"}
    return (
        Claim(
            **common,
            statement="Head motion is at least as diverse as in real videos.",
            expected="diversity 0.760 against 0.639 of real videos",
            measured=f"pose diversity over {SEEDS} seeds as a share of the real clip's: {in_words(ratio)}",
            verdict=above(ratio, 1.0),
            reason="Deviation of yaw, pitch and roll over time by the mini face regressor, not of Hopenet's logits.",
        ),
        Claim(
            **common,
            statement="One speech and one portrait give different head motion for different seeds.",
            expected="the title's pose diversity; no number",
            measured=f"deviation of head pose over {SEEDS} seeds, frame by frame: {in_words(spread, ' degrees')}",
            verdict=above(spread),
            reason="Read by the mini face regressor.",
        ),
    )


def attention(full: KDTalker, ablated: KDTalker, clips: Sequence[Held]) -> Claim:
    """Lip sync with and without spatiotemporal attention, on the same clips."""
    falls, means, people = [], [], []
    for held in clips:
        pair = [judge(held, made(method, held.request())).lse_c for method in (full, ablated)]
        falls.append(pair[0] - pair[1])
        means.append(pair)
        people.append(held.clip.identity)
    fall = mean_estimate(falls, people)
    ours, theirs = np.mean(means, axis=0)
    return Claim(
        method="kdtalker",
        statement="Without spatiotemporal attention lip sync falls.",
        source=f"{PAPER}, table 3",
        expected="LSE-C 7.326 with, 1.360 without",
        measured=f"LSE-C (mini) {ours:.3g} with, {theirs:.3g} without; fall {in_words(fall)}",
        verdict=above(fall),
        reason=f"Both small networks trained by the same recipe for {RECIPE.steps} steps.",
    )


def without_attention(path: Path) -> KDTalker:
    """Return the small preset with the ablated denoiser."""
    bundle = Bundle(WITHOUT_ATTENTION)
    load_weights(path, bundle)
    return KDTalker("mini").with_networks(WITHOUT_ATTENTION, bundle)


def train_without_attention(path: Path, data: Path, clips: int | None) -> None:
    """Train the ablation with the shipped audio encoder and statistics, unless it is there."""
    if path.exists():
        return
    shipped = load_mini(MINI)
    torch.manual_seed(RECIPE.seed)
    ablated = Bundle(WITHOUT_ATTENTION)
    ablated.audio.load_state_dict(shipped.audio.state_dict())
    ablated.keep(shipped.statistics)
    examples = open_examples(data, clips)
    task = denoiser_task(ablated, examples, features(ablated, heard(examples.pictures)))
    fit(task, RECIPE, path.parent, on_point=tell)
    save_weights(path, ablated.state_dict(), torch.float16)


def main() -> None:
    """Train the ablation, test, and write the claims."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.kdtalker.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report; holds claims.json")
    parser.add_argument("--data", type=Path, default=split_folder("train", 128, 4.0), help="train split (%(default)s)")
    parser.add_argument("--clips", type=int, help="how many of its clips, from the first; all by default")
    parser.add_argument("--test-clips", type=int, default=16, help="held-out clips (%(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(1)
    ablation = data_folder().parent / "training" / "kdtalker-without-attention" / "mini.safetensors"
    train_without_attention(ablation, options.data, options.clips)
    clips = one_of_each(clips_of())
    keep_scores(FILE, measured(KDTalker("mini"), clips))
    keep_claims(options.folder, claims(list(read_held(clips[: options.test_clips])), ablation))


if __name__ == "__main__":
    main()
