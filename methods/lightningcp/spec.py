"""LightningCP as a method of its own: Hallo with the accelerations switched on. Imports nothing heavy."""

from __future__ import annotations

from thbench_methods.hallo.spec import HALLO

ACCELERATIONS = ("lightningcp", "dfa", "refdrop")
"""What the paper's main table switches on."""

LIGHTNINGCP = HALLO.model_copy(
    update={
        "name": "lightningcp",
        "title": "Hallo with lightning-fast cache, foreground attention and reference removal",
        "factory": "thbench_methods.lightningcp.pipeline:LightningCP",
        "paper": "Long et al., Lightning Fast Caching-based Parallel Denoising Prediction, AAAI 2026, arXiv 2509.00052",
        # Operations are counted of Hallo under the same accelerations: `thbench flops hallo --accelerate ...`.
        "flops": None,
        "trainers": {},
    }
)
