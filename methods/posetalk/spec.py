"""What is known of PoseTalk; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.posetalk.config import MINI

from thbench.spec import MethodSpec

CONTROLS = {
    "text": Control("what the head shall do, in words, e.g. `he nods`; empty for sound alone", ""),
    "steps": Control(f"denoising steps of pose; 0 for the preset's own, {MINI.diffusion.steps}", 0, 0, 1000),
    "audio_guidance": Control(
        "scale of what sound changes in pose; 1 is none", MINI.diffusion.audio_guidance, 0.0, 20.0
    ),
    "text_guidance": Control(
        "scale of what text changes in pose beyond sound; 1 is none", MINI.diffusion.text_guidance, 0.0, 20.0
    ),
    "pose": Control(
        "head pose and gaze: `generated` from text and sound, `still`, or a .npy or .csv file with a row per frame at"
        " 25 frames per second (yaw, pitch, roll, and yaw and pitch of the eyes where it has them; degrees)",
        "generated",
    ),
}
"""By name."""

POSETALK = MethodSpec(
    name="posetalk",
    title="head pose from text and sound, lips refined from low to high resolution",
    kind="flow-warping",
    factory="thbench_methods.posetalk.pipeline:PoseTalk",
    controls=helps(CONTROLS),
    presets=("mini",),
    paper="Ling et al., PoseTalk, arXiv 2409.02657",
    extra="torch",
    flops="thbench_methods.posetalk.flops:offer",
    trainers={"mini": "thbench_methods.posetalk.train:train"},
)
