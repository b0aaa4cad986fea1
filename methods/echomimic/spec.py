"""What is known of EchoMimic; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.echomimic.config import MINI, PAPER

from thbench.spec import MethodSpec

PAPER_TITLE = (
    "Chen et al., EchoMimic: Lifelike Audio-Driven Portrait Animations through Editable Landmark Conditioning,"
    " AAAI 2025, arXiv 2407.08136"
)
"""Citation."""
CONTROLS = {
    "steps": Control(f"denoising steps, 0 for the preset's: {PAPER.sampling.steps}", 0, 0, 1000),
    "guidance": Control(
        "scale of classifier-free guidance, 1 for none, 0 for the preset's: "
        f"{PAPER.sampling.guidance:g} (paper), {MINI.sampling.guidance:g} (mini)",
        0.0,
        0.0,
        20.0,
    ),
}
"""By name."""

ECHOMIMIC = MethodSpec(
    name="echomimic",
    title="latent diffusion of a whole video in windows that overlap and move",
    kind="image-diffusion",
    factory="thbench_methods.echomimic.pipeline:EchoMimic",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper=PAPER_TITLE,
    extra="torch",
    flops="thbench_methods.echomimic.flops:offer",
    trainers={"mini": "thbench_methods.echomimic.train:train"},
)
