"""MoDA from request to frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from thbench_methods.common import Noise, Stages, at_frame_rate, chosen, model_frames, read_controls, speech
from thbench_methods.moda import bundle as files
from thbench_methods.moda.config import EMOTIONS, MINI, PAPER
from thbench_methods.moda.guidance import Guided, Guiding
from thbench_methods.moda.motion import (
    LAYOUT,
    driving_keypoints,
    lip_boost,
    previous_motion,
    rescaled,
    scale_ratio,
)
from thbench_methods.moda.schedule import sampler
from thbench_methods.moda.spec import CONTROLS, NO_EMOTION
from thbench_methods.moda.windows import chained
from thbench_methods.nets.liveportrait.crop import CropRule
from thbench_methods.nets.liveportrait.stage import Stage, mini_stage, pasted_back, published_stage

from thbench.accel import sample
from thbench.accel.calibrate import stored_key_steps
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from thbench_methods.moda.bundle import Bundle
    from thbench_methods.moda.config import Config
    from thbench_methods.nets.liveportrait import Source
    from torch import Tensor

    from thbench.types import OnStep, Request

    Hear = Callable[[NDArray[np.float32], int, float], Tensor]

NAME = "moda"
REST_SHARE = 3 / 4
"""Where the frame at rest lies: so much of the added silence before the end."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], tuple[Bundle, Hear]]
    stage: Callable[[torch.device], Stage]


PRESETS = {
    "mini": Preset(MINI, files.load_mini, mini_stage),
    "paper": Preset(
        PAPER,
        files.load_published,
        lambda device: published_stage(NAME, pasted_back(NAME, CropRule()), device, stitching=True),
    ),
}


class MoDA:
    """Speech, one portrait and an emotion to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini` or `paper`.
            device: Where the networks run.
            accelerations: Names of the registry.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self._config, self._device, self._accelerations = wanted.config, torch.device(device), accelerations
        self._preset = preset
        bundle, self._hear = wanted.load(self._config)
        self._bundle = bundle.to(self._device)
        self._stage = wanted.stage(self._device)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; the frames are rendered as they are read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound or length cannot be used.
        """
        controls = read_controls(NAME, request.controls, CONTROLS)
        frames = model_frames(request, self._config.fps)
        sound = speech(request, frames, self._config.fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            read = self._stage.read(request.portrait)
        with stages.stage("audio"):
            audio = self.hear(sound, frames)
        with stages.stage("motion"):
            motion = self.move(read.source, audio, Noise(request.seed), controls, stages)[:frames]
            keypoints = self.keypoints(read.source, at_frame_rate(motion, self._config.fps, request))
        return Generation(self._stage.frames(read, keypoints, stages), seconds=stages.seconds)

    @property
    def silence(self) -> int:
        """Frames of silence that are heard after the speech."""
        return round(self._config.sampling.silence * self._config.fps)

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return hidden layers (frames + silence, layers, audio) of the speech and the silence behind it."""
        before = np.concatenate((sound[:1] * 0, sound[:-1]))
        sharpened = sound - self._config.preemphasis * before
        quiet = np.zeros(round(self._config.sampling.silence * 16_000), np.float32)
        samples = np.concatenate((sharpened, quiet)).astype(np.float32)
        return self._hear(samples, frames + self.silence, self._config.fps).to(self._device)

    @torch.inference_mode()
    def move(self, source: Source, audio: Tensor, noise: Noise, controls: dict[str, Any], stages: Stages) -> Tensor:
        """Return motion (frames, 70) in its own units, at the size of the average face."""
        statistics, net = self._bundle.statistics, self._bundle.diffusion
        keys = stored_key_steps(__name__, self._preset, controls["steps"])
        steps = steps_of(self._accelerations, controls["steps"], keys)
        schedule = sampler(steps)
        denoiser = Guided(net.talking_head_dit, controls["guidance"])
        names = (*EMOTIONS, NO_EMOTION)
        emotion = torch.tensor([names.index(controls["emotion"])], device=self._device)
        identity = source.canonical.flatten(1)
        count = iter(range(len(audio)))

        def window(heard: Tensor, previous: Tensor) -> Tensor:
            number = next(count)
            start = noise.normal((1, len(heard), self._config.sizes.motion), "window", number).to(self._device)
            led = net.talking_head_dit.condition(previous[None, None], heard[None], identity, emotion)
            return sample(
                denoiser,
                schedule,
                start,
                Guiding(led, net.unconditional(led)),
                planned(self._accelerations, Setting(steps, keys if steps == controls["steps"] else None)),
                lambda step: stages.told("denoise", step.index, step.count),
            )[0]

        first = previous_motion(source, statistics)
        motion = chained(audio, first, window, replace(self._config.sampling, steps=steps))
        if controls["lip_boost"]:
            rest = motion[max(len(motion) - round(self.silence * REST_SHARE), 0)]
            motion = lip_boost(motion, rest)
        return statistics.restore(motion)

    @torch.inference_mode()
    def keypoints(self, source: Source, motion: Tensor) -> Tensor:
        """Return key-points (frames, 21, 3) of motion at the size of the average face."""
        own = rescaled(LAYOUT.unpack(motion), scale_ratio(source, self._bundle.statistics))
        points = driving_keypoints(source, own, eye_shift=self._config.eye_shift)
        return self._stage.renderer.stitched(source, points)
