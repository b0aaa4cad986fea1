"""Puts MoDA's claims to the test with its small preset, and its held-out scores onto its card.

`python -m thbench_methods.moda.claims FOLDER` writes `claims.json` of a run or report.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import face, judge, made, measured, one_of_each, read_held
from thbench_methods.common.training import keep_scores
from thbench_methods.moda.bundle import FILE
from thbench_methods.moda.config import EMOTIONS
from thbench_methods.moda.pipeline import MoDA

from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.emotion import EMOTIONS as OF_THE_DATA
from thbench.data.synth_heads.emotion import RECIPES
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.report.claims import Claim
from thbench.stats import mean_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held

    from thbench.report.claims import Verdict
    from thbench.stats import Estimate

PAPER = "Li et al., arXiv 2507.03256"
FEW, MANY = 10, 50
NEUTRAL = EMOTIONS.index("neutral")
ASKED = tuple(n for n in range(len(EMOTIONS)) if n != NEUTRAL)
"""Emotions that have an expression of their own."""


def claims(clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Test every claim on held-out clips."""
    method = MoDA("mini")
    return (*steps(method, clips), emotion(method, clips))


def steps(method: MoDA, clips: Sequence[Held]) -> tuple[Claim, Claim]:
    """Ten steps against fifty, on the same clips and seeds."""
    few, many = (
        [judge(held, made(method, held.request(controls={"steps": count}))) for held in clips] for count in (FEW, MANY)
    )
    people = [row.person for row in few]
    sync = mean_estimate([a.lse_c - b.lse_c for a, b in zip(few, many, strict=True)], people)
    same = mean_estimate([a.similarity - b.similarity for a, b in zip(few, many, strict=True)], people)
    means = [np.mean([row.lse_c for row in rows]) for rows in (few, many)]
    common = {
        "method": "moda",
        "source": f"{PAPER}; reviews of the paper quote the step from 50 to 10",
        "expected": "no loss; no number is published",
    }
    return (
        Claim(
            **common,
            statement=f"{FEW} steps are as good in lip sync as {MANY}.",
            measured=f"LSE-C (mini) {means[0]:.3g} with {FEW}, {means[1]:.3g} with {MANY}; difference {in_words(sync)}",
            verdict=not_below(sync),
        ),
        Claim(
            **common,
            statement=f"{FEW} steps keep the identity as well as {MANY}.",
            measured=f"difference of the cosine to the portrait: {in_words(same)}",
            verdict=not_below(same),
        ),
    )


def emotion(method: MoDA, clips: Sequence[Held]) -> Claim:
    """Whether the face moves towards the emotion that is asked for."""
    hits, people = [], []
    for number, held in enumerate(clips):
        asked = ASKED[number % len(ASKED)]
        plain, led = (
            face(made(method, held.request(controls={"emotion": name}))).expression.mean(axis=0)
            for name in ("neutral", EMOTIONS[asked])
        )
        hits.append(float(nearest_emotion(led - plain) == asked))
        people.append(held.clip.identity)
    share = mean_estimate(hits, people)
    chance = 1 / len(ASKED)
    return Claim(
        method="moda",
        statement="The emotion that is asked for shows on the face.",
        source=f"{PAPER}, emotion control",
        expected="no number is published",
        measured=f"share of clips whose expression moves most towards the asked one of {len(ASKED)} emotions:"
        f" {in_words(share)}; chance {chance:.3g}",
        verdict=above(share, chance),
        reason="Read by the mini face regressor; the move is from the same clip generated as neutral.",
    )


def nearest_emotion(move: NDArray[np.floating]) -> int:
    """Return the emotion towards which an expression (53,) moved: the largest cosine with the generator's recipes."""
    names = [OF_THE_DATA[n] for n in ASKED]
    recipes = np.array([[RECIPES[name].face.get(e, 0.0) for e in EXPRESSIONS] for name in names])
    return int(ASKED[int(np.argmax(recipes @ move / np.linalg.norm(recipes, axis=1)))])


def not_below(difference: Estimate) -> Verdict:
    """Return whether a difference is not below zero beyond its interval."""
    return "fail" if above(difference) == "fail" else "pass"


def main() -> None:
    """Test, and write the claims."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.moda.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report; holds claims.json")
    parser.add_argument("--test-clips", type=int, default=16, help="held-out clips (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = one_of_each(clips_of())
    keep_scores(FILE, measured(MoDA("mini"), clips))
    keep_claims(options.folder, claims(list(read_held(clips[: options.test_clips]))))


if __name__ == "__main__":
    main()
