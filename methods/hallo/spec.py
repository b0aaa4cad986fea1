"""What is known of Hallo; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.hallo.config import MINI, PAPER

from thbench.spec import MethodSpec

CONTROLS = {
    "steps": Control(f"denoising steps, 0 for the preset's: {PAPER.sampling.steps}", 0, 0, 1000),
    "guidance": Control(
        "scale of classifier-free guidance, 0 for the preset's: "
        f"{PAPER.sampling.guidance:g} (paper), {MINI.sampling.guidance:g} (mini)",
        0.0,
        0.0,
        20.0,
    ),
    "pose_weight": Control("weight of what the background hears", PAPER.sampling.pose_scale, 0.0, 4.0),
    "face_weight": Control("weight of what the face hears", PAPER.sampling.face_scale, 0.0, 4.0),
    "lip_weight": Control("weight of what the lips hear", PAPER.sampling.lip_scale, 0.0, 4.0),
}
"""By name."""

HALLO = MethodSpec(
    name="hallo",
    title="latent diffusion with reference network and hierarchical audio attention",
    kind="image-diffusion",
    factory="thbench_methods.hallo.pipeline:Hallo",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper="Xu et al., Hallo: Hierarchical Audio-Driven Visual Synthesis for Portrait Image Animation, arXiv 2406.08801",
    extra="torch",
    flops="thbench_methods.hallo.flops:offer",
    trainers={"mini": "thbench_methods.hallo.train:train"},
)
