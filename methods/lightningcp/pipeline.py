"""LightningCP from request to frames: Hallo under the paper's accelerations, and others beside them."""

from __future__ import annotations

from thbench_methods.hallo.pipeline import Hallo
from thbench_methods.lightningcp.spec import ACCELERATIONS


def LightningCP(preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> Hallo:
    """Load Hallo with the accelerations switched on.

    Args:
        preset: `mini` or `paper`.
        device: Where the networks run.
        accelerations: More of them, names of the registry; a second plan beside the paper's is refused.
    """
    return Hallo(preset, device, (*ACCELERATIONS, *accelerations))
