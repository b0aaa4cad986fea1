"""X-Actor's networks for counting, on the meta device: one portrait and the new frames of one window."""

from __future__ import annotations

from dataclasses import replace

import torch
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.xactor.actor import Condition, Kept
from thbench_methods.xactor.config import MINI, PAPER, Config
from thbench_methods.xactor.networks import Acted, Rendering
from thbench_methods.xactor.renderer import Portrait

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

FOREGROUND = 0.43
"""Share of the picture that foreground attention is counted for, as for Hallo."""
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
        raise UsageError(f"x-actor has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset], FORMATS[preset])


def offer_of(config: Config, dtype: str = "float16") -> Offer:
    """Return the networks of a configuration.

    A window of the renderer brings `frames - overlap` new frames. For these the actor runs a part of a chunk: all its
    steps after a full context, and once for each chunk of the history that enters anew or settles.

    Args:
        config: Sizes and settings.
        dtype: Number format.
    """
    own, acting, sizes = config.renderer, config.acting, config.actor
    guided, fresh = is_guided(own.guidance), own.frames - own.overlap
    with torch.device("meta"), torch.inference_mode():
        acted, rendering = Acted(config).to("meta").eval(), Rendering(config).to("meta").eval()
        video, encoder = rendering.video, rendering.encoder
        face = torch.empty(1, 3, config.encoder.side, config.encoder.side)
        motion = torch.empty(own.frames, config.encoder.motion)
        latents = torch.empty(1, own.unet.latent, config.side, config.side)
        embedding = torch.empty(1, own.unet.tokens if own.face is None else own.face.embedding)
        lit = torch.empty(1, 3, config.size, config.size) if own.locator else None
        tokens = torch.empty(1, config.encoder.tokens, config.encoder.token)
        sitting = video.sit(Portrait(latents, embedding, tokens, lit), guided=guided)
        noise = torch.empty(1, own.unet.latent, own.frames, config.side, config.side)
        condition = video.moved(sitting, tokens[:, None].expand(-1, own.frames, -1, -1))
        appearance = video.appearance(embedding)
        chunk, levels, heard = _chunk(acted, config)
    parts = [
        Part("motion_encoder", encoder, lambda: encoder(face), inputs=(face,)),
        Part("motion_tokens", encoder, lambda: encoder.tokens(motion), inputs=(motion,)),
        Part(
            "actor",
            acted,
            lambda: acted.actor(chunk, levels, heard),
            calls=fresh / sizes.chunk * (acting.steps + len(acting.history) + 1),
            inputs=(chunk, levels),
        ),
        Part(
            "reference_unet",
            video.reference_unet,
            lambda: video.reference_unet(latents, appearance),
            inputs=(latents, appearance),
        ),
    ]
    locator = video.face_locator
    if locator is not None and lit is not None:
        region = lit[:, :, None]
        parts.append(Part("face_locator", locator, lambda: locator(region), inputs=(region,)))
    if (base := video.base) is not None:
        parts.append(Part("base", base, lambda: base(latents), inputs=(latents,)))
    return Offer(
        workload=f"{fresh} new frames of a window of {own.frames} at {config.size} px, {own.steps} steps"
        f"{', guided' if guided else ''}; motion in {acting.steps} steps",
        frames=fresh,
        parts=tuple(parts),
        denoising=Denoising(
            "denoising_unet",
            video.denoising_unet,
            with_guidance(video.denoising_unet, own.guidance),
            noise,
            condition,
            own.steps,
            foreground=_cells(config.side),
        ),
        dtype=dtype,
        uncounted=("speech encoder", "face detector", "picture or face encoder", "VAE"),
    )


def _chunk(acted: Acted, config: Config) -> tuple[torch.Tensor, torch.Tensor, Condition]:
    """Return what one step of a chunk is given, once the context is full."""
    sizes, batch = config.actor, 1 if config.acting.guidance == 1 else 2
    sound = torch.empty(batch, sizes.chunk + 2 * sizes.reach, sizes.audio_layers, sizes.audio)
    condition = acted.actor.condition(torch.empty(batch, config.encoder.motion), sound)
    past = torch.empty(batch, sizes.heads, (sizes.context - 1) * sizes.chunk, sizes.width // sizes.heads)
    history = tuple(Kept(past, past) for _ in range(sizes.blocks))
    chunk = torch.empty(batch, sizes.chunk, config.encoder.motion)
    levels = torch.zeros(batch, 1, dtype=torch.int64)
    return chunk, levels, replace(condition, history=history)


def _cells(side: int) -> torch.Tensor:
    """Which cells are foreground does not change a count; the first ones are."""
    return (torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side)
