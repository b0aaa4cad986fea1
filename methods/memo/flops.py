"""MEMO's networks for counting, on the meta device: one clip of frames, as the sampler loop runs it."""

from __future__ import annotations

import torch
from thbench_methods.memo.config import MINI, PAPER, Config
from thbench_methods.memo.networks import MEMO, Condition
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.reference import split

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

FOREGROUND = 0.43
"""Share of the picture that foreground attention is counted for: what the counts of LightningCP's paper imply."""
CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings."""
FORMATS = {"mini": "float32", "paper": "bfloat16"}
"""Preset to the number format that it runs in."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"memo has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset], FORMATS[preset])


def offer_of(config: Config, dtype: str = "bfloat16") -> Offer:
    """Return the networks of a configuration.

    Args:
        config: Sizes and settings.
        dtype: Number format of the published inference.
    """
    sampling, sizes = config.sampling, config.unet
    guided = is_guided(sampling.guidance)
    batch, frames, side = 1 + guided, sampling.frames, config.side
    with torch.device("meta"), torch.inference_mode():
        net = MEMO(config).to("meta").eval()
        images = torch.empty(batch * (1 + sampling.past_frames), sizes.latent, side, side)
        face, tokens = torch.empty(1, config.face.embedding), torch.empty(batch, config.face.tokens, sizes.tokens)
        speech = torch.empty(1, frames, config.audio.window, config.audio.layers, config.audio.channels)
        reference = split(net.reference_net(images, tokens), sampling.past_frames)
        condition = Condition(
            face=tokens,
            audio=torch.empty(batch, frames, config.audio.tokens, sizes.audio),
            emotion=torch.empty(batch, dtype=torch.int64),
            reference=reference.image,
            memory=net.diffusion_net.remember(reference.past, None),
            guided=guided,
            seen=None if net.base is None else torch.empty(batch, sizes.channels[0], 1, side, side),
        )
        noise = torch.empty(1, sizes.latent, frames, side, side)
    return Offer(
        workload=f"{frames} frames at {config.size} px, {sampling.steps} steps{', guided' if guided else ''}",
        frames=frames,
        parts=(
            Part("image_proj", net.image_proj, lambda: net.image_proj(face), calls=batch, inputs=(face,)),
            Part("audio_proj", net.audio_proj, lambda: net.audio_proj(speech), inputs=(speech,)),
            Part(
                "reference_net", net.reference_net, lambda: net.reference_net(images, tokens), inputs=(images, tokens)
            ),
            Part(
                "memory",
                net.diffusion_net,
                lambda: net.diffusion_net.remember(reference.past, None),
                inputs=(reference,),
            ),
            *_base(net, images[:1]),
        ),
        denoising=Denoising(
            "diffusion_net",
            net.diffusion_net,
            with_guidance(net.diffusion_net, sampling.guidance),
            noise,
            condition,
            sampling.steps,
            foreground=_cells(side),
        ),
        dtype=dtype,
        uncounted=("wav2vec 2.0", "emotion classifier", "face recogniser", "VAE"),
    )


def _base(net: MEMO, image: torch.Tensor) -> tuple[Part, ...]:
    """What the networks see in the place of each frame, where changes are denoised."""
    if (conv := net.base) is None:
        return ()
    return (Part("base", conv, lambda: conv(image), inputs=(image,)),)


def _cells(side: int) -> torch.Tensor:
    """Which cells are foreground does not change a count; the first ones are."""
    return (torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side)
