"""What accelerated variants of a run have to show: the receipts in its folder.

`receipts/*.json` of a run folder hold receipts (`thbench.accel.receipts`) with the variant, the clip and the seed that
each is of. They stand on the pages of their variants.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from thbench.accel.receipts import Receipt
from thbench.errors import UsageError
from thbench.run.files import write_atomically
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

RECEIPTS_FOLDER = "receipts"
"""Folder of a run folder that holds receipts, `*.json`."""


class VariantReceipt(Document):
    """The receipt of one clip of one accelerated variant."""

    variant: str
    """Which, e.g. `kdtalker@mini+lightningcp`."""
    baseline: str
    """The unaccelerated one."""
    clip: str
    """Clip id."""
    seed: int = 0
    """Seed of both generations."""
    receipt: Receipt
    """What it has to show."""


class Receipts(Document):
    """All receipts of a run."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    receipts: tuple[VariantReceipt, ...]
    """In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class ReceiptSummary:
    """The receipts of one variant together."""

    baseline: str
    """The unaccelerated variant."""
    plans: tuple[str, ...]
    """In words; one if all clips had the same."""
    clips: int
    """Clips with a receipt."""
    steps: tuple[int, int]
    """Denoising steps of a clip, unaccelerated and accelerated."""
    evaluations: float
    """Calls of the denoiser in a clip, mean."""
    cached: float
    """Share of the steps that were no full passes, range [0, 1]."""
    flop_ratio: float
    """Unaccelerated operations over accelerated ones, all clips together."""
    latent_change: float
    """Mean over clips of the relative change of the clean latents."""
    psnr: float | None
    """dB, mean over clips; None where no clip was decoded."""
    ssim: float | None
    """Mean over clips."""
    lpips: float | None
    """Mean over clips; None where the network was not given."""
    weights: str
    """SHA-256 of the network that both used; empty if clips differ in it."""


def read_receipts(folder: Path) -> Receipts | None:
    """The receipts of a run folder, in order of their files' names; None if there are none.

    Raises:
        UsageError: A file is not of this layout, or two receipts are of one clip and seed of a variant.
    """
    files = sorted((folder / RECEIPTS_FOLDER).glob("*.json"))
    found: dict[tuple[str, str, int], VariantReceipt] = {}
    for path in files:
        try:
            several = Receipts.model_validate_json(path.read_bytes()).receipts
        except (OSError, ValidationError) as error:
            raise UsageError(f"{path} is no file of receipts: {error}; write it again or remove it") from error
        for one in several:
            if found.setdefault((one.variant, one.clip, one.seed), one) != one:
                raise UsageError(
                    f"{path} holds another receipt of {one.variant}, clip {one.clip!r}; keep one of the two"
                )
    return Receipts(receipts=tuple(found.values())) if files else None


def write_receipts(folder: Path, name: str, receipts: Iterable[VariantReceipt]) -> Path:
    """Write receipts to `receipts/NAME.json` of a run folder, in the place of those that it held.

    Raises:
        WriteError: The file cannot be written.
    """
    path = folder / RECEIPTS_FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, Receipts(receipts=tuple(receipts)).model_dump_json(indent=1) + "\n")
    return path


def summary_of(receipts: Sequence[VariantReceipt]) -> ReceiptSummary | None:
    """Put the receipts of one variant together; None if there are none."""
    if not receipts:
        return None
    each = [one.receipt for one in receipts]
    steps = sum(sum(receipt.hits.values()) for receipt in each)
    outputs = [receipt.output for receipt in each if receipt.output is not None]
    perceived = [output.lpips for output in outputs if output.lpips is not None]
    weights = {receipt.weights for receipt in each}
    return ReceiptSummary(
        baseline=receipts[0].baseline,
        plans=tuple(dict.fromkeys(receipt.plan for receipt in each)),
        clips=len(each),
        steps=each[0].steps,
        evaluations=statistics.fmean(receipt.evaluations for receipt in each),
        cached=1 - sum(receipt.hits.get("full", 0) for receipt in each) / steps if steps else 0.0,
        flop_ratio=sum(r.flops[0] for r in each) / sum(r.flops[1] for r in each),
        latent_change=statistics.fmean(receipt.latent_change for receipt in each),
        psnr=_mean([output.psnr for output in outputs]),
        ssim=_mean([output.ssim for output in outputs]),
        lpips=_mean(perceived),
        weights=weights.pop() if len(weights) == 1 else "",
    )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
