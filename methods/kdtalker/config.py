"""KDTalker's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2503.12963; chaolongy/KDTalker, config/structured.py and model/.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the denoiser."""

    width: int = 768
    """Of a token."""
    layers: int = 6
    """Of the transformer."""
    heads: int = 12
    """Of each attention."""
    motion: int = 70
    """Values of a motion vector."""
    audio: int = 512
    """Values of an audio feature."""
    time_embedding: int = 256
    """Values of the embedded diffusion time."""
    rotary_dimensions: int = 12
    """Features of a head that the rotary embedding turns."""
    bias_buckets: int = 32
    """Distances that the relative position bias tells apart, half of them before and half after the query."""
    bias_max_distance: int = 128
    """Tokens from which on all distances are one."""
    attention: bool = True
    """Whether tokens attend to each other; False is the ablation of the paper's table 3."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Noise schedule and sampler."""

    steps: int = 50
    """DDIM steps; table 6 of the paper finds sync no worse with 5 to 20."""
    train_steps: int = 1000
    """Diffusion steps of training."""
    beta_start: float = 1e-5
    """Noise variance of the first step; from there it rises linearly."""
    beta_end: float = 8e-3
    """Noise variance of the last step."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    sizes: Sizes = Sizes()
    """Of the denoiser."""
    diffusion: Diffusion = Diffusion()
    """Schedule and sampler."""
    window: int = 64
    """Frames that are generated at once."""
    fps: float = 25.0
    """Frames per second that the denoiser knows."""
    portrait_size: int = 256
    """Side of the crop that LivePortrait reads."""
    audio_widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    """Of the audio encoder."""


PAPER = Config()
"""The published preset."""
MINI = Config(
    sizes=Sizes(width=192, layers=3, heads=4, audio=128, time_embedding=64),
    portrait_size=128,
    audio_widths=(8, 16, 32, 64, 128),
)
"""The small preset that is trained on synth-heads and shipped."""
