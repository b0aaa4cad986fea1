"""FLAP from request to frames: coefficients of the whole clip, edited as asked, then frames window by window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
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
from thbench_methods.common.tracks import read_track
from thbench_methods.dreamtalk.motion import there_and_back
from thbench_methods.flap import bundle as files
from thbench_methods.flap.base import places_of
from thbench_methods.flap.bundle import NAME
from thbench_methods.flap.config import MINI
from thbench_methods.flap.editing import Edits, asked_blinks, asked_turn, preset_track
from thbench_methods.flap.networks import Given
from thbench_methods.flap.schedule import sampler
from thbench_methods.flap.spec import CONTROLS, FIXED, GENERATED, IDLE, STILL
from thbench_methods.flap.spec import PRESETS as MOVEMENTS
from thbench_methods.hallo.pipeline import at_times
from thbench_methods.hallo.portrait import region_of
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.latents import Base, decoded

from thbench.accel import sample
from thbench.accel.calibrate import Sampling, stored_key_steps
from thbench.accel.masks import foreground, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from thbench_methods.flap.bundle import Bundle
    from thbench_methods.flap.config import Config
    from torch import Tensor

    from thbench.types import OnStep, Request

TRACK_FILES = (".npy", ".csv")
"""Endings of files that hold angles; others are videos."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], Bundle]


PRESETS = {"mini": Preset(MINI, files.load_mini)}
"""The authors published no weights, so that there is no other; `config.PAPER` has the sizes."""


class Seen(NamedTuple):
    """A portrait that was read."""

    picture: Tensor
    """Shape (1, 3, size, size), range [-1, 1]."""
    rgb: NDArray[np.uint8]
    """The same, (size, size, 3)."""
    place: Tensor
    """Where its head is, (3,), as `base.places_of` gives it."""
    latent: Tensor
    """Shape (1, latent, side, side), as the networks know it."""
    identity: Tensor
    """Shape (1, embedding)."""
    region: Tensor
    """Shape (1, 3, size, size), range [0, 1]."""
    own: Tensor
    """Head coefficients, (total,)."""
    foreground: Tensor
    """Head, neck and shoulders, (h, w) of what is denoised, bool, on the CPU."""


class How(NamedTuple):
    """How windows are sampled."""

    steps: int
    guidance: float


class FLAP:
    """Speech, one portrait and any edits of its head to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini`.
            device: Where the networks run.
            accelerations: Names of the registry; of the video, not of the coefficients.
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
            MethodError: A control is unknown or out of range, or portrait, sound, length or a file cannot be used.
        """
        controls = read_controls(NAME, request.controls, CONTROLS)
        base, noise, stages = self.config.base, Noise(request.seed), Stages(on_step)
        count = model_frames(request, base.fps)
        whole = math.ceil(count / base.sampling.frames) * base.sampling.frames
        sound = speech(request, whole, base.fps)
        with stages.stage("portrait"):
            seen = self.look(request.portrait)
        with stages.stage("audio"):
            heard = self.bundle.hear(sound, whole).to(self._device)
        with stages.stage("coefficients"):
            edits = self.edits(controls, seen, whole, noise)
            track = edits.applied(self.spoken(heard, seen, noise), seen.own, self.config.layout)
        pictures = self._pictures(seen, track, self.how(controls), noise, stages)
        height, width = request.portrait.shape[:2]
        return Generation(
            (resized(frame, height, width) for frame in at_times(pictures, base.fps, request)), seconds=stages.seconds
        )

    def how(self, controls: Mapping[str, Any]) -> How:
        """Return how windows are sampled."""
        steps = controls["steps"]
        key_steps = stored_key_steps(__name__, self._preset, steps)
        return How(steps_of(self._accelerations, steps, key_steps), controls["guidance"])

    @torch.inference_mode()
    def look(self, portrait: NDArray[np.uint8]) -> Seen:
        """Read a portrait (height, width, 3); one that is not square is stretched.

        Raises:
            MethodError: It is no RGB picture, or shows no head.
        """
        base = self.config.base
        side, size = base.side, base.size
        picture = portrait_tensor(portrait, size)
        rgb = to_frame_batch(picture)[0]
        looked = self.bundle.look(rgb)
        whole = (2 * picture - 1).to(self._device)
        return Seen(
            whole,
            rgb,
            places_of(looked.outlines.face).to(self._device),
            self.encode(whole),
            looked.identity.to(self._device),
            region_of(looked.outlines, picture, base).to(self._device),
            looked.own.to(self._device),
            foreground(silhouette(looked.outlines.face * size, size, size), side, side),
        )

    @torch.inference_mode()
    def spoken(self, heard: Tensor, seen: Seen, noise: Noise) -> Tensor:
        """Return the coefficients (frames, total) that speech features (frames, audio) make; strengths are limited."""
        networks, sizes = self.bundle.networks, self.config.front_end
        shape = (1, sizes.window, self.config.layout.total)
        made: Tensor = networks.front_end.track(
            heard,
            networks.standard.normal(seen.own),
            lambda number: noise.normal(shape, "coefficients", number).to(self._device),
        )
        track = networks.standard.restored(made)
        head = self.config.layout.head
        return torch.cat((track[:, :head], track[:, head:].clamp(0, 1)), dim=1)

    def edits(self, controls: Mapping[str, Any], seen: Seen, frames: int, noise: Noise) -> Edits:
        """Return what is changed of what speech makes.

        Raises:
            MethodError: A file cannot be read, or shows no head.
        """
        fps = self.config.base.fps
        return Edits(
            rotation=self._rotation(controls["head"], seen, frames),
            turned=asked_turn(controls),
            lids=asked_blinks(controls, frames, fps, noise.generator("blinks")),
            face=self._face(controls["expression"], seen, frames),
            scale=controls["expression_scale"],
        )

    @torch.inference_mode()
    def base(self, seen: Seen, values: Tensor) -> Base:
        """Return what changes are of in frames of some coefficients (F, total): the portrait whose head has moved."""
        head, heads = self.bundle.networks.moving_head, seen.picture
        if head is not None:
            heads = head.moved(seen.rgb, seen.own, seen.place, values, head.led(seen.own, seen.place, values))
        return Base(heads, self.encode(heads).transpose(0, 1)[None])

    @torch.inference_mode()
    def sampling(self, seen: Seen, values: Tensor, base: Base, past: Tensor, how: How, noise: Tensor) -> Sampling:
        """Return the sampler loop of one window.

        Args:
            seen: The portrait.
            values: Head coefficients, (frames, total).
            base: As `base` gives it.
            past: Frames before the window, oldest first, (n, 3, size, size), range [-1, 1].
            how: How.
            noise: Shape (1, latent, frames, side, side).
        """
        networks = self.bundle.networks
        latents = torch.cat((seen.latent, self.encode(past)))
        given = Given(latents, values[None], seen.own[None], seen.identity, seen.region, base.latents)
        return Sampling(
            with_guidance(networks.denoising_unet, how.guidance),
            sampler(self.config, how.steps),
            noise,
            networks.condition(given, guided=is_guided(how.guidance)),
        )

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Return latents (n, latent, side, side) of pictures (n, 3, size, size), range [-1, 1]."""
        return self.bundle.networks.latents.known(self.bundle.vae.encode(pictures))

    @torch.inference_mode()
    def decode(self, denoised: Tensor, base: Base) -> Tensor:
        """Return pictures (frames, 3, size, size), range [-1, 1].

        Args:
            denoised: Shape (1, latent, frames, side, side).
            base: As `base` gives it.
        """
        return decoded(self.bundle.networks.latents, self.bundle.vae, denoised, base)

    def _rotation(self, head: str, seen: Seen, frames: int) -> Tensor | None:
        """Return the rotation (frames, 3) that takes the place of the generated one."""
        own = seen.own[: self.config.layout.rotation]
        words = (GENERATED, STILL, FIXED, *MOVEMENTS)
        if head == GENERATED:
            return None
        if head in (STILL, FIXED):
            return (own if head == STILL else torch.zeros_like(own)).expand(frames, -1)
        if head in MOVEMENTS:
            return preset_track(head, own, frames, self.config.base.fps)
        path = Path(head)
        if path.suffix in TRACK_FILES:
            degrees = read_track(path, f"{NAME}: head", words, (len(own),))
            track = torch.from_numpy(np.radians(degrees))
        else:
            track = self.bundle.video_track(path, "head", words)[:, : len(own)]
        return there_and_back(track.to(own), frames)

    def _face(self, expression: str, seen: Seen, frames: int) -> Tensor | None:
        """Return the face's coefficients (frames, face) that take the place of the generated ones."""
        first = self.config.layout.head
        if expression == GENERATED:
            return None
        if expression == IDLE:
            return seen.own[first:].expand(frames, -1)
        track = self.bundle.video_track(Path(expression), "expression", (GENERATED, IDLE))
        return there_and_back(track[:, first:].to(seen.own), frames)

    def _pictures(
        self, seen: Seen, track: Tensor, how: How, noise: Noise, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames at the model's own rate."""
        own = self.config.base
        shape = (1, own.unet.latent, own.sampling.frames, own.side, own.side)
        past = seen.picture.expand(own.sampling.motion_frames, -1, -1, -1)
        for number, values in enumerate(torch.split(track, own.sampling.frames)):
            with stages.stage("denoise"):
                start, base = noise.normal(shape, "window", number).to(self._device), self.base(seen, values)
                latents = self._denoise(self.sampling(seen, values, base, past, how, start), seen, how, stages)
            with stages.stage("decode"):
                pictures = self.decode(latents, base)
                past = pictures[len(pictures) - own.sampling.motion_frames :]
                frames = to_frame_batch((pictures + 1) / 2)
            yield from frames

    @torch.inference_mode()
    def _denoise(self, run: Sampling, seen: Seen, how: How, stages: Stages) -> Tensor:
        setting = Setting(
            how.steps, key_steps=stored_key_steps(__name__, self._preset, how.steps), foreground=seen.foreground
        )
        return sample(
            run.denoiser,
            run.schedule,
            run.noise,
            run.condition,
            planned(self._accelerations, setting),
            lambda step: stages.told("denoise", step.index, step.count),
        )
