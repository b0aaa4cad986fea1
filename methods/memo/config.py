"""MEMO's sizes and settings as frozen records. Imports nothing heavy.

Source: arXiv 2412.04448; memoavatar/memo at a5aee30, configs/inference.yaml and memo/models/emotion_classifier.py. The
UNet's configuration lies with the weights and not in the repository; Stable Diffusion 1.5's sizes are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.vae.config import PAPER as PAPER_VAE
from thbench_methods.nets.vae.config import VAEConfig

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
    key_steps: tuple[int, ...] = (0, 1, 2, 4, 7, 10, 14, 18)
    """Of LightningCP where no others were calibrated; how many are those of its paper, which ones the project's."""


@dataclass(frozen=True, slots=True)
class EmotionSizes:
    """Sizes of the network that tells a voice's emotion from its features."""

    features: int = 1024
    """Values of the voice's features: emotion2vec's, mean over time."""
    hidden: int = 2048
    """Width of the hidden layers."""
    layers: int = 5
    """Linear layers, the last one included."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    unet: Sizes = field(default_factory=Sizes)
    """Of the reference network and of the denoising network."""
    feed_forward: int = 4
    """Width of the hidden layer of a feed-forward over its own width, where sound and picture meet and in the memory
    modules."""
    audio: AudioProjection = field(default_factory=AudioProjection)
    """Of the audio projection."""
    face: FaceProjection = field(default_factory=FaceProjection)
    """Of the face projection."""
    emotion: EmotionSizes = field(default_factory=EmotionSizes)
    """Of the classifier of emotions."""
    emotions: tuple[str, ...] = ()
    """Names of the first classes of emotions, as far as they are known."""
    sampling: Sampling = field(default_factory=Sampling)
    """Sampler and clips."""
    fps: float = 30.0
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

    @property
    def side(self) -> int:
        """Rows and columns of what is denoised."""
        return self.size // (self.vae.factor * self.packing)


PAPER = Config()
"""The published preset, with the sizes assumed. What its classes of emotions are called was not published."""
MINI = Config(
    unet=replace(HALLO.unet, positions=16),
    feed_forward=1,
    audio=HALLO.audio,
    face=HALLO.face,
    emotion=EmotionSizes(features=2 * HALLO.audio.layers * HALLO.audio.channels, hidden=32, layers=2),
    # Those of synth-heads, whose module imports more than a config may.
    emotions=("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised"),
    sampling=Sampling(steps=5, guidance=8.0, key_steps=(0, 1, 3)),
    fps=HALLO.fps,
    size=HALLO.size,
    vae=HALLO.vae,
    packing=HALLO.packing,
    components=HALLO.components,
    change=HALLO.change,
)
"""The small preset for synth-heads: in the sizes of Hallo's, from whose weights its training begins where they fit.
Features of a voice are means and deviations of the mini speech encoder's. Few steps and much guidance: what a network
this small does not know is sampled at random, the more, the more steps. Clips of the validation split told both: LSE-C
is .59 of real clips' with 5 steps and a guidance of 8 (12 people), and .31 with 20 and 2 (3 people).
"""
