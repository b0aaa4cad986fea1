"""EchoMimic's networks for counting, on the meta device: one window of frames, as the sampler loop runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.echomimic.config import ACCELERATED, MINI, MINI_ACCELERATED, PAPER, Config
from thbench_methods.echomimic.networks import Condition, EchoMimic
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

FOREGROUND = 0.43
"""Share of the picture that foreground attention is counted for: what the counts of LightningCP's paper imply."""
CONFIGS = {"mini": MINI, "paper": PAPER, "accelerated": ACCELERATED}
"""Preset to sizes and settings; the published accelerated one under the name of its method's too."""
ACC_CONFIGS = {"mini": MINI_ACCELERATED, "paper": ACCELERATED}
"""The same of EchoMimic Acc."""
MINI_FORMAT, PAPER_FORMAT = "float32", "float16"
"""Number formats in which presets run."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    return _offer("echomimic", preset, CONFIGS)


def offer_acc(preset: str) -> Offer:
    """Return the networks of a preset of EchoMimic Acc; raises as `offer`."""
    return _offer("echomimic-acc", preset, ACC_CONFIGS)


def _offer(method: str, preset: str, configs: Mapping[str, Config]) -> Offer:
    if preset not in configs:
        raise UsageError(f"{method} has no preset {preset!r} to count{did_you_mean(preset, configs)}")
    return offer_of(configs[preset], MINI_FORMAT if preset == "mini" else PAPER_FORMAT)


def offer_of(config: Config, dtype: str = "float16") -> Offer:
    """Return the networks of a configuration.

    Args:
        config: Sizes and settings.
        dtype: Number format of the published inference.
    """
    sampling, sizes = config.sampling, config.unet
    guided = is_guided(sampling.guidance)
    batch, frames, side = 1 + guided, sampling.window, config.side
    with torch.device("meta"), torch.inference_mode():
        net = EchoMimic(config).to("meta").eval()
        image = torch.empty(1, sizes.latent, side, side)
        region = torch.empty(1, 3 if config.locator_sees_portrait else 1, 1, config.size, config.size)
        features = net.read(image)
        condition = Condition(
            audio=torch.empty(batch, frames, config.hearing.tokens, sizes.tokens),
            locator=torch.empty(batch, sizes.channels[0], 1, side, side),
            reference={place: torch.cat([tokens] * batch) for place, tokens in features.items()},
            guided=guided,
        )
        noise = torch.empty(1, sizes.latent, frames, side, side)
    return Offer(
        workload=f"{frames} frames at {config.size} px, {sampling.steps} steps{', guided' if guided else ''}",
        frames=frames,
        parts=(
            Part("face_locator", net.face_locator, lambda: net.face_locator(region), inputs=(region,)),
            Part("reference_unet", net.reference_unet, lambda: net.reference_unet(image, None), inputs=(image,)),
            *_base(net, image),
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
        uncounted=("Whisper", "face detector", "VAE"),
    )


def _base(net: EchoMimic, image: torch.Tensor) -> tuple[Part, ...]:
    """What the networks see in the place of each frame, where changes are denoised."""
    if (conv := net.base) is None:
        return ()
    return (Part("base", conv, lambda: conv(image), inputs=(image,)),)


def _cells(side: int) -> torch.Tensor:
    """Which cells are foreground does not change a count; the first ones are."""
    return (torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side)
