"""Hallo from request to frames, window by window; each is continued from the last frames of the one before."""

from __future__ import annotations

import math
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
from thbench_methods.hallo import bundle as files
from thbench_methods.hallo.config import MINI, PAPER
from thbench_methods.hallo.networks import Given, Masks
from thbench_methods.hallo.portrait import masks_of, region_of
from thbench_methods.hallo.spec import CONTROLS
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.latents import Base, decoded
from thbench_methods.nets.unet3d.schedule import Diffusion, sampler

from thbench.accel import sample
from thbench.accel.calibrate import stored_key_steps
from thbench.accel.masks import foreground, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.hallo.bundle import Bundle
    from thbench_methods.hallo.config import Config
    from torch import Tensor

    from thbench.accel.calibrate import Sampling
    from thbench.types import OnStep, Request

NAME = "hallo"


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], Bundle]


PRESETS = {"mini": Preset(MINI, files.load_mini), "paper": Preset(PAPER, files.load_published)}


class Seen(NamedTuple):
    """A portrait that was read."""

    picture: Tensor
    """Shape (1, 3, size, size), range [-1, 1]."""
    latent: Tensor
    """Shape (1, latent, side, side), as the networks know it."""
    face: Tensor
    """Shape (1, embedding)."""
    region: Tensor
    """Shape (1, 3, size, size), range [0, 1]."""
    masks: Sequence[Masks]
    """For each level, of shape (1, h w)."""
    foreground: Tensor
    """Head, neck and shoulders, (h, w) of what is denoised, bool, on the CPU."""


class Told(NamedTuple):
    """How a clip is to be generated."""

    steps: int
    guidance: float
    scale: Tensor
    """Shape (3,): weights of what background, face and lips hear."""


class Hallo:
    """Speech and one portrait to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini` or `paper`.
            device: Where the networks run.
            accelerations: Names of the registry.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self.config, self._preset, self._device = wanted.config, preset, torch.device(device)
        self._accelerations = accelerations
        self.bundle = wanted.load(self.config)
        self.bundle.networks.to(self._device)
        self.bundle.vae.to(self._device)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; each window is denoised when its first frame is read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound or length cannot be used.
        """
        told = self.told(read_controls(NAME, request.controls, CONTROLS))
        count = model_frames(request, self.config.fps)
        windows = math.ceil(count / self.config.sampling.frames)
        sound = speech(request, windows * self.config.sampling.frames, self.config.fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            seen = self.look(request.portrait)
        with stages.stage("audio"):
            heard = self.hear(sound, windows * self.config.sampling.frames)
        pictures = self._pictures(seen, heard, told, Noise(request.seed), stages)
        height, width = request.portrait.shape[:2]
        return Generation(
            (resized(frame, height, width) for frame in at_times(pictures, self.config.fps, request)),
            seconds=stages.seconds,
        )

    def told(self, controls: dict[str, Any]) -> Told:
        """Return how a clip is to be generated; a control that is 0 leaves it to the preset."""
        sampling = self.config.sampling
        weights = [controls[f"{part}_weight"] for part in ("pose", "face", "lip")]
        steps = controls["steps"] or sampling.steps
        return Told(
            steps_of(self._accelerations, steps, stored_key_steps(__name__, self._preset, steps)),
            controls["guidance"] or sampling.guidance,
            torch.tensor(weights, device=self._device),
        )

    @torch.inference_mode()
    def look(self, portrait: NDArray[np.uint8]) -> Seen:
        """Read a portrait (height, width, 3); one that is not square is stretched.

        Raises:
            MethodError: It is no RGB picture, or shows no face.
        """
        side, size = self.config.side, self.config.size
        picture = portrait_tensor(portrait, size)
        rgb = to_frame_batch(picture)[0]
        outlines, face = self.bundle.look(rgb)
        sides = [side >> level for level in range(len(self.config.unet.channels))]
        masks = masks_of(outlines, size, sides)
        inside = foreground(silhouette(outlines.face * size, size, size), side, side)
        whole = (2 * picture - 1).to(self._device)
        return Seen(
            whole,
            self.encode(whole),
            face.to(self._device),
            region_of(outlines, picture, self.config).to(self._device),
            [Masks(*(mask.to(self._device) for mask in level)) for level in masks],
            inside,
        )

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return what is heard around each frame, (frames, window, layers, channels); the ends are repeated."""
        hidden = self.bundle.hear(sound, frames, self.config.fps).to(self._device)
        reach = self.config.audio.window // 2
        places = torch.arange(frames)[:, None] + torch.arange(-reach, reach + 1)
        return hidden[places.clamp(0, frames - 1)]

    def sampling(self, seen: Seen, heard: Tensor, past: Tensor, told: Told, noise: Tensor) -> Sampling:
        """Return the sampler loop of one window.

        Args:
            seen: The portrait.
            heard: Shape (frames, window, layers, channels).
            past: Frames before the window, oldest first, (n, 3, size, size), range [-1, 1].
            told: How.
            noise: Shape (1, latent, frames, side, side).
        """
        from thbench.accel.calibrate import Sampling

        frames, guided = len(heard), is_guided(told.guidance)
        latents = torch.cat((seen.latent, self.encode(past)))
        masks = [Masks(*(mask.expand(frames, -1) for mask in level)) for level in seen.masks]
        given = Given(latents, seen.face, heard[None], seen.region, masks, told.scale, seen.latent[:, :, None])
        networks = self.bundle.networks
        return Sampling(
            with_guidance(networks.denoising_unet, told.guidance),
            sampler(told.steps, Diffusion()),
            noise,
            networks.condition(given, guided=guided),
        )

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Return latents (n, latent, side, side) of pictures (n, 3, size, size), range [-1, 1]."""
        return self.bundle.networks.latents.known(self.bundle.vae.encode(pictures))

    @torch.inference_mode()
    def decode(self, denoised: Tensor, seen: Seen) -> Tensor:
        """Return pictures, range [-1, 1].

        Args:
            denoised: Shape (1, latent, frames, side, side).
            seen: The portrait.

        Returns:
            Shape (frames, 3, size, size).
        """
        bundle, base = self.bundle, Base(seen.picture, seen.latent[:, :, None])
        return decoded(bundle.networks.latents, bundle.vae, denoised, base)

    def _pictures(
        self, seen: Seen, heard: Tensor, told: Told, noise: Noise, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames at the model's own rate."""
        own = self.config.sampling
        shape = (1, self.config.unet.latent, own.frames, self.config.side, self.config.side)
        past = seen.picture.expand(own.motion_frames, -1, -1, -1)
        for number, part in enumerate(torch.split(heard, own.frames)):
            with stages.stage("denoise"):
                start = noise.normal(shape, "window", number).to(self._device)
                latents = self._denoise(seen, part, past, told, start, stages)
            with stages.stage("decode"):
                pictures = self.decode(latents, seen)
                past = pictures[len(pictures) - own.motion_frames :]
                frames = to_frame_batch((pictures + 1) / 2)
            yield from frames

    @torch.inference_mode()
    def _denoise(self, seen: Seen, heard: Tensor, past: Tensor, told: Told, start: Tensor, stages: Stages) -> Tensor:
        run = self.sampling(seen, heard, past, told, start)
        setting = Setting(
            told.steps,
            key_steps=stored_key_steps(__name__, self._preset, told.steps),
            foreground=seen.foreground,
        )
        return sample(
            run.denoiser,
            run.schedule,
            run.noise,
            run.condition,
            planned(self._accelerations, setting),
            lambda step: stages.told("denoise", step.index, step.count),
        )


def at_times(frames: Iterator[NDArray[np.uint8]], fps: float, request: Request) -> Iterator[NDArray[np.uint8]]:
    """Yield the frame that is nearest to the time of each of the request's frames; frames behind the last are not made.

    Args:
        frames: At the model's own rate.
        fps: That rate.
        request: Says how many frames at which rate.
    """
    held, number = next(frames), 0
    for index in range(request.frames):
        wanted = math.floor(index * fps / request.fps + 0.5)
        while number < wanted:
            held, number = next(frames, held), number + 1
        yield held
