"""EchoMimic's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2407.08136; antgroup/echomimic at a53e970, configs/inference/inference_v2.yaml, infer_audio2vid.py,
infer_audio2vid_acc.py and src/models/whisper/audio2feature.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.nets.unet3d.config import Sizes
from thbench_methods.nets.vae.config import PAPER as PAPER_VAE
from thbench_methods.nets.vae.config import VAEConfig


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
    noise: float = 1.5
    """Farthest from 0 that the noise is which sampling begins with; what lies beyond is brought there."""
    key_steps: tuple[int, ...] = (0, 1, 2, 5, 9, 14, 20, 26)
    """Of LightningCP where no others were calibrated; how many are those of its paper, which ones the project's."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What of the speech encoder's features a frame hears; each feature of each layer is one token."""

    rate: float = 50.0
    """Features per second."""
    before: int = 4
    """Features before the one at the frame's time."""
    after: int = 5
    """Features behind it."""
    layers: int = 5
    """Layers of the encoder, of which Whisper's first is its input."""

    @property
    def tokens(self) -> int:
        """Of a frame."""
        return (self.before + 1 + self.after) * self.layers


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    unet: Sizes = field(default_factory=lambda: Sizes(tokens=384))
    """Of the denoising network; its tokens are Whisper's audio features of a frame."""
    reference: Sizes = field(default_factory=Sizes)
    """Of the reference network."""
    hearing: Hearing = Hearing()
    """What a frame hears."""
    locator: tuple[int, ...] = (16, 32, 96, 256)
    """Widths of the face locator's convolutions; each behind the first halves height and width."""
    sampling: Sampling = field(default_factory=Sampling)
    """Sampler and windows."""
    fps: float = 24.0
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
    locator_sees_portrait: bool = False
    """The locator sees the portrait, lit where the face is, instead of a picture that is white there."""

    @property
    def side(self) -> int:
        """Rows and columns of what is denoised."""
        return self.size // (self.vae.factor * self.packing)


ACC_SAMPLING = Sampling(steps=6, guidance=1.0, key_steps=(0, 1, 3, 5))
"""Of EchoMimic Acc: fewer steps, and no guidance, which its weights were taught."""
PAPER = Config()
"""The published preset."""
ACCELERATED = Config(sampling=ACC_SAMPLING)
"""The published accelerated preset, whose denoising network has weights of its own."""
MINI = Config(
    unet=replace(HALLO.unet, tokens=96),
    reference=HALLO.unet,
    hearing=Hearing(rate=HALLO.fps, before=0, after=0, layers=4),
    locator=HALLO.locator,
    sampling=Sampling(guidance=HALLO.sampling.guidance),
    fps=HALLO.fps,
    size=HALLO.size,
    vae=HALLO.vae,
    packing=HALLO.packing,
    components=HALLO.components,
    change=HALLO.change,
    locator_sees_portrait=HALLO.locator_sees_portrait,
)
"""The small preset for synth-heads: in the sizes of Hallo's, from whose weights its training begins where they fit.
Tokens are the features of the mini speech encoder at the frame's own time, which know what is heard around it:
attention does not know the order of tokens, and of those of several frames a small network cannot tell which is now."""
MINI_ACCELERATED = replace(MINI, sampling=ACC_SAMPLING)
"""The small accelerated preset."""
