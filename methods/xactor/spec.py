"""What is known of X-Actor; imports nothing heavy.

| part | from |
|---|---|
| two stages: sound to motion latents, motion latents and portrait to video by a diffusion model | the paper |
| a compact facial motion latent, agnostic of identity, by a pretrained encoder | the paper |
| autoregressive diffusion transformer, full attention within chunks, causal across them | the paper |
| asynchronously sampled noise levels, levels that fall over the history in sampling | the paper |
| frame-aligned sound by windowed cross-attention; video without end | the paper |
| networks of the encoder and of the renderer, guidance, noise and start of the renderer | X-NeMo, of the same group |
| a head that stays where it is in the portrait | X-NeMo's published inference |
| sizes, chunks, context, levels by chunk, schedule and prediction, steps, levels of the history | the project |
| how a portrait conditions the motion, guidance by sound | the project |
| keys and values that are kept, windows that fade into each other instead of closing into a ring | the project |
| all of the preset `mini`, its objectives beside the noise levels, its data | the project |

The paper is arXiv 2508.02944 and its project page; its authors publish neither code nor weights.
"""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.xactor.config import MINI, PAPER

from thbench.spec import MethodSpec

CONTROLS = {
    "steps": Control(
        "denoising steps of the video, 0 for the preset's: "
        f"{PAPER.renderer.steps} (paper), {MINI.renderer.steps} (mini)",
        0,
        0,
        1000,
    ),
    "guidance": Control(
        "scale of the guidance by portrait and driving motion, 0 for the preset's: "
        f"{PAPER.renderer.guidance:g} (paper), {MINI.renderer.guidance:g} (mini)",
        0.0,
        0.0,
        20.0,
    ),
    "acting_steps": Control(f"denoising steps of the motion, 0 for the preset's: {PAPER.acting.steps}", 0, 0, 1000),
    "audio_guidance": Control(
        f"scale of the guidance of the motion by sound, 1 is none, 0 for the preset's: {PAPER.acting.guidance:g}",
        0.0,
        0.0,
        20.0,
    ),
    "history_noise": Control(
        f"factor on the noise levels of the chunks before, {PAPER.acting.history} of 1000, newest first; 0 is a clean"
        " history",
        1.0,
        0.0,
        10.0,
    ),
    "context": Control(
        f"chunks that a chunk of motion sees, itself included, 0 for the preset's: {PAPER.actor.context} of"
        f" {PAPER.actor.chunk} frames (paper), {MINI.actor.context} of {MINI.actor.chunk} (mini)",
        0,
        0,
        max(PAPER.actor.context, MINI.actor.context),
    ),
    "in_flight": Control(
        "chunks of motion that are denoised at once, each noisier than the one before; a divisor of the steps of the"
        f" motion, 0 for the preset's: {PAPER.acting.in_flight}",
        0,
        0,
        max(PAPER.actor.context, MINI.actor.context),
    ),
}
"""By name. The authors state no control of emotion or by text."""

XACTOR = MethodSpec(
    name="x-actor",
    title="diffusion-forced motion latents from sound, and diffusion video from them",
    kind="image-diffusion",
    factory="thbench_methods.xactor.pipeline:XActor",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper="Zhang et al., X-Actor: Emotional and Expressive Long-Range Portrait Acting from Audio, arXiv 2508.02944",
    extra="torch",
    flops="thbench_methods.xactor.flops:offer",
    trainers={"mini": "thbench_methods.xactor.train:train"},
)
