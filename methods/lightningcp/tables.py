"""The operation counts of the paper's Tables 1 and 2, recomputed from our networks on meta tensors.

What the paper does not say is stated with each row (`assumption`), and what is left unexplained is its residual. Key
steps are not published: how many there are follows from the counts, and which they are does not change them.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.echomimic.config import ACCELERATED
from thbench_methods.echomimic.config import PAPER as ECHOMIMIC
from thbench_methods.echomimic.flops import offer as echomimic_offer
from thbench_methods.hallo.flops import offer as hallo_offer
from thbench_methods.lightningcp.published import TABLE_1, TABLE_2, PublishedRow
from thbench_methods.memo.config import PAPER as MEMO
from thbench_methods.memo.flops import offer as memo_offer

from thbench.accel import EveryStep, ForegroundAttention, LightningCP, ReferenceRemoval, deep_cache, faster_diffusion
from thbench.cost.planned import count_loop, dtype_of
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from thbench.accel.moves import Plan
    from thbench.cost.offer import Offer


@dataclass(frozen=True, slots=True)
class Model:
    """A base model of the paper."""

    offer: Callable[[], Offer]
    """Its networks on the meta device."""
    key_steps: tuple[int, ...]
    """As many as the paper's counts imply; which ones is our choice."""
    faster_key_steps: tuple[int, ...] | None = None
    """Those of Faster Diffusion, where the paper gives it others."""
    note: str = ""
    """What is assumed of the network itself."""


MODELS = {
    "Hallo": Model(partial(hallo_offer, "paper"), (0, 1, 2, 3, 6, 10, 15, 20, 26, 32, 38)),
    "EchoMimic": Model(
        partial(echomimic_offer, "paper"), ECHOMIMIC.sampling.key_steps, (0, 1, 2, 3, 5, 7, 9, 14, 18, 22, 26)
    ),
    "EchoMimic Acc": Model(partial(echomimic_offer, "accelerated"), ACCELERATED.sampling.key_steps),
    "MEMO": Model(
        partial(memo_offer, "paper"),
        MEMO.sampling.key_steps,
        note="sizes of the denoising network assumed; all attention counted, of which the paper's counter missed some",
    ),
}
"""Name in the paper to what is counted for it."""

NOTABLE = 0.005
"""Residual from which a row of Faster Diffusion is said not to fit."""
ATTENTION_ONLY = (
    "foreground attention restricts the attentions of the last up layer with their projections, and no cross-attention "
    "or feed-forward"
)
REMOVAL = (
    "reference removed in the last up layer on steps that are not key steps, and the second attention of the "
    "unconditional half with it"
)


class Recomputed(Document):
    """A published count beside ours."""

    published: PublishedRow
    """The row."""
    tflop: float
    """Ours, 10^12 operations per clip."""
    residual: float
    """Ours over the published one, less 1."""
    key_steps: int
    """Steps that run the whole network."""
    steps: int
    """Denoising steps."""
    foreground: float | None = None
    """Share of foreground that is taken, range [0, 1]; None where it does not matter."""
    assumption: str = ""
    """What is taken for granted that the paper does not say."""


FASTER_MISFIT = "the key steps that the paper states for Faster Diffusion do not give its count here; see the residual"


class Recount(Document):
    """All rows of Tables 1 and 2 that were counted anew."""

    schema_version: int = 1
    """Version of this layout."""
    rows: tuple[Recomputed, ...]
    """In the paper's order within each model."""


def recomputed(models: tuple[str, ...] = tuple(MODELS)) -> tuple[Recomputed, ...]:
    """Return Tables 1 and 2 of some models, counted anew; a minute or so for each."""
    return tuple(row for model in models for row in _model(model))


def _model(name: str) -> Iterator[Recomputed]:
    model = MODELS[name]
    offer = model.offer()
    counter = _Counter(offer)
    published = [row for row in (*TABLE_1, *TABLE_2) if row.model == name]
    restricted = next(row.tflop for row in published if row.variant == "LCP+DFA")
    share = counter.share_of(model.key_steps, restricted or math.nan)
    steps = offer.denoising.steps if offer.denoising else 0
    for row in published:
        keys = model.key_steps
        if row.variant == "FasterDiffusion":
            keys = model.faster_key_steps or keys
        plan, assumed = _plan(row.variant, keys, share, counter.side)
        tflop = counter.tflop(plan)
        residual = tflop / row.tflop - 1 if row.tflop else math.nan
        if row.variant == "FasterDiffusion" and abs(residual) > NOTABLE:
            assumed = FASTER_MISFIT
        yield Recomputed(
            published=row,
            tflop=tflop,
            residual=residual,
            key_steps=steps if isinstance(plan, EveryStep) else len(keys),
            steps=steps,
            foreground=_cells(share, counter.side) / counter.side**2 if _restricts(plan) else None,
            assumption="; ".join(part for part in (assumed, model.note) if part),
        )


def _plan(variant: str, keys: tuple[int, ...], share: float, side: int) -> tuple[Plan, str]:
    dfa, removal = ForegroundAttention(_mask(share, side)), ReferenceRemoval()
    solved = f"foreground share solved from the row LCP+DFA, {share:.3f}; {ATTENTION_ONLY}"
    if share in (0.0, 1.0):
        solved = f"no foreground share explains the row LCP+DFA, {share:.0f} is nearest; {ATTENTION_ONLY}"
    both = f"{solved}; {REMOVAL}"
    plans: dict[str, tuple[Plan, str]] = {
        "base": (EveryStep(), ""),
        "DeepCache": (deep_cache(keys, "original"), ""),
        "FasterDiffusion": (faster_diffusion(keys), ""),
        "LightningCP": (LightningCP(keys, changes=(dfa, removal)), both),
        "LCP": (LightningCP(keys), ""),
        "LCP+DFA": (LightningCP(keys, changes=(dfa,)), solved),
        "LCP+DFA+rm": (LightningCP(keys, changes=(dfa, removal)), both),
    }
    return plans[variant]


def _restricts(plan: Plan) -> bool:
    return any(isinstance(change, ForegroundAttention) for change in plan.changes)


def _cells(share: float, side: int) -> int:
    return round(share * side * side)


def _mask(share: float, side: int) -> torch.Tensor:
    """Return a foreground (side, side) of a share; which cells they are does not change the count."""
    return (torch.arange(side * side) < _cells(share, side)).view(side, side)


class _Counter:
    def __init__(self, offer: Offer) -> None:
        if offer.denoising is None:
            raise ValueError("a model without a sampler loop")
        self.denoising, self.dtype = offer.denoising, dtype_of(offer.dtype)
        self.side = self.denoising.noise.shape[-1]

    def tflop(self, plan: Plan) -> float:
        parts = count_loop(self.denoising, plan, self.dtype)
        return sum(counted.part.calls * counted.part.flops for counted in parts) / 1e12

    def share_of(self, keys: tuple[int, ...], tflop: float) -> float:
        """Return the foreground share in [0, 1] at which LCP+DFA costs so much, the nearest if there is none.

        Costs are a polynomial of degree 2 in the share: projections grow with it, attention with its square.
        """
        none, half, whole = (
            self.tflop(LightningCP(keys, changes=(ForegroundAttention(_mask(p, self.side)),))) for p in (0.0, 0.5, 1.0)
        )
        square, line = 2 * (none + whole) - 4 * half, 4 * half - 3 * none - whole
        inside = line**2 - 4 * square * (none - tflop)
        if tflop <= none or inside < 0:
            return 0.0
        return min(1.0, 2 * (tflop - none) / (line + math.sqrt(inside)))


def markdown(rows: Sequence[Recomputed]) -> str:
    """Return the counts as a table, with what they take for granted below it."""
    assumptions = list(dict.fromkeys(row.assumption for row in rows if row.assumption))
    lines = [
        "| table | model | variant | key steps | published TFLOP | ours | residual | foreground | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        own = row.published
        share = "" if row.foreground is None else f"{row.foreground:.1%}"
        note = f"[{assumptions.index(row.assumption) + 1}]" if row.assumption else ""
        lines.append(
            f"| {own.table} | {own.model} | {own.variant} | {row.key_steps}/{row.steps} | {own.tflop:.2f} | "
            f"{row.tflop:.2f} | {row.residual:+.2%} | {share} | {note} |"
        )
    notes = [f"{number}. {text}" for number, text in enumerate(assumptions, start=1)]
    return "\n".join([*lines, "", *notes, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Count anew and write `lightningcp.json` and `lightningcp.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/paper"), help="folder (default: reports/paper)")
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between (default: all)")
    args = parser.parse_args(arguments)
    rows = recomputed(tuple(args.models.split(",")))
    args.out.mkdir(parents=True, exist_ok=True)
    document = Recount(rows=rows).model_dump_json(indent=1) + "\n"
    (args.out / "lightningcp.json").write_text(document, encoding="utf-8")
    (args.out / "lightningcp.md").write_text(markdown(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
