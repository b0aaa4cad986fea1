"""Hallo's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2406.08801; fudan-generative-vision/hallo, configs/inference/default.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes


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


PAPER = Config()
"""The published preset."""
