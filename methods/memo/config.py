"""MEMO's sizes and settings as frozen records. Imports nothing heavy.

Source: arXiv 2412.04448; memoavatar/memo, configs/inference.yaml. The UNet's configuration lies with the weights and
not in the repository; Stable Diffusion 1.5's sizes are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes

DECAY = 0.9
"""How much of the memory is left from one frame to the next."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampler and clips."""

    steps: int = 20
    """Euler steps."""
    guidance: float = 3.5
    """Scale of the classifier-free guidance."""
    frames: int = 16
    """Frames that are generated at once."""
    past_frames: int = 16
    """Last frames of the clip before; for the first clip the portrait, as often."""


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
    fps: float = 30.0
    """Frames per second of the video."""
    size: int = 512
    """Side of the picture in pixels."""


PAPER = Config()
"""The published preset, with the sizes assumed."""
