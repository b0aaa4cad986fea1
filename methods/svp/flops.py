"""SVP's networks for counting, on the meta device: one window of frames, as the sampler loop runs it.

Sizes and base of the preset `paper` are the project's choice (`config`), so its counts are no counts of the authors'.
"""

from __future__ import annotations

import torch
from thbench_methods.hallo.networks import Masks
from thbench_methods.nets.unet3d.layout import images
from thbench_methods.svp.config import MINI, PAPER, Config
from thbench_methods.svp.guidance import weights_of, with_weights
from thbench_methods.svp.networks import SVP, Given

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
        raise UsageError(f"svp has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    return offer_of(CONFIGS[preset], FORMATS[preset])


def offer_of(config: Config, dtype: str = "float16") -> Offer:
    """Return the networks of a configuration, with key points and a style clip.

    Args:
        config: Sizes and settings.
        dtype: Number format that it runs in.
    """
    base, style = config.base, config.style
    sampling, sizes, side = base.sampling, base.unet, base.side
    weights = weights_of(sampling.guidance, config.style_scale)
    with torch.device("meta"), torch.inference_mode():
        net = SVP(config).to("meta").eval()
        given = given_of(config)
        expression = torch.empty(1, style.longest, style.expression)
        audio = torch.empty(1, style.longest, style.audio)
        condition = net.condition(given, tuple(weights))
        noise = torch.empty(1, sizes.latent, sampling.frames, side, side)
    face = None if net.imageproj is None else torch.empty(len(given.latents), base.face.tokens, sizes.tokens)
    if face is not None:
        face = face.to("meta")
    changes, based = net.base, None if given.base is None else images(given.base)
    return Offer(
        workload=(
            f"{sampling.frames} frames at {base.size} px, {sampling.steps} steps, {len(weights)} parts, key points,"
            f" style clip of {style.longest} frames"
        ),
        frames=sampling.frames,
        parts=(
            Part("style", net.style, lambda: net.style(expression, audio), inputs=(expression, audio)),
            Part(
                "style_projection",
                net.style_projection,
                lambda: net.style_projection(given.codes),
                inputs=(given.codes,),
            ),
            Part("audioproj", net.audioproj, lambda: net.audioproj(given.audio), inputs=(given.audio,)),
            *_of_faces(net, given),
            *([] if changes is None else [Part("base", changes, lambda: changes(based), inputs=(based,))]),
            Part("kps_guider", net.kps_guider, lambda: net.kps_guider(given.key_points), inputs=(given.key_points,)),
            Part(
                "reference_unet",
                net.reference_unet,
                lambda: net.reference_unet(given.latents, face),
                inputs=(given.latents, face),
            ),
        ),
        denoising=Denoising(
            "denoising_unet",
            net.denoising_unet,
            with_weights(net.denoising_unet, weights),
            noise,
            condition,
            sampling.steps,
            foreground=(torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side),
        ),
        dtype=dtype,
        uncounted=("wav2vec 2.0", "3DMM regressor of the style clip", "face and key-point detector", "VAE"),
    )


def given_of(config: Config, device: str = "meta") -> Given:
    """Return one window's inputs without values."""
    base, sampling = config.base, config.base.sampling
    frames, side, resampling = sampling.frames, base.side, config.resampling

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(*shape, device=device)

    heard = (base.audio.window, base.audio.layers, base.audio.channels)
    levels = [empty(frames, (side >> level) ** 2) for level in range(len(base.unet.channels))]
    whole = config.hierarchical
    return Given(
        latents=empty(1 + sampling.motion_frames, base.unet.latent, side, side),
        audio=empty(1, frames, *(heard if whole else (resampling.features, resampling.channels))),
        codes=empty(1, frames, config.style.code),
        key_points=empty(1, 3, frames, base.size, base.size),
        face=empty(1, base.face.embedding) if whole else None,
        region=empty(1, 3, base.size, base.size) if whole else None,
        masks=[Masks(mask, mask, mask) for mask in levels] if whole else (),
        base=empty(1, base.unet.latent, frames, side, side) if base.change else None,
    )


def _of_faces(net: SVP, given: Given) -> tuple[Part, ...]:
    """What a hierarchical base has beside; who it is and nobody are two calls."""
    project, locate, face, region = net.imageproj, net.face_locator, given.face, given.region
    if project is None or locate is None or face is None or region is None:
        return ()
    return (
        Part("imageproj", project, lambda: project(face), calls=2, inputs=(face,)),
        Part("face_locator", locate, lambda: locate(region[:, :, None]), inputs=(region,)),
    )
