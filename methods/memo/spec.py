"""What is known of MEMO; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.memo.config import MINI, PAPER

from thbench.spec import MethodSpec

VOICE, NONE = "voice", "none"
"""The emotion that is heard in the voice; none."""
CONTROLS = {
    "steps": Control(f"denoising steps, 0 for the preset's: {PAPER.sampling.steps}", 0, 0, 1000),
    "guidance": Control(
        "scale of classifier-free guidance, 1 for none, 0 for the preset's: "
        f"{PAPER.sampling.guidance:g} (paper), {MINI.sampling.guidance:g} (mini)",
        0.0,
        0.0,
        20.0,
    ),
    "emotion": Control(
        "emotion that is shown: `voice`, as heard, `none`, or the number of its class from 0 to 8, which are (mini) "
        f"{', '.join(MINI.emotions)} and one that is not taught",
        VOICE,
    ),
}
"""By name."""

MEMO = MethodSpec(
    name="memo",
    title="latent diffusion with a memory of all earlier frames and joint attention of sound and picture",
    kind="image-diffusion",
    factory="thbench_methods.memo.pipeline:MEMO",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper="Zheng et al., MEMO: Memory-Guided Diffusion for Expressive Talking Video Generation, arXiv 2412.04448",
    extra="torch",
    flops="thbench_methods.memo.flops:offer",
    trainers={"mini": "thbench_methods.memo.train:train"},
)
