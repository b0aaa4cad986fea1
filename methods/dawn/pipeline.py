"""DAWN from request to frames: pose and blinks, then the motion of all frames at once, then their pictures."""

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
from thbench_methods.dawn import bundle
from thbench_methods.dawn.config import MINI, PAPER, PAPER_256
from thbench_methods.dawn.diffusion import flow_of
from thbench_methods.dawn.face_mask import FaceMaskEncoder, face_mask, published_encoder
from thbench_methods.dawn.head import Posture, head_motion
from thbench_methods.dawn.lfg import Flow
from thbench_methods.dawn.pbnet import normalised_pose, pose_of
from thbench_methods.dawn.schedule import stochastic_ddim
from thbench_methods.dawn.spec import CONTROLS
from thbench_methods.dawn.state import as_real_lids
from thbench_methods.dawn.tracks import given_track
from thbench_methods.dawn.unet import Condition
from thbench_methods.dawn.windows import joined, windows

from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.dawn.bundle import Networks
    from thbench_methods.dawn.config import Config
    from thbench_methods.dawn.lfg.generator import Portrait
    from thbench_methods.dawn.state import State
    from torch import Tensor

    from thbench.types import OnStep, Request

NAME = "dawn"
OTHER_SEED = 2345
BATCH = 8
"""Frames painted at once."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a preset is loaded."""

    config: Config
    load: Callable[[Config, torch.device], Networks]


PRESETS = {
    "mini": Preset(MINI, bundle.load_mini),
    "paper": Preset(PAPER, bundle.load_published),
    "paper-256": Preset(PAPER_256, bundle.load_published),
}


@dataclass(frozen=True, slots=True)
class Sitter:
    """A portrait that was read."""

    portrait: Portrait
    state: State
    height: int
    """Of the request's portrait, and of the frames."""
    width: int


@dataclass(frozen=True, slots=True)
class Told:
    """What every frame of a clip is generated from."""

    audio: Tensor
    """Shape (frames, audio)."""
    pose: Tensor
    """Shape (frames, 6), in the units of `State.pose`."""
    blink: Tensor
    """Shape (frames, 2)."""


class Dawn:
    """Speech and one portrait to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini`, `paper` or `paper-256`.
            device: Where the networks run.
            accelerations: Names of the registry.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self.config, self._device, self._accelerations = wanted.config, torch.device(device), accelerations
        self.networks = wanted.load(self.config, self._device)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate a clip; the frames are painted as they are read.

        Raises:
            MethodError: A control is unknown or out of range, or portrait, sound or length cannot be used.
        """
        controls = read_controls(NAME, request.controls, CONTROLS)
        frames = model_frames(request, self.config.fps)
        sound = speech(request, frames, self.config.fps)
        stages, noise = Stages(on_step), Noise(request.seed)
        with stages.stage("portrait"):
            sitter = self.read(request.portrait)
        with stages.stage("audio"):
            audio = self.networks.hear(sound, frames, self.config.fps).to(self._device)
        with stages.stage("pose"):
            told = self.tell(sitter.state, audio, noise, controls)
        with stages.stage("motion"):
            motion = self.move(sitter, told, noise, controls, stages)
            motion = at_frame_rate(motion.transpose(0, 1), self.config.fps, request).transpose(0, 1)
        return Generation(self._frames(sitter, motion, stages), seconds=stages.seconds)

    @torch.inference_mode()
    def read(self, portrait: NDArray[np.uint8]) -> Sitter:
        """Read a portrait.

        Raises:
            MethodError: It is no RGB picture, or shows no face.
        """
        image = portrait_tensor(portrait, self.config.image_size)
        state = self.networks.read(portrait if self.networks.reads_whole else to_frame_batch(image)[0])
        return self.sit(portrait, state)

    @torch.inference_mode()
    def sit(self, portrait: NDArray[np.uint8], state: State) -> Sitter:
        """Encode a portrait whose state is known."""
        image = portrait_tensor(portrait, self.config.image_size).to(self._device)
        return Sitter(self.networks.lfg.generator.encode(image), state, *portrait.shape[:2])

    @torch.inference_mode()
    def tell(self, state: State, audio: Tensor, noise: Noise, controls: dict[str, Any]) -> Told:
        """Return what all frames are generated from: sound, and pose and blinks as given or from PBNet."""
        frames = len(audio)
        pose = given_track("pose", controls["pose"], state.pose, frames)
        blink = given_track("blink", controls["blink"], state.blink, frames)
        networks, limits = self.networks, self.config.pose_range

        def latent(what: str, width: int) -> Tensor:
            rows = [noise.normal((width,), what, frame) for frame in range(frames)]
            return torch.stack(rows)[None].to(self._device)

        if pose is None:
            first = normalised_pose(state.pose, limits).to(self._device)[None, None]
            drawn = latent("pose", self.config.pose.audio_latent)
            pose = pose_of(first + networks.pose.generate(first, audio[None], drawn), limits)[0]
        if blink is None:
            first = state.blink.to(self._device)[None, None]
            drawn = latent("blink", self.config.blink.audio_latent)
            blink = (first + networks.blink.generate(first, audio[None], drawn))[0]
            if networks.lids is not None:
                blink = as_real_lids(blink, networks.lids)
        return Told(audio, pose.to(self._device), blink.to(self._device))

    @torch.inference_mode()
    def move(self, sitter: Sitter, told: Told, noise: Noise, controls: dict[str, Any], stages: Stages) -> Tensor:
        """Return the motion (3, frames, h, w) of a clip: in one pass, or window by window where it is very long.

        The noise of a frame depends on its number alone, so that windows share it where they overlap.
        """
        steps = steps_of(self._accelerations, controls["steps"] or self.config.diffusion.steps)
        diffusion = replace(self.config.diffusion, steps=steps)
        condition = self.condition(sitter, told, noise, controls["mask_feature"])
        side = condition.source_feature.shape[-1]
        covers = windows(len(told.audio), self.config.window, self.config.overlap)

        def drawn(start: int, stop: int, step: int) -> Tensor:
            frames = [noise.normal((3, side, side), "frame", frame, step) for frame in range(start, stop)]
            return torch.stack(frames, dim=1)[None].to(self._device)

        parts = []
        for start, stop in covers:
            sampler = stochastic_ddim(
                self.networks.diffusion.schedule,
                diffusion,
                lambda index, start=start, stop=stop: drawn(start, stop, index),  # type: ignore[misc]
            )
            part = self.networks.diffusion.sample(
                sampler,
                condition.between(start, stop),
                drawn(start, stop, -1),
                controls["guidance"] or diffusion.guidance,
                diffusion.untold,
                planned(self._accelerations, Setting(steps)),
                lambda step: stages.told("denoise", step.index, step.count),
            )
            parts.append(part)
        motion = joined(parts, covers)[0]
        if self.networks.head is not None:
            source, driving = (Posture(of.pose.to(motion), of.blink.to(motion)) for of in (sitter.state, told))
            motion += head_motion(self.networks.head, source, driving, side, self.config.motion)
        return motion

    @torch.inference_mode()
    def condition(self, sitter: Sitter, told: Told, noise: Noise, mask_feature: str = "own") -> Condition:
        """Return what A2V-FDM is told of a clip: the portrait, its face box, and sound, pose and blinks by frame."""
        config, state = self.config, sitter.state
        mask = face_mask(state.box[None], config.image_size).to(self._device)
        units = told.pose.new_tensor(config.pose_units)
        return Condition(
            sitter.portrait.feature,
            self._face_feature(mask, mask_feature, noise),
            told.audio[None],
            ((told.pose - state.pose.to(told.pose)) / units)[None],
            (told.blink - state.blink.to(told.blink))[None],
        )

    def _face_feature(self, mask: Tensor, which: str, noise: Noise) -> Tensor:
        own = self.networks.face
        if which == "own":
            feature: Tensor = own(mask)
        elif which == "zeros":
            feature = torch.zeros_like(own(mask))
        elif which == "seed2345":
            feature = published_encoder(OTHER_SEED).to(self._device)(mask)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(noise.generator("face mask").initial_seed())
                feature = FaceMaskEncoder().to(self._device)(mask)
        return feature

    def _frames(self, sitter: Sitter, motion: Tensor, stages: Stages) -> Iterator[NDArray[np.uint8]]:
        count = motion.shape[1]
        for start in range(0, count, BATCH):
            with stages.stage("render"):
                painted = self.paint(sitter, motion[:, start : start + BATCH])
                frames = [resized(frame, sitter.height, sitter.width) for frame in painted]
            for number, frame in enumerate(frames, start=start):
                yield frame
                stages.told("render", number, count)

    @torch.inference_mode()
    def paint(self, sitter: Sitter, motion: Tensor) -> NDArray[np.uint8]:
        """Return the pictures (frames, size, size, 3) of motion (3, frames, h, w)."""
        flow = flow_of(motion[None], self.config.motion)
        # Batches are filled up, so that rounding does not depend on where a clip ends.
        missing = BATCH - len(flow.optical_flow)
        filled = Flow(*(torch.cat((part, part[-1:].expand(missing, *part.shape[1:]))) for part in flow))
        painted = self.networks.lfg.generator.decode(sitter.portrait.repeated(BATCH), filled).prediction
        return to_frame_batch(painted[: motion.shape[1]])
