"""Hallo's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2406.08801; fudan-generative-vision/hallo, configs/inference/default.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thbench_methods.nets.unet3d.config import Sizes


@dataclass(frozen=True, slots=True)
class AudioProjection:
    """Sizes of the network that makes audio tokens of a frame."""

    window: int = 5
    """Frames that are heard for one."""
    layers: int = 12
    """Hidden layers of wav2vec 2.0 that are heard."""
    channels: int = 768
    """Values of a speech feature in each layer."""
    hidden: int = 512
    """Width of the hidden layers."""
    tokens: int = 32
    """Audio tokens of a frame."""


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
    audio: AudioProjection = AudioProjection()
    """Of the audio projection."""
    face_embedding: int = 512
    """Values of the face recogniser's embedding."""
    face_tokens: int = 4
    """Tokens that are made of it."""
    sampling: Sampling = Sampling()
    """Sampler and clips."""
    fps: float = 25.0
    """Frames per second of the video."""
    size: int = 512
    """Side of the picture in pixels."""


PAPER = Config()
"""The published preset."""
