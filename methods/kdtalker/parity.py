"""Adapters of KDTalker's networks: fixture to outputs by name."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.kdtalker.config import Diffusion, Sizes
from thbench_methods.kdtalker.networks import PREFIX, Condition, SpatiotemporalTransformer
from thbench_methods.kdtalker.schedule import sampler
from thbench_methods.nets.building import build
from thbench_methods.nets.sampling import sample as run_sampler
from thbench_methods.nets.wav2lip_audio import AudioEncoder, MelSettings, log_mel, mel_windows

from thbench.parity.loading import network, tensors

if TYPE_CHECKING:
    from torch import Tensor

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def audio_encoder(fixture: Fixture) -> Outputs:
    """`kdtalker.audio_encoder`: spectrograms of two sounds, and features of a sound and of given windows."""
    config = dict(fixture.config)
    fps, config["n_fft"] = config.pop("fps"), config.pop("window")
    settings = MelSettings(**config)
    net = network(fixture, AudioEncoder)
    wave, quiet = fixture.inputs["wave"], fixture.inputs["wave_quiet"]
    windows = mel_windows(wave, fps, settings)
    return {
        "mel": log_mel(wave, settings),
        "mel_quiet": log_mel(quiet, settings),
        "windows": windows,
        "features_from_wave": net(torch.from_numpy(windows)),
        "features": net(torch.from_numpy(fixture.inputs["mel_windows"])),
    }


@torch.inference_mode()
def denoiser(fixture: Fixture) -> Outputs:
    """`kdtalker.denoiser`: predicted noise, and the first attention alone."""
    net = _transformer(fixture, Sizes(**fixture.config))
    given = tensors(fixture.inputs)
    alone = given["attention_input"]
    attention = net.get_submodule("layers.0.2.fn.fn")
    return {
        "noise": net(given["noisy"], given["time"], _condition(given)),
        "attention": attention(alone, net.time_rel_pos_bias(alone.shape[1])),
    }


@torch.inference_mode()
def sample(fixture: Fixture) -> Outputs:
    """`kdtalker.sample`: a window of motion by DDIM."""
    net = _transformer(fixture, Sizes())
    given = tensors(fixture.inputs)
    condition = _condition(given)
    steps = sampler(Diffusion(**{field.name: fixture.config[field.name] for field in fields(Diffusion)}))

    def denoise(latent: Tensor, time: float) -> Tensor:
        return net(latent, latent.new_full(latent.shape[:1], time), condition)  # type: ignore[no-any-return]

    return {"motion": run_sampler(steps, denoise, given["noise"])}


def _transformer(fixture: Fixture, sizes: Sizes) -> SpatiotemporalTransformer:
    state = {key.removeprefix(PREFIX): tensor for key, tensor in tensors(fixture.weights()).items()}
    return build(lambda: SpatiotemporalTransformer(sizes), state, source=fixture.target)


def _condition(given: dict[str, Tensor]) -> Condition:
    return Condition(given["reference"], given["canonical"], given["audio"])
