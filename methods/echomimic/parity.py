"""Adapters of EchoMimic's networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.echomimic.networks import Condition, DenoisingUNet
from thbench_methods.nets.building import build
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.parity import BANK, features_of, sizes_of

from thbench.parity.loading import tensors

if TYPE_CHECKING:
    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def face_locator(fixture: Fixture) -> Outputs:
    """`echomimic.face_locator`: the feature that joins the latent's."""
    config = fixture.config
    sizes = (config["conditioning_embedding_channels"], config["conditioning_channels"])
    widths = tuple(config["block_out_channels"])
    net = build(lambda: FaceLocator(*sizes, widths), tensors(fixture.weights()), source=fixture.target)
    return {"face_locator_feature": net(tensors(fixture.inputs)["face_mask"])}


@torch.inference_mode()
def denoising_unet(fixture: Fixture) -> Outputs:
    """`echomimic.denoising_unet`: predicted velocity with and without guidance, and what enters the last up layer."""
    net = build(lambda: DenoisingUNet(sizes_of(fixture.config)), tensors(fixture.weights()), source=fixture.target)
    given = tensors(fixture.inputs)
    z, time, bank = given["noisy_latents"], given["timestep"], features_of(given, BANK)
    prediction, deep = net.full(z, time, Condition(given["audio_embedding"], given["face_locator_feature"], bank))
    led = Condition(
        audio=given["audio_embedding"][-1:],
        locator=given["face_locator_feature"][-1:],
        reference={place: tokens[-1:] for place, tokens in bank.items()},
        guided=False,
    )
    alone, _ = net.full(z[-1:], time, led)
    return {"model_output": prediction, "feature_u31": deep, "model_output_without_guidance_pair": alone}
