"""SVP's sizes and settings as frozen records. Imports nothing heavy.

Source: arXiv 2409.03270. Of the paper are: a Gaussian style of a clip's speech and expression, learned by contrast; its
way into a pretrained latent diffusion model by cross-attention; a guider of head key points, a style projection, and
three stages of training. Sizes are not known and no weights were published. Those of `PAPER` are the project's choice:
the base is V-Express' (tencent-ailab/V-Express), with which the paper compares and whose names it takes up; code and
tokens of the style follow DICE-Talk (arXiv 2504.18087), the authors' next work, and StyleTalk (AAAI 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.hallo.config import Config as Base
from thbench_methods.hallo.config import Sampling


@dataclass(frozen=True, slots=True)
class StyleSizes:
    """Sizes of the style extractor and of the style projection."""

    expression: int = 64
    """Expression coefficients of a frame: the Basel face model's."""
    audio: int = 768
    """Values of a speech feature of a frame: the last layer of wav2vec 2.0."""
    width: int = 256
    """Of a token of the extractor."""
    heads: int = 8
    """Of its attentions."""
    layers: int = 3
    """Of its transformer."""
    feed_forward: int = 1024
    """Width of the hidden layer behind its attentions."""
    longest: int = 256
    """Most frames of a style clip that are read."""
    shortest: int = 64
    """Fewest frames of a style clip in training."""
    every: int = 1
    """One frame of so many is read of a style clip at the frame rate of the model."""
    code: int = 256
    """Values of a style."""
    hidden: int = 768
    """Width of the hidden layers of the style projection."""
    tokens: int = 16
    """Style tokens of a frame."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """Sizes of the network that makes audio tokens of a frame, where cross-attention reads them."""

    features: int = 10
    """Speech features around a frame, 50 a second."""
    channels: int = 768
    """Values of one."""
    width: int = 768
    """Of a token inside."""
    layers: int = 4
    """Pairs of attention and feed-forward."""
    heads: int = 12
    """Of an attention."""
    head: int = 64
    """Values of a head."""
    feed_forward: int = 4
    """Width of the hidden layer of a feed-forward over the token's."""
    tokens: int = 5
    """Audio tokens of a frame."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    base: Base = field(default_factory=lambda: Base(sampling=Sampling(steps=25, guidance=3.5, motion_frames=4)))
    """What is generated in which steps and windows, and the sizes of reference and denoising network, in the words of
    Hallo's config. Windows go on from the last frames of the one before, in the place of an overlap; guidance is that
    by speech and portrait."""
    hierarchical: bool = False
    """The base hears as Hallo: audio has transformers of its own, with masks for face and lips, cross-attention reads
    who it is, and a locator where the face is. Otherwise it is V-Express', whose cross-attention reads audio."""
    lowest_motion: bool = True
    """Motion modules are also where there is no other attention."""
    resampling: Resampling = Resampling()
    """Of the audio projection where the base is not hierarchical."""
    style: StyleSizes = StyleSizes()
    """Of the style."""
    style_scale: float = 1.5
    """Scale of the guidance by style."""
    manner: float = 0.0
    """How far portraits go to the mean expressions of a style at that scale, as `manner.with_manner` takes it; 0 leaves
    them as they are."""
    guider: tuple[int, ...] = (16, 32, 96, 256)
    """Widths of the key-point guider; each behind the first halves height and width."""


PAPER = Config()
"""The published preset as far as it is known; see this module. Its authors published no weights."""
MINI = Config(
    base=replace(HALLO, sampling=replace(HALLO.sampling, steps=3, guidance=2.5)),
    hierarchical=True,
    lowest_motion=HALLO.unet.idle,
    style=StyleSizes(
        expression=53,
        audio=96,
        width=96,
        heads=4,
        layers=2,
        feed_forward=192,
        longest=25,
        shortest=16,
        every=2,
        code=64,
        hidden=64,
        tokens=4,
    ),
    style_scale=2.5,
    manner=1.25,
    guider=HALLO.locator,
)
"""The small preset for synth-heads: Hallo's small networks, from whose weights its training begins, with style and key
points. What a network this small does not know of lips is drawn at random, the more steps the more of it: steps and
scales were chosen on people of the validation split. Codes tell expressions too near to the usual ones, as regression
does; portraits go a quarter further."""
