"""DreamTalk's networks for counting, on the meta device: frames that are denoised together, and their pictures."""

from __future__ import annotations

from functools import partial

import torch
from thbench_methods.dreamtalk.bundle import Renderer
from thbench_methods.dreamtalk.config import MINI, PAPER, Config
from thbench_methods.dreamtalk.motion import POSE
from thbench_methods.dreamtalk.networks import Condition, DiffusionNet
from thbench_methods.dreamtalk.style_predictor import SpeechAndSpeaker, StylePredictor
from thbench_methods.nets.pirenderer import FaceGenerator
from thbench_methods.nets.speech.encoder import SpeechEncoder
from thbench_methods.nets.wav2lip_audio import PUBLISHED_MEL

from thbench.cost.offer import Denoising, Offer, Part
from thbench.errors import UsageError, did_you_mean

CONFIGS = {"mini": MINI, "paper": PAPER}
"""Preset to sizes and settings."""
FRAMES = 100
"""Four seconds; a clip is denoised as a whole, so operations grow with it in proportion."""


def offer(preset: str) -> Offer:
    """Return the networks of a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in CONFIGS:
        raise UsageError(f"dreamtalk has no preset {preset!r} to count{did_you_mean(preset, CONFIGS)}")
    config = CONFIGS[preset]
    return offer_of(config, _mini_parts(config) if config is MINI else _published_parts(config))


def offer_of(config: Config, parts: tuple[Part, ...], frames: int = FRAMES) -> Offer:
    """Return the networks of a configuration, without guidance of the style (a scale of 1 needs none)."""
    sizes = config.sizes
    with torch.device("meta"), torch.inference_mode():
        diffusion = DiffusionNet(config).to("meta").eval()
        speech = torch.empty(1, frames, sizes.window, sizes.audio)
        clip, lengths = torch.empty(1, sizes.style_length, sizes.motion), torch.empty(1, dtype=torch.int64)
        condition = Condition(diffusion.content(speech), diffusion.style(clip, lengths))
        noise = torch.empty(1, frames, sizes.motion)
    return Offer(
        workload=f"{frames} frames at {config.portrait_size} px, {config.diffusion.steps} steps",
        frames=frames,
        parts=(
            Part(
                "content_encoder", diffusion.net.content_encoder, partial(diffusion.content, speech), inputs=(speech,)
            ),
            Part("style_encoder", diffusion.net.style_encoder, partial(diffusion.style, clip, lengths), inputs=(clip,)),
            *parts,
        ),
        denoising=Denoising("decoder", diffusion.net, diffusion.net, noise, condition, config.diffusion.steps),
        uncounted=("mini face regressor",) if config is MINI else ("wav2vec 2.0", "3-D face reconstruction"),
    )


def _published_parts(config: Config) -> tuple[Part, ...]:
    """PIRenderer."""
    with torch.device("meta"):
        renderer = FaceGenerator().to("meta").eval()
        image = torch.empty(1, 3, config.portrait_size, config.portrait_size)
        window = torch.empty(1, config.sizes.motion + POSE, 2 * config.render_radius + 1)
    return (Part("renderer", renderer, partial(renderer, image, window), calls=FRAMES, inputs=(image, window)),)


def _mini_parts(config: Config) -> tuple[Part, ...]:
    """Speech encoder, style predictor and renderer; a style clip in the place of the predictor costs less."""
    values, rows, sizes = config.sizes.motion + POSE, 2 * FRAMES, config.predictor
    with torch.device("meta"):
        speech = SpeechEncoder().to("meta").eval()
        predictor = StylePredictor(sizes).to("meta").eval()
        renderer = Renderer(config).to("meta").eval()
        mel = torch.empty(1, round(FRAMES / config.fps * PUBLISHED_MEL.columns_per_second), PUBLISHED_MEL.mels)
        features, lengths = torch.empty(sizes.draws, rows, sizes.audio), torch.empty(sizes.draws, dtype=torch.int64)
        given = SpeechAndSpeaker(features, lengths, torch.empty(sizes.draws, sizes.identity))
        code, time = torch.empty(sizes.draws, sizes.style), torch.empty(sizes.draws)
        image = torch.empty(1, 3, config.portrait_size, config.portrait_size)
        own, window = torch.empty(1, values), torch.empty(1, values, 2 * config.render_radius + 1)
    heard = partial(speech, mel, rows, 2 * config.fps)
    drawn = (image, own, window)
    return (
        Part("speech_encoder", speech, heard, inputs=(mel,)),
        Part(
            "style_predictor",
            predictor,
            partial(predictor, code, time, given),
            calls=config.diffusion.steps,
            inputs=(code, features),
        ),
        Part("renderer", renderer, partial(renderer, *drawn), calls=FRAMES, inputs=drawn),
    )
