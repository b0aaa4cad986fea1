"""X-Actor from request to frames: motion chunk by chunk, video window by window, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
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
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.hallo.pipeline import at_times
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.latents import Base, decoded
from thbench_methods.nets.unet3d.layout import images
from thbench_methods.xactor import bundle as files
from thbench_methods.xactor.bundle import lit
from thbench_methods.xactor.config import MINI, PAPER
from thbench_methods.xactor.crop import boxes_of, crop_boxes, cropped
from thbench_methods.xactor.encoder import as_faces
from thbench_methods.xactor.endless import Scene, acted, windowed
from thbench_methods.xactor.forcing import TOP
from thbench_methods.xactor.hearing import Hearing
from thbench_methods.xactor.renderer import Portrait
from thbench_methods.xactor.schedule import sampler, start
from thbench_methods.xactor.spec import CONTROLS

from thbench.accel import sample
from thbench.accel.calibrate import stored_key_steps
from thbench.accel.masks import foreground, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.errors import MethodError
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.xactor.bundle import Bundle
    from thbench_methods.xactor.config import Acting, Config
    from thbench_methods.xactor.renderer import Condition
    from torch import Tensor

    from thbench.types import OnStep, Request

NAME = "x-actor"


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], Bundle]


PRESETS = {"mini": Preset(MINI, files.load_mini), "paper": Preset(PAPER, files.load_paper)}


class Seen(NamedTuple):
    """A portrait that was read."""

    portrait: Portrait
    motion: Tensor
    """Shape (1, motion): of the face, as encoded."""
    foreground: Tensor
    """Head, neck and shoulders, (h, w) of what is denoised, bool, on the CPU."""
    picture: Tensor
    """Shape (1, 3, size, size), range [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a clip is to be generated."""

    acting: Acting
    context: int
    """Chunks that a chunk of motion sees."""
    steps: int
    """Of the video."""
    guidance: float
    """Of the video."""


class XActor:
    """Speech and one portrait to an acting portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini`; `paper` is refused, for want of published weights.
            device: Where the networks run.
            accelerations: Names of the registry; they are of the video's denoising.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self.config, self._preset, self._device = wanted.config, preset, torch.device(device)
        self._accelerations = accelerations
        self.bundle = wanted.load(self.config)
        for network in (self.bundle.acted, self.bundle.rendering, self.bundle.vae):
            network.to(self._device)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; chunks are acted and windows rendered when their first frame is read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound or length cannot be used.
        """
        told = self.told(read_controls(NAME, request.controls, CONTROLS))
        frames = model_frames(request, self.config.fps)
        sound = speech(request, frames, self.config.fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            seen = self.look(request.portrait)
        noise = Noise(request.seed)
        motion = self.act(seen, sound, frames, told, noise, stages)
        pictures = self.render(seen, motion, frames, told, noise, stages)
        height, width = request.portrait.shape[:2]
        return Generation(
            (resized(frame, height, width) for frame in at_times(pictures, self.config.fps, request)),
            seconds=stages.seconds,
        )

    def told(self, controls: dict[str, Any]) -> Told:
        """Return how a clip is to be generated; a number that is 0 leaves it to the preset.

        Raises:
            MethodError: Controls do not go together, or not with the preset.
        """
        acting, renderer = self.config.acting, self.config.renderer
        steps, in_flight = controls["acting_steps"] or acting.steps, controls["in_flight"] or acting.in_flight
        if steps % in_flight:
            raise MethodError(f"{NAME}: in_flight is {in_flight}; it must divide the {steps} steps of the motion")
        longest = self.config.actor.context
        if controls["context"] > longest:
            raise MethodError(
                f"{NAME}: context is {controls['context']}; it must be 1 to {longest}, or 0 for {longest}, with the"
                f" preset {self._preset}"
            )
        levels = (min(round(controls["history_noise"] * level), TOP) for level in acting.history)
        rendered = controls["steps"] or renderer.steps
        return Told(
            replace(
                acting,
                steps=steps,
                guidance=controls["audio_guidance"] or acting.guidance,
                history=tuple(level for level in levels if level),
                in_flight=in_flight,
            ),
            controls["context"] or longest,
            steps_of(self._accelerations, rendered, stored_key_steps(__name__, self._preset, rendered)),
            controls["guidance"] or renderer.guidance,
        )

    @torch.inference_mode()
    def look(self, portrait: NDArray[np.uint8]) -> Seen:
        """Read a portrait (height, width, 3); one that is not square is stretched.

        Raises:
            MethodError: It is no RGB picture, or shows no face.
        """
        config, rendering = self.config, self.bundle.rendering
        picture = portrait_tensor(portrait, config.size)
        rgb = to_frame_batch(picture)[0]
        looked = self.bundle.look(rgb)
        box = crop_boxes(boxes_of(looked.landmarks[None] * config.size), config.size)[0]
        face = as_faces(cropped(rgb, box, config.encoder.side)[None])
        motion = rendering.encoder(face.to(self._device))
        inside = foreground(
            silhouette(outlines68(looked.landmarks).face * config.size, config.size, config.size),
            config.side,
            config.side,
        )
        whole = (2 * picture - 1).to(self._device)
        return Seen(
            Portrait(
                rendering.video.latents.known(self.bundle.vae.encode(whole)),
                looked.embedding.to(self._device),
                rendering.encoder.tokens(motion),
                lit(looked.landmarks, picture).to(self._device) if config.renderer.locator else None,
            ),
            motion,
            inside,
            whole,
        )

    def act(
        self, seen: Seen, sound: NDArray[np.float32], frames: int, told: Told, noise: Noise, stages: Stages
    ) -> Iterator[Tensor]:
        """Yield normalised motion (motion,) of each frame, without end."""
        return acted(
            self.scene(seen, sound, frames, told, noise),
            lambda step: stages.told("act", step.index, step.count),
            partial(stages.stage, "act"),
        )

    def scene(self, seen: Seen, sound: NDArray[np.float32], frames: int, told: Told, noise: Noise) -> Scene:
        """Return what is acted: `frames` of sound, of which the last one is heard on."""
        acted_by = self.bundle.acted
        hearing = Hearing(
            self.bundle.hear, sound, frames, self.config.fps, self.config.actor.reach, device=self._device
        )
        with torch.inference_mode():
            reference = acted_by.normalised(seen.motion)
        return Scene(acted_by.actor, told.acting, reference, hearing, noise, told.context)

    def render(
        self, seen: Seen, motion: Iterator[Tensor], frames: int, told: Told, noise: Noise, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames at the model's own rate."""
        own = self.config.renderer
        with stages.stage("portrait"), torch.inference_mode():
            sitting = self.bundle.rendering.video.sit(seen.portrait, guided=is_guided(told.guidance))

        def render(first: int, part: Tensor) -> Tensor:
            with stages.stage("denoise"):
                return self._denoised(seen, sitting, first, part, told, noise, stages)

        for latents in windowed(motion, frames, own.frames, own.overlap, render):
            with stages.stage("decode"):
                pictures = self.decode(latents, seen)
                shown = to_frame_batch((pictures + 1) / 2)
            yield from shown

    @torch.inference_mode()
    def decode(self, denoised: Tensor, seen: Seen) -> Tensor:
        """Return pictures (frames, 3, size, size), range [-1, 1].

        Args:
            denoised: Shape (frames, latent, side, side).
            seen: The portrait.
        """
        form, base = self.bundle.rendering.video.latents, Base(seen.picture, seen.portrait.latents[:, :, None])
        return decoded(form, self.bundle.vae, denoised.transpose(0, 1)[None], base)

    @torch.inference_mode()
    def _denoised(
        self, seen: Seen, sitting: Condition, first: int, motion: Tensor, told: Told, noise: Noise, stages: Stages
    ) -> Tensor:
        """Return what is denoised, (frames, latent, side, side), of a window of normalised motion (frames, motion).

        The noise of a frame depends on its number alone, so that windows share it where they overlap.
        """
        config, rendering = self.config, self.bundle.rendering
        tokens = rendering.encoder.tokens(self.bundle.acted.restored(motion))[None]
        condition = rendering.video.moved(sitting, tokens)
        shape = (config.renderer.unet.latent, config.side, config.side)
        drawn = [noise.normal(shape, "frame", first + frame) for frame in range(len(motion))]
        schedule = sampler(told.steps, config.renderer)
        latents = sample(
            with_guidance(rendering.video.denoising_unet, told.guidance),
            schedule,
            start(seen.portrait.latents, torch.stack(drawn, dim=1)[None].to(self._device), schedule, config.renderer),
            condition,
            planned(
                self._accelerations,
                Setting(
                    told.steps,
                    key_steps=stored_key_steps(__name__, self._preset, told.steps),
                    foreground=seen.foreground,
                ),
            ),
            lambda step: stages.told("denoise", step.index, step.count),
        )
        return images(latents)
