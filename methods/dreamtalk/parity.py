"""Adapters of DreamTalk's networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.dreamtalk.config import Config, Diffusion, Sizes
from thbench_methods.dreamtalk.networks import Condition, DiffusionNet
from thbench_methods.dreamtalk.schedule import sampler
from thbench_methods.nets.building import build
from thbench_methods.nets.pirenderer import FaceGenerator
from thbench_methods.nets.sampling import sample as run_sampler

from thbench.parity.loading import network, tensors

if TYPE_CHECKING:
    from torch import Tensor

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def denoiser(fixture: Fixture) -> Outputs:
    """`dreamtalk.denoiser`: predicted clean expression, and the style code."""
    config = Config(sizes=Sizes(**fixture.config))
    net = build(lambda: DiffusionNet(config), tensors(fixture.weights()), source=fixture.target)
    given = tensors(fixture.inputs)
    condition = Condition(net.content(given["audio"]), net.style(given["style_clip"], given["style_length"]))
    return {"x0": net.net(given["noisy"], given["time"], condition), "style_code": condition.style}


@torch.inference_mode()
def renderer(fixture: Fixture) -> Outputs:
    """`dreamtalk.renderer`: flow, warped portrait and frame."""
    config = dict(fixture.config)
    common = {name: value for name, value in config.pop("common").items() if name != "use_spect"}
    config["mapping_net"] = {k: v for k, v in config["mapping_net"].items() if k != "descriptor_nc"}
    net = network(fixture, lambda: FaceGenerator(**config, **common))
    outputs: Outputs = net(**tensors(fixture.inputs))._asdict()
    return outputs


@torch.inference_mode()
def sample(fixture: Fixture) -> Outputs:
    """`dreamtalk.sample`: expression by guided DDIM."""
    diffusion = Diffusion(**fixture.config)
    net = build(lambda: DiffusionNet(Config(diffusion=diffusion)), tensors(fixture.weights()), source=fixture.target)
    given = tensors(fixture.inputs)
    condition = Condition(net.content(given["audio"]), net.style(given["style_clip"], given["style_length"]))
    null = net.null_style()

    def denoise(latent: Tensor, time: float) -> Tensor:
        return net.guided(latent, latent.new_full(latent.shape[:1], time), condition, null, diffusion.guidance)

    return {"motion": run_sampler(sampler(diffusion), denoise, given["noise"])}
