"""Hallo's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2406.08801; fudan-generative-vision/hallo, configs/inference/default.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.vae.config import MINI as MINI_VAE
from thbench_methods.nets.vae.config import PAPER as PAPER_VAE
from thbench_methods.nets.vae.config import VAEConfig


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampler and clips."""

    steps: int = 40
    """DDIM steps."""
    guidance: float = 3.5
    """Scale of the classifier-free guidance."""
    frames: int = 16
    """Frames that are generated at once."""
    motion_frames: int = 2
    """Last frames of the clip before that a clip is continued from."""
    pose_scale: float = 1.0
    """Weight of what the whole picture hears."""
    face_scale: float = 1.0
    """Weight of what the face hears."""
    lip_scale: float = 1.0
    """Weight of what the lips hear."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    unet: Sizes = field(default_factory=Sizes)
    """Of the reference network and of the denoising network."""
    audio: AudioProjection = field(default_factory=AudioProjection)
    """Of the audio projection."""
    face: FaceProjection = field(default_factory=FaceProjection)
    """Of the face projection."""
    sampling: Sampling = field(default_factory=Sampling)
    """Sampler and clips."""
    fps: float = 25.0
    """Frames per second of the video."""
    size: int = 512
    """Side of the picture in pixels."""
    vae: VAEConfig = PAPER_VAE
    """Of the autoencoder."""
    packing: int = 1
    """Side of the squares of latent cells whose channels are denoised as those of one; 1 as published."""
    components: int = 0
    """Principal components of packed latents that are kept; 0 keeps all channels, as published."""
    change: float = 0.0
    """Factor of what is denoised, the frames' difference from the portrait, which the networks then see in the place of
    each frame; 0 denoises latents, as published."""
    locator: tuple[int, ...] = (16, 32, 64, 128)
    """Widths of the face locator; each behind the first halves height and width."""
    locator_sees_portrait: bool = False
    """The locator sees the portrait, lit where the face is, instead of a picture that is white there."""

    @property
    def side(self) -> int:
        """Rows and columns of what is denoised."""
        return self.size // (self.vae.factor * self.packing)


PAPER = Config()
"""The published preset."""
MINI = Config(
    unet=Sizes(
        latent=20, channels=(40, 40, 24), layers=2, heads=2, groups=8, tokens=32, audio=32, feed_forward=2, idle=False
    ),
    audio=AudioProjection(window=5, layers=4, channels=96, hidden=64, tokens=8),
    face=FaceProjection(embedding=128, tokens=2),
    sampling=Sampling(steps=40, guidance=2.0),
    size=128,
    vae=MINI_VAE,
    packing=2,
    components=20,
    change=2.5,
    locator=(8, 16, 24, 32, 40),
    locator_sees_portrait=True,
)
"""The small preset that is trained on synth-heads and shipped.

The project's own: squares of 2 x 2 cells of the 16 x 16 latents are denoised as one, by the 20 of their 32 principal
components that hold 99.7 % of the variance, and as difference from the portrait; the locator sees the portrait. So
small a network would need far more steps to learn from attention alone what stays where it is.
"""
