"""What is known of DAWN; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.dawn.config import MINI, PAPER

from thbench.spec import MethodSpec

TRACK = "`generated` by PBNet, `still`, or a .npy or .csv file with a row per frame at 25 frames per second"
CONTROLS = {
    "steps": Control(
        f"denoising steps; 0 for the preset's own, {PAPER.diffusion.steps} (mini: {MINI.diffusion.steps})",
        0,
        0,
        PAPER.diffusion.train_steps - 1,
    ),
    "guidance": Control(
        "scale of classifier-free guidance; 1 is none, 0 the preset's own,"
        f" {PAPER.diffusion.guidance:g} (mini: {MINI.diffusion.guidance:g})",
        0.0,
        0.0,
        10.0,
    ),
    "pose": Control(f"head pose: {TRACK} (yaw, pitch, roll in degrees, or all six numbers)", "generated"),
    "blink": Control(f"how far the eyes are open: {TRACK} (one column, or one for each eye)", "generated"),
    "mask_feature": Control(
        "encoder of the face box, which was never trained nor published: that of the preset, that of another seed,"
        " none, or a random one as in the published inference",
        "own",
        choices=("own", "seed2345", "zeros", "random"),
    ),
}
"""By name; there is no emotion or style in the paper."""

DAWN = MethodSpec(
    name="dawn",
    title="all frames at once: diffusion of the flow that warps the portrait",
    kind="flow-warping",
    factory="thbench_methods.dawn.pipeline:Dawn",
    controls=helps(CONTROLS),
    presets=("mini", "paper", "paper-256"),
    paper="Cheng et al., DAWN, ICLR 2025; arXiv 2410.13726",
    extra="torch",
    flops="thbench_methods.dawn.flops:offer",
    trainers={"mini": "thbench_methods.dawn.train:train"},
)
