"""What the trainings of latent video diffusion share: clips as latents in memory, noise, and the loss of the velocity.

The whole train split is encoded once: a clip of 100 frames is 0.4 MB of latents.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from thbench_methods.nets.unet3d.layout import packed
from thbench_methods.nets.unet3d.schedule import TRAIN_STEPS, Diffusion, alpha_bars

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.nets.speech import SpeechEncoder
    from thbench_methods.nets.unet3d.latents import Latents
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

_log = logging.getLogger(__name__)
BATCH = 20
"""Frames that are encoded at once."""
PORTRAITS = (0, 20, 40, 60, 80)
"""Frames that may be a clip's portrait."""
WEIGHTS = (("face", slice(0, 68), 1.1, 2.0), ("eyes", slice(36, 48), 1.3, 4.0), ("lips", slice(48, 68), 1.7, 24.0))
"""Part, landmarks, how far it reaches, and how much its error counts over that of the background."""


@dataclass(frozen=True)
class LatentClips:
    """A split as a latent diffusion model is trained on it; arrays begin with (clips, frames)."""

    latents: Tensor
    """Shape (clips, frames, C, h, w), float16, packed."""
    speech: Tensor
    """Hidden layers of the mini speech encoder, (clips, frames, layers, width), float16."""
    weight: Tensor
    """How much the error of a cell counts, (clips, frames, 1, h, w), float16, mean 1."""
    identity: Tensor
    """Embedding of the frames `PORTRAITS`, (clips, portraits, E)."""
    pictures: Pictures
    """What all of it is made of."""

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def frames(self) -> int:
        """Of a clip."""
        return self.latents.shape[1]

    def heard(self, clips: NDArray[np.int64], frames: NDArray[np.int64], reach: int) -> Tensor:
        """Return what is heard around frames (B, F) of clips (B,) or (B, F): (B, F, 2 reach + 1, layers, width)."""
        around = frames[..., None] + np.arange(-reach, reach + 1)
        return self.speech[clips.reshape(len(clips), -1, 1), around.clip(0, self.frames - 1)].float()

    def portrait(self, clip: int, frame: int) -> Tensor:
        """Return a frame as (3, size, size), range [0, 1]."""
        return torch.from_numpy(np.array(self.pictures.frames[clip, frame])).permute(2, 0, 1).float() / 255


def known_clips(clips: LatentClips, latents: Latents) -> LatentClips:
    """Return a split of packed latents in the channels that the networks know."""
    return replace(clips, latents=torch.stack([latents.chosen(clip.float()).half() for clip in clips.latents]))


def latent_clips(
    pictures: Pictures, vae: AutoencoderKL, encoder: SpeechEncoder, packing: int, work: Path
) -> LatentClips:
    """Encode a split, or read what was encoded before by the same autoencoder of the same pictures.

    Args:
        pictures: The split.
        vae: In evaluation mode.
        encoder: Of speech.
        packing: As in `packed`.
        work: Where the latents are kept.
    """
    told = hashlib.sha256(b"".join(value.numpy().tobytes() for value in vae.state_dict().values()))
    told.update(np.asarray(pictures.frames[0]).tobytes())
    path = work / f"latents-{told.hexdigest()[:12]}-{packing}-{len(pictures)}.npy"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, _encoded(pictures, vae, packing))
        part.replace(path)
    latents = torch.from_numpy(np.load(path))
    side = latents.shape[-1]
    frames = pictures.frames.shape[1]
    speech = torch.stack([encoder.features(sound, frames, 25.0).half() for sound in pictures.sound])
    return LatentClips(latents, speech, _weights(pictures, side), _identities(pictures), pictures)


@torch.inference_mode()
def _encoded(pictures: Pictures, vae: AutoencoderKL, packing: int) -> NDArray[np.float16]:
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    clips = []
    for number, frames in enumerate(pictures.frames):
        rgb = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2)
        parts = [packed(vae.encode(part.float() / 127.5 - 1), packing) for part in torch.split(rgb, BATCH)]
        clips.append(torch.cat(parts).half().numpy())
        if number % 64 == 63:
            _log.info("encoded %d of %d clips", number + 1, len(pictures))
    return np.stack(clips)


def _weights(pictures: Pictures, side: int) -> Tensor:
    """How much the error of each cell counts in all frames of a split."""
    size = pictures.frames.shape[2]
    weights = np.empty((*pictures.frames.shape[:2], 1, side, side), np.float16)
    for clip, points in enumerate(pictures.landmarks68):
        for frame, marks in enumerate(points):
            weights[clip, frame, 0] = cell_weights(marks, size, side)
    return torch.from_numpy(weights)


def cell_weights(marks: NDArray[np.float32], size: int, side: int) -> NDArray[np.float32]:
    """Return how much the error of each cell of a frame counts, by where face, eyes and lips are.

    Args:
        marks: Landmarks (68, 2), pixels.
        size: Side of the frame.
        side: Cells along a side.

    Returns:
        Shape (side, side), mean 1.
    """
    drawn = np.ones((size, size), np.float32)
    for _, part, reach, weight in WEIGHTS:
        own = marks[part]
        middle = own.mean(axis=0)
        hull = cv2.convexHull(np.rint(middle + (own - middle) * reach).astype(np.int32))
        cv2.fillConvexPoly(drawn, hull, weight)
    cells = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cells / cells.mean(), np.float32)


@torch.inference_mode()
def _identities(pictures: Pictures) -> Tensor:
    from thbench.backbones.mini.loaded import identity
    from thbench.backbones.mini.whole_frame import as_input, whole_frame

    network, found = identity(), []
    for frames in pictures.frames:
        small = np.stack([whole_frame(np.array(frames[index]), network.INPUT_SIZE) for index in PORTRAITS])
        found.append(network(as_input(small)))
    return torch.stack(found).clone()


@dataclass(frozen=True)
class Velocity:
    """Noise of the zero-terminal-SNR schedule, and the loss of the predicted velocity."""

    signal: Tensor
    """Cumulative alphas, (1000,)."""
    towards_noise: float = 1.0
    """How far times tend to the noisy end: 1 for all alike; a few steps of sampling are mostly there, and it is there
    that lips and expression are decided."""

    @classmethod
    def of(cls, diffusion: Diffusion | None = None, towards_noise: float = 1.0) -> Velocity:
        """Return that of a schedule, the published one unless stated."""
        return cls(alpha_bars(diffusion or Diffusion()), towards_noise)

    def noisy(self, clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a time for each row and noise for each number.

        Args:
            clean: Shape (B, C, F, h, w).

        Returns:
            Noisy latents and velocities of the same shape, and times (B,).
        """
        times = self._times(len(clean))
        kept = self.signal[times].view(-1, 1, 1, 1, 1)
        noise = torch.randn_like(clean)
        root, rest = kept.sqrt(), (1 - kept).sqrt()
        return root * clean + rest * noise, root * noise - rest * clean, times

    def _times(self, count: int) -> Tensor:
        if self.towards_noise == 1:
            return torch.randint(TRAIN_STEPS, (count,))
        return ((1 - torch.rand(count) ** self.towards_noise) * (TRAIN_STEPS - 1)).round().long()

    def losses(
        self, predicted: Tensor, velocity: Tensor, weight: Tensor, lips: Tensor | None = None
    ) -> Mapping[str, Tensor]:
        """Return the weighted squared error.

        Args:
            predicted: Shape (B, C, F, h, w).
            velocity: Of the same shape.
            weight: Shape (B, 1, F, h, w), mean about 1.
            lips: What counts as lips for the curve, as `weight`, 1 inside; None leaves them out.
        """
        error = (predicted.float() - velocity).square()
        found = {"loss": (error * weight).mean(), "plain": error.detach().mean()}
        if lips is not None:
            found["lips"] = (error.detach() * lips).sum() / (lips.sum() * error.shape[1]).clamp(min=1)
        return found
