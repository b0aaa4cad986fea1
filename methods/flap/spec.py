"""What is known of FLAP; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.flap.config import MINI

from thbench.spec import MethodSpec

GENERATED, STILL, FIXED = "generated", "still", "fixed"
"""From speech; as in the portrait; at the angles that are asked for."""
PRESETS = ("turn", "nod", "tilt", "look-around")
"""Head movements that have a name."""
IDLE = "idle"
"""A face that is as in the portrait."""
AS_MADE = -1.0
"""A blink rate that is left to the front end."""
CONTROLS = {
    "steps": Control("denoising steps", MINI.base.sampling.steps, 1, 1000),
    "guidance": Control("scale of classifier-free guidance, 1 for none", MINI.base.sampling.guidance, 0, 20),
    "head": Control(
        f"head rotation: `generated` from speech, `still`, `fixed` at yaw, pitch and roll, {', '.join(PRESETS)}, a .npy"
        " or .csv file with a row of yaw, pitch, roll (degrees) per frame at 25 frames per second, or a video",
        GENERATED,
    ),
    "yaw": Control("degrees that are added to the yaw of the head; positive as of the metrics", 0.0, -60, 60),
    "pitch": Control("degrees that are added to its pitch", 0.0, -60, 60),
    "roll": Control("degrees that are added to its roll", 0.0, -60, 60),
    "blinks": Control("blinks per minute; -1 for those that speech makes", AS_MADE, AS_MADE, 120),
    "expression": Control(
        "face without lids: `generated` from speech, `idle` as in the portrait, or a video", GENERATED
    ),
    "expression_scale": Control(
        "factor of the face's difference from the portrait's, without eyes and lids", 1.0, 0, 4
    ),
}
"""By name."""

FLAP = MethodSpec(
    name="flap",
    title="latent diffusion from head coefficients that can be edited one by one",
    kind="image-diffusion",
    factory="thbench_methods.flap.pipeline:FLAP",
    controls=helps(CONTROLS),
    presets=("mini",),
    paper="Mu et al., FLAP: Fully-controllable Audio-driven Portrait Video Generation through 3D head conditioned "
    "diffusion model, arXiv 2502.19455",
    extra="torch",
    flops="thbench_methods.flap.flops:offer",
    trainers={"mini": "thbench_methods.flap.train:train"},
)
