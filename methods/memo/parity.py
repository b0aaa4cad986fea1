"""Adapters of MEMO's networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.memo.networks import Condition, DenoisingUNet
from thbench_methods.nets.building import build
from thbench_methods.nets.unet3d.layout import to_tokens
from thbench_methods.nets.unet3d.parity import features_of, sizes_of
from thbench_methods.nets.unet3d.reference import ATTENTIONS, split

from thbench.parity.loading import tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def denoising_unet(fixture: Fixture) -> Outputs:
    """`memo.denoising_unet`: three calls in two clips of one sound, and what enters the last up layer of the first."""
    net = build(lambda: DenoisingUNet(sizes_of(fixture.config)), tensors(fixture.weights()), source=fixture.target)
    given = tensors(fixture.inputs)
    features = _features(given)
    clips = len(given["noisy_latents"])
    reference = split(features, len(next(iter(features.values()))) // clips - 1)
    first_memory = net.remember(reference.past, None)
    later_memory = net.remember(reference.past, first_memory)

    def condition(memory: Mapping[str, Any]) -> Condition:
        face, audio, emotion = (given[name] for name in ("encoder_hidden_states", "audio_embedding", "audio_emotion"))
        return Condition(face, audio, emotion, reference.image, memory)

    first, deep = net.full(given["noisy_latents"], given["timestep"], condition(first_memory))
    later, _ = net.full(given["noisy_latents_2"], given["timestep_2"], condition(later_memory))
    last, _ = net.full(given["noisy_latents"], given["timestep"], condition(later_memory))
    return {
        "model_output_first_clip": first,
        "model_output_later_clip_step0": later,
        "model_output_later_clip_step1": last,
        "feature_u31": deep.video,
        "audio_stream_u32": deep.audio,
    }


def _features(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the reference features by place; the fixture calls place `down_blocks.0.attentions.1` down.0.1."""
    features = {}
    for name, feature in features_of(given, "reference_features.").items():
        part, block, layer = name.split(".")
        block_name = "mid_block" if part == "mid" else f"{part}_blocks.{block}"
        features[f"{block_name}.{ATTENTIONS}.{layer}"] = to_tokens(feature) if feature.ndim == 4 else feature
    return features
