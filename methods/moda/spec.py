"""What is known of MoDA; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.moda.config import EMOTIONS, PAPER

from thbench.spec import MethodSpec

NO_EMOTION = "none"
CONTROLS = {
    "steps": Control("Euler steps", PAPER.sampling.steps, 1, 1000),
    "guidance": Control("scale of the guidance by speech and emotion; 1 is none", PAPER.sampling.guidance, 0, 20),
    "emotion": Control("class of the expression", NO_EMOTION, choices=(*EMOTIONS, NO_EMOTION)),
    "lip_boost": Control("whether large departures of the lips from rest are enlarged", True),
}
"""By name; the paper has no pose track and no level of the emotion."""

MODA = MethodSpec(
    name="moda",
    title="multi-modal diffusion transformer over LivePortrait's key-points",
    kind="motion-space",
    factory="thbench_methods.moda.pipeline:MoDA",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper="Li et al., MoDA: Multi-modal Diffusion Architecture for Talking Head Generation, arXiv 2507.03256, 2025",
    extra="torch",
    flops="thbench_methods.moda.flops:offer",
    trainers={"mini": "thbench_methods.moda.train:train"},
)
