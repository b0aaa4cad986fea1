"""SVP from request to frames, window by window; each is continued from the last frames of the one before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
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
from thbench_methods.dreamtalk.motion import there_and_back
from thbench_methods.hallo.networks import Masks
from thbench_methods.hallo.pipeline import at_times
from thbench_methods.hallo.portrait import masks_of, region_of
from thbench_methods.nets.unet3d.latents import Base, decoded
from thbench_methods.nets.unet3d.schedule import Diffusion, sampler
from thbench_methods.svp import bundle as files
from thbench_methods.svp.bundle import NAME
from thbench_methods.svp.config import MINI
from thbench_methods.svp.guidance import Told, weights_of, with_weights
from thbench_methods.svp.key_points import based, drawn, followed
from thbench_methods.svp.manner import with_manner
from thbench_methods.svp.networks import Given
from thbench_methods.svp.spec import CONTROLS, GENERATED, NONE, SAME, SAMPLED, STILL

from thbench.accel import sample
from thbench.accel.calibrate import Sampling, stored_key_steps
from thbench.accel.masks import foreground, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.dreamtalk.faces import Face
    from thbench_methods.svp.bundle import Bundle
    from thbench_methods.svp.config import Config
    from thbench_methods.svp.style import Gaussian
    from torch import Tensor

    from thbench.types import OnStep, Request


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
    points: NDArray[np.float64]
    """Landmarks of the face, (n, 2), in shares of the picture."""
    latent: Tensor
    """Shape (1, latent, side, side), as the networks know it."""
    face: Tensor
    """Shape (1, embedding)."""
    region: Tensor
    """Shape (1, 3, size, size), range [0, 1]."""
    masks: Sequence[Masks]
    """For each level, of shape (1, h w)."""
    key_points: Tensor
    """Shape (3, 2), in shares of the picture."""
    coefficients: Face
    """Expressions and pose, one row."""
    foreground: Tensor
    """Head, neck and shoulders, (h, w) of what is denoised, bool, on the CPU."""


class Acted(NamedTuple):
    """What is to be done in some frames."""

    heard: Tensor
    """Shape (frames, window, layers, channels)."""
    codes: Tensor
    """Style of each, shape (frames, code)."""
    key_points: Tensor | None
    """Of each, shape (frames, 3, 2); None where the head moves as it likes."""
    manner: float
    """How far the portrait is given the expressions of the style; 0 leaves it as it is."""

    def windows(self, length: int) -> Iterator[Acted]:
        """Yield windows; frames are a multiple of their length."""
        for first in range(0, len(self.heard), length):
            part = slice(first, first + length)
            points = None if self.key_points is None else self.key_points[part]
            yield Acted(self.heard[part], self.codes[part], points, self.manner)


class How(NamedTuple):
    """How windows are sampled."""

    steps: int
    weights: Mapping[Told, float]


class SVP:
    """Speech, one portrait and a style to a talking portrait."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> None:
        """Load everything.

        Args:
            preset: `mini`.
            device: Where the networks run.
            accelerations: Names of the registry.
        """
        wanted = chosen(NAME, preset, PRESETS)
        self.config, self._preset, self._device = wanted.config, preset, torch.device(device)
        self._accelerations = accelerations
        self.bundle = wanted.load(self.config)
        self.bundle.networks.to(self._device)
        self.bundle.vae.to(self._device)
        self.bundle.mean_face.to(self._device)

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
            heard = self.hear(sound, whole)
        with stages.stage("style"):
            codes = self.codes(controls, count, noise)
            codes = torch.cat((codes, codes[-1:].expand(whole - count, -1)))
        with stages.stage("head"):
            how = self.how(controls)
            manner = self.config.manner * how.weights.get(Told.STYLED, 0.0) / self.config.style_scale
            acted = Acted(heard, codes, self.key_points(controls["head"], seen, whole), manner)
        pictures = self._pictures(seen, acted, how, noise, stages)
        height, width = request.portrait.shape[:2]
        return Generation(
            (resized(frame, height, width) for frame in at_times(pictures, base.fps, request)), seconds=stages.seconds
        )

    def how(self, controls: Mapping[str, Any]) -> How:
        """Return how windows are sampled; a clip without style is guided by speech alone."""
        unstyled = controls["style"] == controls["style_to"] == NONE
        steps = controls["steps"]
        return How(
            steps_of(self._accelerations, steps, stored_key_steps(__name__, self._preset, steps)),
            weights_of(controls["guidance"], 0.0 if unstyled else controls["style_scale"]),
        )

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
        masks = masks_of(looked.outlines, size, [side >> level for level in range(len(base.unet.channels))])
        whole = (2 * picture - 1).to(self._device)
        return Seen(
            whole,
            rgb,
            looked.outlines.face,
            self.encode(whole),
            looked.face.to(self._device),
            region_of(looked.outlines, picture, base).to(self._device),
            [Masks(*(mask.to(self._device) for mask in level)) for level in masks],
            looked.key_points,
            looked.coefficients,
            foreground(silhouette(looked.outlines.face * size, size, size), side, side),
        )

    @torch.inference_mode()
    def hear(self, sound: NDArray[np.float32], frames: int) -> Tensor:
        """Return what is heard around each frame, (frames, window, layers, channels); the ends are repeated."""
        hidden = self.bundle.hear(sound, frames).to(self._device)
        reach = self.config.base.audio.window // 2
        places = torch.arange(frames)[:, None] + torch.arange(-reach, reach + 1)
        return hidden[places.clamp(0, frames - 1)]

    @torch.inference_mode()
    def codes(self, controls: Mapping[str, Any], frames: int, noise: Noise) -> Tensor:
        """Return the style of each frame, (frames, code); of a clip without style it is not read."""
        own, other = (self._style(controls, name, noise) for name in ("style", "style_to"))
        white = noise.normal((1, self.config.style.code), "style").to(self._device)
        if own is None or other is None:
            style = own or other or self.bundle.networks.style.sampled(white)
        else:
            first, last = controls["mix"], controls["mix_end"]
            shares = torch.linspace(first, first if last == SAME else last, frames, device=self._device)
            style = own.towards(other, shares[:, None])
        return style.drawn(white, controls["temperature"]).expand(frames, -1)

    @torch.inference_mode()
    def key_points(self, head: str, seen: Seen, frames: int) -> Tensor | None:
        """Return where the head is in each frame, (frames, 3, 2); None where that is left to the network.

        A video that is shorter than the clip is followed forth and back.
        """
        if head == GENERATED:
            return None
        if head == STILL:
            return seen.key_points.expand(frames, -1, -1)
        track = followed(self.bundle.head_track(Path(head)), seen.key_points)
        return there_and_back(track, frames)

    @torch.inference_mode()
    def base(self, seen: Seen, acted: Acted) -> Base:
        """Return what changes in a window are of: the portrait in the manner of the style, its head moved if it is led.

        Where it is the same in all frames, there is one.
        """
        if acted.key_points is None and not acted.manner:
            return Base(seen.picture, seen.latent[:, :, None])
        pictures = self._with_manner(seen, acted)
        if acted.key_points is not None:
            shown, points = to_frame_batch((pictures + 1) / 2), acted.key_points
            if len(shown) == 1:
                pictures = based(shown[0], seen.points, seen.key_points, points)
            else:
                pairs = zip(shown, points, strict=True)
                pictures = torch.cat([based(rgb, seen.points, seen.key_points, at[None]) for rgb, at in pairs])
            pictures = pictures.to(self._device)
        return Base(pictures, self.encode(pictures).transpose(0, 1)[None])

    @torch.inference_mode()
    def sampling(self, seen: Seen, acted: Acted, base: Base, past: Tensor, how: How, noise: Tensor) -> Sampling:
        """Return the sampler loop of one window.

        Args:
            seen: The portrait.
            acted: What is to be done in it.
            base: As `base` gives it.
            past: Frames before the window, oldest first, (n, 3, size, size), range [-1, 1].
            how: How.
            noise: Shape (1, latent, frames, side, side).
        """
        frames, networks, points = len(acted.heard), self.bundle.networks, None
        if acted.key_points is not None:
            points = drawn(acted.key_points.float(), self.config.base.size).transpose(0, 1)[None].to(self._device)
        given = Given(
            latents=torch.cat((seen.latent, self.encode(past))),
            audio=acted.heard[None],
            codes=acted.codes[None],
            key_points=points,
            face=seen.face,
            region=seen.region,
            masks=[Masks(*(mask.expand(frames, -1) for mask in level)) for level in seen.masks],
            base=base.latents,
        )
        return Sampling(
            with_weights(networks.denoising_unet, how.weights),
            sampler(how.steps, Diffusion()),
            noise,
            networks.condition(given, tuple(how.weights)),
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

    def _with_manner(self, seen: Seen, acted: Acted) -> Tensor:
        """The portrait with the expressions of the style, (frames or 1, 3, size, size), range [-1, 1]."""
        if not acted.manner:
            return seen.picture
        codes = acted.codes[:1] if bool((acted.codes == acted.codes[:1]).all()) else acted.codes
        wanted = self.bundle.networks.style.resting(codes)
        return with_manner(self.bundle.mean_face, seen.picture, seen.coefficients, wanted, acted.manner)

    def _style(self, controls: Mapping[str, Any], name: str, noise: Noise) -> Gaussian | None:
        """Return the style that a control names."""
        value = controls[name]
        if value == NONE:
            return None
        extractor = self.bundle.networks.style
        if value != SAMPLED:
            clip = self.bundle.style_clip(Path(value), name)
            style: Gaussian = extractor(clip.expression.to(self._device), clip.audio.to(self._device))
            return style
        drawn_by = Noise(controls["style_seed"]) if controls["style_seed"] else noise
        return extractor.sampled(drawn_by.normal((1, self.config.style.code), "sampled", name).to(self._device))

    def _pictures(
        self, seen: Seen, acted: Acted, how: How, noise: Noise, stages: Stages
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames at the model's own rate."""
        own = self.config.base
        shape = (1, own.unet.latent, own.sampling.frames, own.side, own.side)
        past = seen.picture.expand(own.sampling.motion_frames, -1, -1, -1)
        for number, part in enumerate(acted.windows(own.sampling.frames)):
            with stages.stage("denoise"):
                start, base = noise.normal(shape, "window", number).to(self._device), self.base(seen, part)
                latents = self._denoise(self.sampling(seen, part, base, past, how, start), seen, how, stages)
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
