"""What is known of KDTalker; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.kdtalker.config import PAPER

from thbench.spec import MethodSpec

CONTROLS = {
    "steps": Control("denoising steps", PAPER.diffusion.steps, 1, PAPER.diffusion.train_steps),
    "smooth": Control("whether the motion passes the Kalman smoother", True),
    "padding": Control("what is heard behind the end", "edge", choices=("edge", "repeat-start")),
}
"""By name; there is no guidance, emotion or style in the paper."""

KDTALKER = MethodSpec(
    name="kdtalker",
    title="spatiotemporal diffusion of LivePortrait's key-points",
    kind="motion-space",
    factory="thbench_methods.kdtalker.pipeline:KDTalker",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper="Yang et al., Unlock Pose Diversity, IJCV 134(3):111, 2026; arXiv 2503.12963",
    extra="torch",
    flops="thbench_methods.kdtalker.flops:offer",
    trainers={"mini": "thbench_methods.kdtalker.train:train"},
)
