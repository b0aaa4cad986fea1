"""DreamTalk from request to frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.common import Noise, Stages, chosen, model_frames, read_controls, speech, to_frame_batch
from thbench_methods.dreamtalk import bundle as files
from thbench_methods.dreamtalk.config import MINI, PAPER, Config
from thbench_methods.dreamtalk.crop import box_of, crop
from thbench_methods.dreamtalk.guidance import Guided
from thbench_methods.dreamtalk.hearing import Wav2Vec, all_layers
from thbench_methods.dreamtalk.motion import coherent_noise, noise_margin, speech_windows, style_clip
from thbench_methods.dreamtalk.networks import Condition
from thbench_methods.dreamtalk.schedule import sampler
from thbench_methods.dreamtalk.spec import AUTO, CONTROLS, NONE
from thbench_methods.dreamtalk.stage import MiniStage, PublishedStage
from thbench_methods.dreamtalk.style_predictor import SpeechAndSpeaker
from thbench_methods.nets.liveportrait.stage import by_landmarks
from thbench_methods.nets.sampling import sample as sampled

from thbench.accel import sample
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.dreamtalk.networks import DiffusionNet
    from thbench_methods.dreamtalk.stage import Read, Stage
    from torch import Tensor

    from thbench.types import OnStep, Request

    Hear = Callable[[NDArray[np.float32], int, float], Tensor]
    Predict = Callable[[Tensor, Tensor, Noise, int], Tensor]

NAME = "dreamtalk"
CHUNK = 250
"""Frames that are denoised at once; each is denoised by itself, so this changes nothing but memory."""
RENDERED = 8
"""Frames that are rendered at once."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a preset runs."""

    diffusion: DiffusionNet
    hear: Hear
    """Sound at 16 kHz, frames and their rate to features (2 frames, audio)."""
    stage: Stage
    predict: Predict | None
    """Speech features, speaker, noise and steps to a style code (1, style); None where no predictor was released."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config, torch.device], Parts]


def assembled(config: Config, device: torch.device, networks: files.Networks) -> Parts:
    """Return the parts of the mini preset, made of its networks."""
    speaking, predicting, renderer = networks
    for network in networks:
        network.to(device).eval()

    @torch.inference_mode()
    def predict(features: Tensor, speaker: Tensor, noise: Noise, steps: int) -> Tensor:
        draws = config.predictor.draws
        given = SpeechAndSpeaker(
            features.expand(draws, -1, -1),
            torch.tensor([len(features)], device=device).expand(draws),
            predicting.normal("speaker", speaker.to(device)).expand(draws, -1),
        )
        start = noise.normal((draws, config.predictor.style), "style").to(device)
        codes = sampled(
            sampler(replace(config.diffusion, steps=steps)),
            lambda latent, time: predicting.network(latent, latent.new_full((draws,), time), given),
            start,
        )
        return predicting.restored("code", codes.mean(dim=0, keepdim=True))

    return Parts(
        speaking.diffusion,
        lambda sound, frames, fps: all_layers(speaking.speech, sound, frames, fps),
        MiniStage(config, renderer, speaking.pose_tracks, device),
        predict,
    )


def _published(config: Config, device: torch.device) -> Parts:
    diffusion, renderer, folder = files.load_published(config)
    hear = Wav2Vec(folder, config.sizes.audio)
    hear.model.to(device)
    framing = by_landmarks(NAME, lambda portrait, points: crop(portrait, box_of(points), config.portrait_size))
    return Parts(diffusion.to(device), hear, PublishedStage(config, renderer.to(device), framing, device), None)


def _mini(config: Config, device: torch.device) -> Parts:
    return assembled(config, device, files.load_mini(config))


PRESETS = {"mini": Preset(MINI, _mini), "paper": Preset(PAPER, _published)}


class DreamTalk:
    """Speech, one portrait and a style to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini` or `paper`.
            device: Where the networks run.
            accelerations: Names of the registry.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self._config, self._device, self._accelerations = wanted.config, torch.device(device), accelerations
        self.parts = wanted.load(self._config, self._device)

    @classmethod
    def of(cls, config: Config, parts: Parts) -> DreamTalk:
        """Return a method of other parts than a preset's, on the CPU."""
        method = cls.__new__(cls)
        method._config, method._device, method._accelerations = config, torch.device("cpu"), ()
        method.parts = parts
        return method

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; the frames are rendered as they are read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound, length or a file cannot be used.
        """
        controls = read_controls(NAME, request.controls, CONTROLS)
        fps, stage, noise = self._config.fps, self.parts.stage, Noise(request.seed)
        frames = model_frames(request, fps)
        sound = speech(request, frames, fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            read = stage.read(request.portrait)
        with stages.stage("audio"):
            features = self.parts.hear(sound, frames, fps)
        with stages.stage("motion"):
            style = self.style(controls, features, read, noise)
            expression = self.express(features, style, noise, controls, stages)
            pose = stage.pose(controls["pose"], read, frames, noise, sound).to(self._device)
            motion = torch.cat((expression, pose), dim=1)
        places = torch.arange(request.frames, device=self._device) * (fps / request.fps)
        return Generation(self._frames(read, motion, places, stages), seconds=stages.seconds)

    @torch.inference_mode()
    def style(self, controls: dict[str, Any], features: Tensor, read: Read, noise: Noise) -> Tensor:
        """Return the style code (1, width) that is asked for."""
        name, diffusion = controls["style"], self.parts.diffusion
        if name == NONE or (name == AUTO and self.parts.predict is None):
            return diffusion.null_style()
        if name == AUTO and self.parts.predict is not None:
            return self.parts.predict(features, read.face.speaker, noise, controls["steps"])
        clip = style_clip(self.parts.stage.style(Path(name)).to(self._device), self._config.sizes.style_length)
        return diffusion.style(*clip)

    @torch.inference_mode()
    def express(
        self, features: Tensor, style: Tensor, noise: Noise, controls: dict[str, Any], stages: Stages
    ) -> Tensor:
        """Return expression (frames, motion) of speech features (2 frames, audio) under a style code (1, width)."""
        diffusion, sizes = self.parts.diffusion, self._config.sizes
        steps = steps_of(self._accelerations, controls["steps"])
        schedule = sampler(replace(self._config.diffusion, steps=steps))
        denoiser = Guided(diffusion.net, diffusion.null_style(), controls["guidance"])
        windows = speech_windows(features, sizes.window)
        coherence = self._config.diffusion.coherence
        white = noise.normal((len(windows) + 2 * noise_margin(coherence), sizes.motion), "expression")
        start = coherent_noise(white, coherence).to(self._device)
        parts = []
        for heard, latent in zip(torch.split(windows, CHUNK), torch.split(start, CHUNK), strict=True):
            condition = Condition(diffusion.content(heard[None]), style)
            plan = planned(self._accelerations, Setting(steps))
            clean = sample(
                denoiser,
                schedule,
                latent[None],
                condition,
                plan,
                lambda step: stages.told("denoise", step.index, step.count),
            )
            parts.append(clean[0])
        return torch.cat(parts)

    def _frames(self, read: Read, motion: Tensor, places: Tensor, stages: Stages) -> Iterator[NDArray[np.uint8]]:
        """Yield frames of the clip, rendered in batches as they are read."""
        done = 0
        for some in torch.split(places, RENDERED):
            with stages.stage("render"):
                pictures = self.parts.stage.render(read, motion, some)
                frames = [read.put(frame) for frame in to_frame_batch(pictures)]
            for frame in frames:
                yield frame
                done += 1
                stages.told("render", done - 1, len(places))
