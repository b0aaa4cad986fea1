"""What is known of DreamTalk; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.dreamtalk.config import PAPER

from thbench.spec import MethodSpec

AUTO = "auto"
"""The preset's own choice."""
STILL, NONE = "still", "none"
"""A head that does not move; no style."""
CONTROLS = {
    "steps": Control("denoising steps", PAPER.diffusion.steps, 1, PAPER.diffusion.train_steps),
    "guidance": Control("scale of the style: 0 has none, above 1 exaggerates it", PAPER.diffusion.guidance, 0, 10),
    "style": Control(
        "style clip: a video (mini) or a 3DMM fit as .mat (paper), none for no style, auto for one that is predicted of"
        " speech and portrait (mini) or none (paper)",
        AUTO,
    ),
    "pose": Control(
        "pose track: a video (mini) or a 3DMM fit as .mat (paper), still for a head that does not move, auto for one"
        " of other people drawn by seed and sound (mini) or still (paper)",
        AUTO,
    ),
}
"""By name."""

DREAMTALK = MethodSpec(
    name="dreamtalk",
    title="diffusion of 3DMM expression in the style of a clip",
    kind="motion-space",
    factory="thbench_methods.dreamtalk.pipeline:DreamTalk",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper="Ma et al., DreamTalk: When Emotional Talking Head Generation Meets Diffusion Probabilistic Models, arXiv "
    "2312.09767",
    extra="torch",
    flops="thbench_methods.dreamtalk.flops:offer",
    trainers={"mini": "thbench_methods.dreamtalk.train:train"},
)
