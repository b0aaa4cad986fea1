"""KDTalker from request to frames."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from thbench_methods.common import Noise, Stages, at_frame_rate, chosen, model_frames, read_controls, speech
from thbench_methods.kdtalker import bundle as files
from thbench_methods.kdtalker.config import MINI, PAPER
from thbench_methods.kdtalker.crop import crop
from thbench_methods.kdtalker.motion import LAYOUT, driving_keypoints, smooth_motion
from thbench_methods.kdtalker.networks import Condition
from thbench_methods.kdtalker.schedule import sampler
from thbench_methods.kdtalker.spec import CONTROLS
from thbench_methods.kdtalker.windows import chained
from thbench_methods.nets.liveportrait.stage import Stage, by_landmarks, mini_stage, published_stage
from thbench_methods.nets.wav2lip_audio import mel_windows

from thbench.accel import sample
from thbench.accel.calibrate import stored_key_steps
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from thbench_methods.kdtalker.bundle import Bundle
    from thbench_methods.kdtalker.config import Config
    from thbench_methods.nets.liveportrait import Source
    from torch import Tensor

    from thbench.types import OnStep, Request

NAME = "kdtalker"


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], Bundle]
    stage: Callable[[torch.device], Stage]


def _published(device: torch.device) -> Stage:
    return published_stage(NAME, by_landmarks(NAME, crop), device)


PRESETS = {
    "mini": Preset(MINI, files.load_mini, mini_stage),
    "paper": Preset(PAPER, files.load_published, _published),
}


class KDTalker:
    """Speech and one portrait to a talking portrait."""

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
        self._bundle = wanted.load(self._config).to(self._device)
        self._stage = wanted.stage(self._device)

    def with_networks(self, config: Config, bundle: Bundle) -> KDTalker:
        """Return the same method with other networks: an ablation."""
        other = copy.copy(self)
        other._config, other._bundle = config, bundle.to(self._device)
        return other

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
            motion = self.move(read.source, audio, Noise(request.seed), controls, stages)
            motion = at_frame_rate(motion, self._config.fps, request)
            keypoints = driving_keypoints(read.source, LAYOUT.unpack(motion))
        return Generation(self._stage.frames(read, keypoints, stages), seconds=stages.seconds)

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return one audio feature per frame, (frames, audio)."""
        # Half a frame of silence more, so that rounding cannot lose the last frame.
        padded = np.concatenate((sound, np.zeros(320, np.float32)))
        windows = torch.from_numpy(mel_windows(padded, self._config.fps)[:frames]).to(self._device)
        return torch.cat([self._bundle.audio(part) for part in torch.split(windows, 256)])

    @torch.inference_mode()
    def move(self, source: Source, audio: Tensor, noise: Noise, controls: dict[str, Any], stages: Stages) -> Tensor:
        """Return motion (frames, 70) in its own units, window by window."""
        statistics = self._bundle.statistics
        keys = stored_key_steps(__name__, self._preset, controls["steps"])
        steps = steps_of(self._accelerations, controls["steps"], keys)
        schedule = sampler(replace(self._config.diffusion, steps=steps))
        canonical = statistics.normalise_canonical(source.canonical)
        count = iter(range(len(audio)))

        def window(heard: Tensor, reference: Tensor) -> Tensor:
            number = next(count)
            start = noise.normal((1, len(heard), self._config.sizes.motion), "window", number).to(self._device)
            condition = Condition(reference[None], canonical, heard[None])
            plan = planned(self._accelerations, Setting(steps, keys if steps == controls["steps"] else None))
            return sample(
                self._bundle.denoiser,
                schedule,
                start,
                condition,
                plan,
                lambda step: stages.told("denoise", step.index, step.count),
            )[0]

        reference = statistics.normalise(LAYOUT.pack(source.motion))[0]
        normalised = chained(audio, reference, window, window=self._config.window, padding=controls["padding"])
        motion = statistics.restore(normalised)
        return smooth_motion(motion) if controls["smooth"] else motion
