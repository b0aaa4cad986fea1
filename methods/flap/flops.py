"""FLAP's networks for counting, on the meta device: one window of frames, as the sampler loop runs it.

Sizes of the preset `paper` that the paper does not give are the project's choice (`config`).
"""

from __future__ import annotations

import torch
from thbench_methods.flap.config import MINI, PAPER, Config
from thbench_methods.flap.front_end import Speech
from thbench_methods.flap.networks import FLAP, Given
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.layout import images

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings."""
FORMATS = {"mini": "float32", "paper": "float16"}
"""Preset to the number format that it runs in."""
FOREGROUND = 0.43
"""Share of the picture that foreground attention is counted for, as of Hallo."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"flap has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset], FORMATS[preset])


def offer_of(config: Config, dtype: str = "float16") -> Offer:
    """Return the networks of a configuration.

    Args:
        config: Sizes and settings.
        dtype: Number format that it runs in.
    """
    base, layout, front = config.base, config.layout, config.front_end
    sampling, side = base.sampling, base.side
    guided = is_guided(sampling.guidance)
    with torch.device("meta"), torch.inference_mode():
        net = FLAP(config).to("meta").eval()
        given = given_of(config)
        condition = net.condition(given, guided=guided)
        noise = torch.empty(1, base.unet.latent, sampling.frames, side, side)
        head, face = net.told(given.values, given.own[:, None])
        known = torch.empty(len(given.latents), base.face.tokens, base.unet.tokens) if config.told else None
        noisy, time = torch.empty(1, front.window, layout.total), torch.empty(1)
        heard = Speech(
            torch.empty(1, front.past + front.window, front.audio),
            torch.empty(1, front.past, layout.total),
            torch.empty(1, layout.total),
        )
    parts = [
        Part(
            "front_end",
            net.front_end,
            lambda: net.front_end(noisy, time, heard),
            calls=front.steps * sampling.frames / front.window,
            inputs=(noisy, time, heard),
        ),
        Part("head_tokens", net.head_tokens, lambda: net.head_tokens(head), inputs=(head,)),
        Part("exp_tokens", net.exp_tokens, lambda: net.exp_tokens(face), inputs=(face,)),
    ]
    project, locate, identity, region = net.imageproj, net.face_locator, given.identity, given.region
    if project is not None and locate is not None and identity is not None and region is not None:
        # Who it is and nobody are two calls.
        parts.append(Part("imageproj", project, lambda: project(identity), calls=2, inputs=(identity,)))
        parts.append(Part("face_locator", locate, lambda: locate(region[:, :, None]), inputs=(region,)))
    changes, based = net.base, None if given.base is None else images(given.base)
    if changes is not None:
        parts.append(Part("base", changes, lambda: changes(based), inputs=(based,)))
    parts.append(
        Part(
            "reference_unet",
            net.reference_unet,
            lambda: net.reference_unet(given.latents, known),
            inputs=(given.latents, known),
        )
    )
    return Offer(
        workload=f"{sampling.frames} frames at {base.size} px, {sampling.steps} steps{', guided' if guided else ''}",
        frames=sampling.frames,
        parts=tuple(parts),
        denoising=Denoising(
            "denoising_unet",
            net.denoising_unet,
            with_guidance(net.denoising_unet, sampling.guidance),
            noise,
            condition,
            sampling.steps,
            foreground=(torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side),
        ),
        dtype=dtype,
        uncounted=("wav2vec 2.0", "head tracker", "VAE"),
    )


def given_of(config: Config, device: str = "meta") -> Given:
    """Return one window's inputs without values."""
    base, sampling, total = config.base, config.base.sampling, config.layout.total

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(*shape, device=device)

    return Given(
        latents=empty(1 + sampling.motion_frames, base.unet.latent, base.side, base.side),
        values=empty(1, sampling.frames, total),
        own=empty(1, total),
        identity=empty(1, base.face.embedding) if config.told else None,
        region=empty(1, 3, base.size, base.size) if config.told else None,
        base=empty(1, base.unet.latent, sampling.frames, base.side, base.side) if base.change else None,
    )
