"""Adapters of MoDA's networks: fixture to outputs by name."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.moda.config import Sizes
from thbench_methods.moda.networks import Condition, MotionDiffusion
from thbench_methods.moda.schedule import sampler
from thbench_methods.nets.building import build
from thbench_methods.nets.sampling import sample as run_sampler

from thbench.parity.loading import tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def denoiser(fixture: Fixture) -> Outputs:
    """`moda.denoiser` and `moda.denoiser_small`: predicted velocity, and the embedded conditions."""
    net, given = _network(fixture).talking_head_dit, tensors(fixture.inputs)
    condition = net.condition(*_inputs(given))
    return {
        "velocity": net(given["noisy"], given["time"], condition),
        "audio_tokens": condition.audio,
        "identity_token": condition.identity,
        "condition": net.modulation_vector(given["time"], condition),
    }


@torch.inference_mode()
def sample(fixture: Fixture) -> Outputs:
    """`moda.sample`: a window of motion by guided Euler steps."""
    net, given = _network(fixture), tensors(fixture.inputs)
    condition: Condition = net.talking_head_dit.condition(*_inputs(given))
    plain = net.unconditional(condition)

    def denoise(latent: Tensor, time: float) -> Tensor:
        return net.guided(latent, latent.new_full(latent.shape[:1], time), condition, plain, fixture.config["guidance"])

    return {"motion": run_sampler(sampler(fixture.config["steps"]), denoise, given["noise"])}


def _network(fixture: Fixture) -> MotionDiffusion:
    sizes = Sizes(**{field.name: fixture.config[field.name] for field in fields(Sizes)})
    return build(lambda: MotionDiffusion(sizes), tensors(fixture.weights()), source=fixture.target)


def _inputs(given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    return tuple(given[name] for name in ("previous", "audio", "identity", "emotion"))
