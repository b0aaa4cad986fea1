"""LightningCP from request to frames: Hallo under the paper's accelerations, and others beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench_methods.hallo.flops import offer as hallo_offer
from thbench_methods.hallo.pipeline import Hallo
from thbench_methods.lightningcp.spec import ACCELERATIONS

if TYPE_CHECKING:
    from thbench.cost.offer import Offer


def LightningCP(preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> Hallo:
    """Load Hallo with the accelerations switched on.

    Args:
        preset: `mini` or `paper`.
        device: Where the networks run.
        accelerations: More of them, names of the registry; a second plan beside the paper's is refused.
    """
    return Hallo(preset, device, (*ACCELERATIONS, *accelerations))


def offer(preset: str) -> Offer:
    """Return Hallo's networks; which of them run is the plan's."""
    return hallo_offer(preset)
