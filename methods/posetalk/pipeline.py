"""PoseTalk from request to frames: pose and gaze of the whole clip, then its frames one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.common import (
    Noise,
    Stages,
    at_frame_rate,
    chosen,
    model_frames,
    portrait_tensor,
    read_controls,
    resized,
    speech,
    to_frame_batch,
)
from thbench_methods.nets.speech import load_speech_encoder
from thbench_methods.posetalk import bundle as files
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.pose import from_portrait
from thbench_methods.posetalk.spec import CONTROLS
from thbench_methods.posetalk.tracks import given_track, read_portrait
from thbench_methods.posetalk.video import around

from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.posetalk.bundle import Networks
    from thbench_methods.posetalk.config import Config
    from thbench_methods.posetalk.tracks import Own
    from torch import Tensor

    from thbench.types import OnStep, Request

NAME = "posetalk"
BATCH = 8
"""Frames that are drawn at once, always as many: a last batch is filled up."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config], Networks]


PRESETS = {"mini": Preset(MINI, files.load_mini)}
"""The authors published no weights, so that there is no other; `config.PAPER` has the sizes of the paper."""


class PoseTalk:
    """Speech, one portrait and a prompt to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini`.
            device: Where the networks run.
            accelerations: Names of the registry.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self.config, self._device, self._accelerations = wanted.config, torch.device(device), accelerations
        self.networks = wanted.load(self.config)
        for network in self.networks:
            network.to(self._device).eval()
        self._speech = load_speech_encoder()

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; the frames are drawn as they are read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound, length or a file cannot be used.
        """
        controls = read_controls(NAME, request.controls, CONTROLS)
        frames = model_frames(request, self.config.fps)
        sound = speech(request, frames, self.config.fps)
        stages = Stages(on_step)
        with stages.stage("portrait"):
            image = portrait_tensor(request.portrait, self.config.image_size)
            own = read_portrait(to_frame_batch(image)[0]).to(self._device)
        with stages.stage("audio"):
            audio = self.hear(sound, frames)
        with stages.stage("pose"):
            track = self.pose(own.track[0], audio, Noise(request.seed), controls, stages)
            driving = at_frame_rate(self.windows(track, audio), self.config.fps, request)
        portrait = (2 * image - 1).to(self._device)
        return Generation(self._frames(portrait, own, driving, request, stages), seconds=stages.seconds)

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return speech features (frames, audio) of a sound at 16 kHz: the last layer of the speech encoder."""
        return self._speech.features(sound, frames, self.config.fps)[:, -1].to(self._device)

    @torch.inference_mode()
    def pose(self, own: Tensor, audio: Tensor, noise: Noise, controls: dict[str, Any], stages: Stages) -> Tensor:
        """Return pose and gaze (frames, 8), from the portrait's (8,) on."""
        given = given_track(controls["pose"], own.cpu(), len(audio))
        if given is not None:
            return given.to(self._device)
        net = self.networks.posing.diffusion
        steps = steps_of(self._accelerations, controls["steps"] or self.config.diffusion.steps)
        diffusion = replace(
            self.config.diffusion,
            steps=steps,
            audio_guidance=controls["audio_guidance"],
            text_guidance=controls["text_guidance"],
        )
        prompt = self.networks.posing.text([controls["text"]])[0] if controls["text"].strip() else None
        shape = net.sizes.latent_shape
        start = [noise.normal(shape, "window", number) for number in range(len(net.starts(len(audio), diffusion)))]
        relative = net.long_track(
            audio,
            prompt,
            torch.stack(start).to(self._device),
            diffusion,
            planned(self._accelerations, Setting(steps)),
            lambda step: stages.told("denoise", step.index, step.count),
        )
        return from_portrait(relative, own)

    def windows(self, track: Tensor, audio: Tensor) -> Tensor:
        """Return track and sound around each frame, (frames, 8 + audio, window)."""
        return around(torch.cat((track, audio), dim=1)[None], self.config.video.radius)

    @torch.inference_mode()
    def draw(self, portrait: Tensor, own: Own, windows: Tensor) -> files.Drawn:
        """Draw frames of windows (N, 8 + audio, window), of one portrait (1, 3, size, size) in [-1, 1]."""
        count = len(windows)
        drawn: files.Drawn = self.networks.drawing(portrait.expand(count, -1, -1, -1), own.repeated(count), windows)
        return drawn

    def _frames(
        self, portrait: Tensor, own: Own, windows: Tensor, request: Request, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        height, width = request.portrait.shape[:2]
        done = 0
        for part in torch.split(windows, BATCH):
            with stages.stage("render"):
                frames = [resized(frame, height, width) for frame in self.paint(portrait, own, part)]
            for frame in frames:
                yield frame
                done += 1
                stages.told("render", done - 1, len(windows))

    def paint(self, portrait: Tensor, own: Own, windows: Tensor) -> NDArray[np.uint8]:
        """Return the pictures (n, size, size, 3) of at most `BATCH` windows; arguments as for `draw`."""
        # Batches are filled up, so that rounding does not depend on where a clip ends.
        filled = torch.cat((windows, windows[-1:].expand(BATCH - len(windows), -1, -1)))
        return to_frame_batch((self.draw(portrait, own, filled).image[: len(windows)] + 1) / 2)
