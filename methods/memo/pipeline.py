"""MEMO from request to frames, clip by clip; each remembers all frames before it.

Source: memoavatar/memo at a5aee30, inference.py and memo/pipelines/video_pipeline.py.
"""

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
from thbench_methods.common.sound import RATE
from thbench_methods.hallo.pipeline import at_times
from thbench_methods.memo import bundle as files
from thbench_methods.memo.bundle import NAME
from thbench_methods.memo.config import MINI, PAPER
from thbench_methods.memo.emotion import felt, most_often
from thbench_methods.memo.networks import EMOTIONS, Given
from thbench_methods.memo.schedule import sampler
from thbench_methods.memo.spec import CONTROLS, NONE, VOICE
from thbench_methods.nets.unet3d.guidance import is_guided, with_guidance
from thbench_methods.nets.unet3d.latents import Base, decoded

from thbench.accel import sample
from thbench.accel.calibrate import Sampling, stored_key_steps
from thbench.accel.masks import foreground, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.errors import MethodError
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.memo.bundle import Bundle
    from thbench_methods.memo.config import Config
    from thbench_methods.memo.memory import Memory
    from torch import Tensor

    from thbench.types import OnStep, Request

DECODED = 8
"""Frames that are decoded at once."""


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
    foreground: Tensor
    """Head, neck and shoulders, (h, w) of what is denoised, bool, on the CPU."""


class Heard(NamedTuple):
    """What is heard in a clip."""

    speech: Tensor
    """Shape (frames, window, layers, channels)."""
    emotion: int
    """Its class, or 9 for none."""


class Told(NamedTuple):
    """How clips are to be generated."""

    steps: int
    guidance: float


class MEMO:
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
        """Generate a video; each clip of it is denoised when its first frame is read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound or length cannot be used.
        """
        controls = read_controls(NAME, request.controls, CONTROLS)
        stated = emotion_of(controls["emotion"], self.config.emotions)
        fps, own = self.config.fps, self.config.sampling.frames
        count = model_frames(request, fps)
        whole = math.ceil(count / own) * own
        sound = speech(request, whole, fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            seen = self.look(request.portrait)
        with stages.stage("audio"):
            spoken = torch.split(self.hear(sound, whole), own)
        with stages.stage("emotion"):
            emotions = self.emotions(sound, count, len(spoken), stated)
        heard = [Heard(*pair) for pair in zip(spoken, emotions, strict=True)]
        pictures = self._pictures(seen, heard, self.told(controls), Noise(request.seed), stages)
        height, width = request.portrait.shape[:2]
        return Generation(
            (resized(frame, height, width) for frame in at_times(pictures, fps, request)), seconds=stages.seconds
        )

    def told(self, controls: Mapping[str, Any]) -> Told:
        """Return how clips are to be generated; a control that is 0 leaves it to the preset."""
        own = self.config.sampling
        steps = controls["steps"] or own.steps
        return Told(steps_of(self._accelerations, steps, self.key_steps(steps)), controls["guidance"] or own.guidance)

    def key_steps(self, steps: int) -> tuple[int, ...] | None:
        """Return the key steps for a number of steps, calibrated ones if there are; None if none are known for it."""
        own = self.config.sampling
        return stored_key_steps(__name__, self._preset, steps) or (own.key_steps if steps == own.steps else None)

    @torch.inference_mode()
    def look(self, portrait: NDArray[np.uint8]) -> Seen:
        """Read a portrait (height, width, 3); one that is not square is stretched.

        Raises:
            MethodError: It is no RGB picture, or shows no face.
        """
        side, size = self.config.side, self.config.size
        picture = portrait_tensor(portrait, size)
        outlines, face = self.bundle.look(to_frame_batch(picture)[0])
        whole = (2 * picture - 1).to(self._device)
        return Seen(
            whole,
            self.encode(whole),
            face.to(self._device),
            foreground(silhouette(outlines.face * size, size, size), side, side),
        )

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return what is heard around each frame, (frames, window, layers, channels); the ends are repeated."""
        hidden = self.bundle.hear(sound, frames, self.config.fps).to(self._device)
        reach = self.config.audio.window // 2
        places = torch.arange(frames)[:, None] + torch.arange(-reach, reach + 1)
        return hidden[places.clamp(0, frames - 1)]

    def emotions(self, sound: NDArray[np.float32], frames: int, clips: int, stated: int | None) -> list[int]:
        """Return the class of the emotion of each clip: of its frames, the one that is there most often.

        Args:
            sound: At 16 kHz.
            frames: Of the video, without those that fill its last clip.
            clips: How many.
            stated: A class for all of them; None for what is heard.
        """
        if stated is not None:
            return [stated] * clips
        fps, own = self.config.fps, self.config.sampling.frames
        classes = felt(sound[: math.ceil(frames / fps * RATE)], frames, fps, self.bundle.feel)
        return [most_often(classes[first : first + own]) for first in range(0, frames, own)]

    @torch.inference_mode()
    def sampling(
        self,
        seen: Seen,
        heard: Heard,
        past: Tensor,
        before: Mapping[str, Memory] | None,
        told: Told,
        noise: Tensor,
    ) -> Sampling:
        """Return the sampler loop of one clip.

        Args:
            seen: The portrait.
            heard: In the clip.
            past: Frames before it, oldest first, (n, 3, size, size), range [-1, 1].
            before: The memory in the condition of the clip before; None for the first clip.
            told: How.
            noise: Shape (1, latent, frames, side, side).
        """
        networks = self.bundle.networks
        given = Given(torch.cat((seen.latent, self.encode(past))), seen.face, heard.speech[None], heard.emotion)
        return Sampling(
            with_guidance(networks.diffusion_net, told.guidance),
            sampler(told.steps),
            noise,
            networks.condition(given, before, guided=is_guided(told.guidance)),
        )

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Return latents (n, latent, side, side) of pictures (n, 3, size, size), range [-1, 1]."""
        parts = [self.bundle.vae.encode(part) for part in torch.split(pictures, DECODED)]
        return self.bundle.networks.latents.known(torch.cat(parts))

    @torch.inference_mode()
    def decode(self, denoised: Tensor, seen: Seen) -> Tensor:
        """Return pictures (frames, 3, size, size), range [-1, 1], of latents (1, latent, frames, side, side)."""
        base = Base(seen.picture, seen.latent[:, :, None])
        return decoded(self.bundle.networks.latents, self.bundle.vae, denoised, base)

    def _pictures(
        self, seen: Seen, heard: list[Heard], told: Told, noise: Noise, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames at the model's own rate."""
        own = self.config.sampling
        shape = (1, self.config.unet.latent, own.frames, self.config.side, self.config.side)
        past = seen.picture.expand(own.past_frames, -1, -1, -1)
        memory: Mapping[str, Memory] | None = None
        for number, part in enumerate(heard):
            with stages.stage("denoise"):
                start = noise.normal(shape, "window", number).to(self._device)
                run = self.sampling(seen, part, past, memory, told, start)
                memory = run.condition.memory
                latents = self._denoise(run, seen, told, stages)
            with stages.stage("decode"):
                pictures = self.decode(latents, seen)
                past = torch.cat((past, pictures))[-own.past_frames :]
                frames = to_frame_batch((pictures + 1) / 2)
            yield from frames

    @torch.inference_mode()
    def _denoise(self, run: Sampling, seen: Seen, told: Told, stages: Stages) -> Tensor:
        setting = Setting(told.steps, key_steps=self.key_steps(told.steps), foreground=seen.foreground)
        return sample(
            run.denoiser,
            run.schedule,
            run.noise,
            run.condition,
            planned(self._accelerations, setting),
            lambda step: stages.told("denoise", step.index, step.count),
        )


def emotion_of(value: str, names: tuple[str, ...]) -> int | None:
    """Return the class that the control `emotion` states; None for what is heard.

    Args:
        value: Of the control.
        names: Of the first classes.

    Raises:
        MethodError: It is no emotion.
    """
    if value == VOICE:
        return None
    words = {NONE: EMOTIONS, **{str(number): number for number in range(EMOTIONS)}}
    words |= {name: number for number, name in enumerate(names)}
    if value not in words:
        known = f", or one of {', '.join(names)}" if names else ""
        raise MethodError(
            f"{NAME}: emotion is {value!r}; it must be {VOICE}, {NONE}, 0 to {EMOTIONS - 1} as a text{known}"
        )
    return words[value]
