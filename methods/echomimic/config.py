"""EchoMimic's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2407.08136; antgroup/echomimic, configs/inference/inference_v2.yaml, infer_audio2vid.py and
infer_audio2vid_acc.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thbench_methods.nets.unet3d.config import Sizes


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampler and windows."""

    steps: int = 30
    """DDIM steps."""
    guidance: float = 2.5
    """Scale of the classifier-free guidance; 1 is none, and the unconditional half is not run."""
    window: int = 12
    """Frames that are denoised at once."""
    overlap: int = 3
    """Frames that two windows share."""
    shift: int = 2
    """Frames by which all windows move from one step to the next."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    unet: Sizes = field(default_factory=lambda: Sizes(tokens=384))
    """Of the denoising network; its tokens are Whisper's audio features of a frame."""
    reference: Sizes = field(default_factory=Sizes)
    """Of the reference network."""
    locator: tuple[int, ...] = (16, 32, 96, 256)
    """Widths of the face locator's convolutions."""
    sampling: Sampling = field(default_factory=Sampling)
    """Sampler and windows."""
    fps: float = 24.0
    """Frames per second of the video."""
    size: int = 512
    """Side of the picture in pixels."""


PAPER = Config()
"""The published preset."""
ACCELERATED = Config(sampling=Sampling(steps=6, guidance=1.0))
"""The published accelerated preset, whose denoising network has weights of its own."""
