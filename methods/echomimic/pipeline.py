"""EchoMimic from request to frames: a video is denoised as a whole, in windows that overlap and move at each step.

Source: antgroup/echomimic at a53e970, src/pipelines/pipeline_echo_mimic.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from thbench_methods.common import (
    Noise,
    Stages,
    chosen,
    model_frames,
    portrait_tensor,
    read_controls,
    resized,
    speech,
    to_frame_batch,
)
from thbench_methods.echomimic import bundle as files
from thbench_methods.echomimic.config import MINI, PAPER
from thbench_methods.echomimic.hearing import heard_around
from thbench_methods.echomimic.portrait import region_of
from thbench_methods.echomimic.spec import CONTROLS, ECHOMIMIC
from thbench_methods.echomimic.windows import Windowed
from thbench_methods.hallo.pipeline import at_times
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.latents import Base, decoded
from thbench_methods.nets.unet3d.schedule import Diffusion, sampler

from thbench.accel import sample
from thbench.accel.calibrate import stored_key_steps
from thbench.accel.masks import foreground, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.common.controls import Control
    from thbench_methods.echomimic.bundle import Bundle
    from thbench_methods.echomimic.config import Config
    from torch import Tensor

    from thbench.accel.calibrate import Sampling
    from thbench.types import OnStep, Request

DECODED = 8
"""Frames that are decoded at once."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], Bundle]


@dataclass(frozen=True, slots=True)
class Kind:
    """What of a method is not the same for EchoMimic and EchoMimic Acc."""

    name: str
    """Of the method."""
    presets: Mapping[str, Preset]
    controls: Mapping[str, Control]
    module: str
    """Beside which its calibrated key steps lie."""


PRESETS = {"mini": Preset(MINI, files.load_mini), "paper": Preset(PAPER, files.load_published)}
BASE = Kind(ECHOMIMIC.name, PRESETS, CONTROLS, __name__)


class Seen(NamedTuple):
    """A portrait that was read."""

    picture: Tensor
    """Shape (1, 3, size, size), range [-1, 1]."""
    latent: Tensor
    """Shape (1, latent, side, side), as the networks know it."""
    region: Tensor
    """Shape (1, 1 or 3, size, size), range [0, 1]."""
    foreground: Tensor
    """Head, neck and shoulders, (h, w) of what is denoised, bool, on the CPU."""


class Told(NamedTuple):
    """How a video is to be generated."""

    steps: int
    guidance: float


class EchoMimic:
    """Speech and one portrait to a talking portrait."""

    def __init__(
        self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = (), kind: Kind = BASE
    ) -> None:
        """Load everything.

        Args:
            preset: `mini` or `paper`.
            device: Where the networks run.
            accelerations: Names of the registry.
            kind: EchoMimic, or EchoMimic Acc.
        """
        wanted = chosen(kind.name, preset, kind.presets)
        self.config, self._preset, self._device = wanted.config, preset, torch.device(device)
        self._kind, self._accelerations = kind, accelerations
        self.bundle = wanted.load(self.config)
        self.bundle.networks.to(self._device)
        self.bundle.vae.to(self._device)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; the whole of it is denoised when its first frame is read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound or length cannot be used.
        """
        told = self.told(read_controls(self._kind.name, request.controls, self._kind.controls))
        count = model_frames(request, self.config.fps)
        sound = speech(request, count, self.config.fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            seen = self.look(request.portrait)
        with stages.stage("audio"):
            heard = self.hear(sound, count)
        pictures = self._pictures(seen, heard, told, Noise(request.seed), stages)
        height, width = request.portrait.shape[:2]
        return Generation(
            (resized(frame, height, width) for frame in at_times(pictures, self.config.fps, request)),
            seconds=stages.seconds,
        )

    def told(self, controls: dict[str, Any]) -> Told:
        """Return how a video is to be generated; a control that is 0 leaves it to the preset."""
        own = self.config.sampling
        steps = controls["steps"] or own.steps
        return Told(steps_of(self._accelerations, steps, self.key_steps(steps)), controls["guidance"] or own.guidance)

    def key_steps(self, steps: int) -> tuple[int, ...] | None:
        """Return the key steps for a number of steps, calibrated ones if there are; None if none are known for it."""
        own = self.config.sampling
        calibrated = stored_key_steps(self._kind.module, self._preset, steps)
        return calibrated or (own.key_steps if steps == own.steps else None)

    @torch.inference_mode()
    def look(self, portrait: NDArray[np.uint8]) -> Seen:
        """Read a portrait (height, width, 3); one that is not square is stretched.

        Raises:
            MethodError: It is no RGB picture, or shows no face.
        """
        side, size = self.config.side, self.config.size
        picture = portrait_tensor(portrait, size)
        outlines = self.bundle.look(to_frame_batch(picture)[0])
        whole = (2 * picture - 1).to(self._device)
        return Seen(
            whole,
            self.bundle.networks.latents.known(self.bundle.vae.encode(whole)),
            region_of(outlines, picture, self.config).to(self._device),
            foreground(silhouette(outlines.face * size, size, size), side, side),
        )

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return the audio tokens of each frame, (frames, tokens, channels); the ends are repeated."""
        own = self.config
        features = self.bundle.hear(sound, frames, own.fps)
        return heard_around(features, own.hearing, frames, own.fps).to(self._device)

    def start(self, frames: int, noise: Noise) -> Tensor:
        """Return the noise that a video begins with, (1, latent, frames, side, side)."""
        own, most = self.config, self.config.sampling.noise
        shape = (1, own.unet.latent, frames, own.side, own.side)
        return noise.normal(shape, "video").clamp(-most, most).to(self._device)

    @torch.inference_mode()
    def sampling(self, seen: Seen, heard: Tensor, told: Told, noise: Tensor) -> Sampling:
        """Return the sampler loop of a video.

        Args:
            seen: The portrait.
            heard: Shape (frames, tokens, channels).
            told: How.
            noise: Shape (1, latent, frames, side, side).
        """
        from thbench.accel.calibrate import Sampling

        networks, schedule = self.bundle.networks, sampler(told.steps, Diffusion())
        guided = with_guidance(networks.denoising_unet, told.guidance)
        return Sampling(
            Windowed(guided, schedule.times, self.config.sampling, keeps=bool(self._accelerations)),
            schedule,
            noise,
            networks.condition(seen.latent, heard[None], seen.region, guided=is_guided(told.guidance)),
        )

    @torch.inference_mode()
    def decode(self, denoised: Tensor, seen: Seen) -> Tensor:
        """Return pictures (frames, 3, size, size), range [-1, 1], of latents (1, latent, frames, side, side)."""
        base = Base(seen.picture, seen.latent[:, :, None])
        return decoded(self.bundle.networks.latents, self.bundle.vae, denoised, base)

    def _pictures(
        self, seen: Seen, heard: Tensor, told: Told, noise: Noise, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames at the model's own rate."""
        with stages.stage("denoise"):
            latents = self._denoise(seen, heard, told, self.start(len(heard), noise), stages)
        for part in torch.split(latents, DECODED, dim=2):
            with stages.stage("decode"):
                frames = to_frame_batch((self.decode(part, seen) + 1) / 2)
            yield from frames

    @torch.inference_mode()
    def _denoise(self, seen: Seen, heard: Tensor, told: Told, start: Tensor, stages: Stages) -> Tensor:
        run = self.sampling(seen, heard, told, start)
        setting = Setting(told.steps, key_steps=self.key_steps(told.steps), foreground=seen.foreground)
        return sample(
            run.denoiser,
            run.schedule,
            run.noise,
            run.condition,
            planned(self._accelerations, setting),
            lambda step: stages.told("denoise", step.index, step.count),
        )
