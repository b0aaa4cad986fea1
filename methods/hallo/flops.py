"""Hallo's networks for counting, on the meta device: one clip of frames, as the sampler loop runs it."""

from __future__ import annotations

import torch
from thbench_methods.hallo.config import MINI, PAPER, Config
from thbench_methods.hallo.networks import Condition, Hallo, Masks
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.reference import split

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

FOREGROUND = 0.43
"""Share of the picture that foreground attention is counted for: what the counts of LightningCP's paper imply."""
CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings."""
FORMATS = {"mini": "float32", "paper": "float16"}
"""Preset to the number format that it runs in."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"hallo has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset], FORMATS[preset])


def offer_of(config: Config, dtype: str = "float16") -> Offer:
    """Return the networks of a configuration.

    Args:
        config: Sizes and settings.
        dtype: Number format of the published inference.
    """
    sampling, sizes = config.sampling, config.unet
    guided = is_guided(sampling.guidance)
    batch, frames, side = 1 + guided, sampling.frames, config.side
    with torch.device("meta"), torch.inference_mode():
        net = Hallo(config).to("meta").eval()
        images = torch.empty(batch * (1 + sampling.motion_frames), sizes.latent, side, side)
        face, tokens = torch.empty(1, config.face.embedding), torch.empty(batch, config.face.tokens, sizes.tokens)
        speech = torch.empty(1, frames, config.audio.window, config.audio.layers, config.audio.channels)
        region = torch.empty(1, 3, 1, config.size, config.size)
        levels = [torch.empty(batch * frames, (side >> level) ** 2) for level in range(len(sizes.channels))]
        condition = Condition(
            face=tokens,
            audio=torch.empty(batch, frames, config.audio.tokens, sizes.audio),
            locator=torch.empty(batch, sizes.channels[0], 1, side, side),
            masks=[Masks(mask, mask, mask) for mask in levels],
            scale=torch.empty(3),
            reference=split(net.reference_unet(images, tokens), sampling.motion_frames),
            guided=guided,
        )
        noise = torch.empty(1, sizes.latent, frames, side, side)
    return Offer(
        workload=f"{frames} frames at {config.size} px, {sampling.steps} steps{', guided' if guided else ''}",
        frames=frames,
        parts=(
            Part("imageproj", net.imageproj, lambda: net.imageproj(face), calls=batch, inputs=(face,)),
            Part("audioproj", net.audioproj, lambda: net.audioproj(speech), inputs=(speech,)),
            Part("face_locator", net.face_locator, lambda: net.face_locator(region), inputs=(region,)),
            Part(
                "reference_unet",
                net.reference_unet,
                lambda: net.reference_unet(images, tokens),
                inputs=(images, tokens),
            ),
            *_base(net, config),
        ),
        denoising=Denoising(
            "denoising_unet",
            net.denoising_unet,
            with_guidance(net.denoising_unet, sampling.guidance),
            noise,
            condition,
            sampling.steps,
            foreground=_cells(side),
        ),
        dtype=dtype,
        uncounted=("wav2vec 2.0", "face recogniser", "VAE"),
    )


def _base(net: Hallo, config: Config) -> tuple[Part, ...]:
    """What the networks see in the place of each frame, where changes are denoised."""
    if (conv := net.base) is None:
        return ()
    base = torch.empty(1, config.unet.latent, config.side, config.side, device="meta")
    return (Part("base", conv, lambda: conv(base), inputs=(base,)),)


def _cells(side: int) -> torch.Tensor:
    """Which cells are foreground does not change a count; the first ones are."""
    return (torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side)
