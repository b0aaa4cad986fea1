"""Adapters of Hallo's networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch
from thbench_methods.hallo.config import Config
from thbench_methods.hallo.networks import (
    REGIONS,
    Condition,
    DenoisingUNet,
    Given,
    Hallo,
    Masks,
)
from thbench_methods.nets.building import build
from thbench_methods.nets.sampling import sample as run_sampler
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.parity import BANK, features_of, sizes_of
from thbench_methods.nets.unet3d.projections import AudioProjModel, ImageProjModel
from thbench_methods.nets.unet3d.reference import ReferenceUNet, split
from thbench_methods.nets.unet3d.schedule import Diffusion, alpha_bars, sampler

from thbench.parity.loading import tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from thbench.parity.fixture import Fixture

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)
Outputs = dict[str, Any]


@torch.inference_mode()
def audio_proj(fixture: Fixture) -> Outputs:
    """`hallo.audio_proj`: audio tokens."""
    net = _network(fixture, lambda: AudioProjModel(*_audio(fixture.config)))
    return {"audio_embedding": net(tensors(fixture.inputs)["audio_window_features"])}


@torch.inference_mode()
def image_proj(fixture: Fixture) -> Outputs:
    """`hallo.image_proj`: face tokens."""
    net = _network(fixture, lambda: ImageProjModel(*_image(fixture.config)))
    return {"face_tokens": net(tensors(fixture.inputs)["face_embedding"])}


@torch.inference_mode()
def face_locator(fixture: Fixture) -> Outputs:
    """`hallo.face_locator`: the feature that joins the latent's."""
    net = _network(fixture, lambda: FaceLocator(fixture.config["conditioning_embedding_channels"]))
    return {"face_locator_feature": net(tensors(fixture.inputs)["face_region_images"])}


@torch.inference_mode()
def reference_unet(fixture: Fixture) -> Outputs:
    """`hallo.reference_unet`: the features of every transformer."""
    net = _network(fixture, lambda: ReferenceUNet(sizes_of(fixture.config)))
    given = tensors(fixture.inputs)
    features = net(given["reference_latents"], given["encoder_hidden_states"])
    return {f"{BANK}{place}": tokens for place, tokens in features.items()}


@torch.inference_mode()
def denoising_unet(fixture: Fixture) -> Outputs:
    """`hallo.denoising_unet`: predicted velocity, and what enters the last up layer."""
    net = _network(fixture, lambda: DenoisingUNet(sizes_of(fixture.config)))
    given = tensors(fixture.inputs)
    bank = features_of(given, BANK)
    condition = Condition(
        face=given["encoder_hidden_states"],
        audio=given["audio_embedding"],
        locator=given["face_locator_feature"],
        masks=_masks(given),
        scale=given["motion_scale"],
        reference=split(bank, len(next(iter(bank.values()))) // len(given["noisy_latents"]) - 1),
    )
    prediction, deep = net.full(given["noisy_latents"], given["timestep"], condition)
    return {"model_output": prediction, "feature_u31": deep}


@torch.inference_mode()
def sample(fixture: Fixture) -> Outputs:
    """`hallo.sample`: latents of a clip of frames by guided DDIM, and all latents on the way."""
    net = _network(fixture, lambda: Hallo(_config(fixture.config)))
    given = tensors(fixture.inputs)
    scale = float(fixture.inputs["guidance_scale"])
    condition = net.condition(
        Given(
            latents=given["reference_latents"],
            face=given["face_embedding"],
            audio=given["audio_window_features"],
            region=given["face_region_image"],
            masks=_masks(given),
            scale=given["motion_scale"],
        ),
        guided=is_guided(scale),
    )
    scheduler = fixture.config["scheduler"]
    diffusion = Diffusion(scheduler["beta_start"], scheduler["beta_end"])
    steps = sampler(int(fixture.inputs["num_inference_steps"]), diffusion)
    denoiser = with_guidance(net.denoising_unet, scale)
    visited: list[Tensor] = []

    def denoise(latent: Tensor, time: float) -> Tensor:
        visited.append(latent)
        return denoiser.full(latent, torch.tensor(time), condition)[0]

    latents = run_sampler(steps, denoise, given["initial_noise"])
    return {
        "latents": latents,
        "trajectory": torch.stack((*visited[1:], latents)),
        "timesteps": torch.tensor(steps.times),
        "alphas_cumprod": alpha_bars(diffusion)[list(steps.times)],
    }


def _network(fixture: Fixture, factory: Callable[[], ModuleT]) -> ModuleT:
    return build(factory, tensors(fixture.weights()), source=fixture.target)


def _config(config: Mapping[str, Any]) -> Config:
    projection, _ = _audio(config["audioproj"])
    face, _ = _image(config["imageproj"])
    return Config(sizes_of(config["denoising_unet"]), projection, face)


def _audio(config: Mapping[str, Any]) -> tuple[AudioProjection, int]:
    names = ("seq_len", "blocks", "channels", "intermediate_dim", "context_tokens")
    return AudioProjection(*(config[name] for name in names)), config["output_dim"]


def _image(config: Mapping[str, Any]) -> tuple[FaceProjection, int]:
    sizes = FaceProjection(config["clip_embeddings_dim"], config["clip_extra_context_tokens"])
    return sizes, config["cross_attention_dim"]


def _masks(given: Mapping[str, Tensor]) -> Sequence[Masks]:
    levels = sum(name.startswith(f"{REGIONS[0]}_mask_") for name in given)
    return [Masks(*(given[f"{region}_mask_{level}"] for region in REGIONS)) for level in range(levels)]
