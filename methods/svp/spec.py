"""What is known of SVP; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.svp.config import MINI

from thbench.spec import MethodSpec

NONE, SAMPLED = "none", "sampled"
"""No style; one that is drawn by the seed."""
GENERATED, STILL = "generated", "still"
"""A head that moves as the network makes it; one that stays where it is in the portrait."""
SAME = -1.0
"""A share that does not change."""
CONTROLS = {
    "steps": Control("denoising steps", MINI.base.sampling.steps, 1, 1000),
    "guidance": Control("scale of the guidance by speech and portrait, 1 for none", MINI.base.sampling.guidance, 0, 20),
    "style_scale": Control("scale of the guidance by style; 0 leaves the style out", MINI.style_scale, 0, 20),
    "style": Control("style clip: a video of somebody who speaks, `sampled` by the seed, or `none`", SAMPLED),
    "style_to": Control("another style, which is mixed with the first: as `style`", NONE),
    "mix": Control("share of the other style at the first frame", 0.5, 0.0, 1.0),
    "mix_end": Control("its share at the last frame, between which it changes evenly; -1 for no change", SAME, SAME, 1),
    "style_seed": Control(
        "number of a sampled style, the same for every seed; 0 draws it by the seed", 0, 0, 2**31 - 1
    ),
    "temperature": Control(
        "how far a code is drawn from the middle of the style of a clip; 0 is the middle", 0.0, 0, 4
    ),
    "head": Control("where the head is: `generated`, `still`, or a video whose head is followed", GENERATED),
}
"""By name."""

SVP = MethodSpec(
    name="svp",
    title="latent diffusion in a sampled, given or mixed style of speaking",
    kind="image-diffusion",
    factory="thbench_methods.svp.pipeline:SVP",
    controls=helps(CONTROLS),
    presets=("mini",),
    paper="Tan et al., SVP: Style-Enhanced Vivid Portrait Talking Head Diffusion Model, arXiv 2409.03270",
    extra="torch",
    flops="thbench_methods.svp.flops:offer",
    trainers={"mini": "thbench_methods.svp.train:train"},
)
