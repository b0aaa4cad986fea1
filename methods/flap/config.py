"""FLAP's sizes and settings as frozen records. Imports nothing heavy.

Source: arXiv 2502.19455. Of the paper are: editable head coefficients of each frame as the only driving condition (head
rotation 3, eyes 12, jaw 3, lids 2, expression 100), a reference and a denoising network upon Stable Diffusion 1.5 and
AnimateDiff, attention for head motion apart from that for expression, noise prediction, three stages of progressively
focused training with the steps of `Schedule`, and an audio-to-coefficients front end that can be exchanged. Token
counts, where attention stands and the front end's architecture are not known: these are the project's choice. No
weights were published.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.hallo.config import Config as Base
from thbench_methods.hallo.config import Sampling


@dataclass(frozen=True, slots=True)
class Layout:
    """How many coefficients of a frame are of what; in this order."""

    rotation: int = 3
    """Of the head: yaw, pitch, roll in the small preset, FLAME's axis-angle in the paper."""
    translation: int = 0
    """Of the head. A summary of the paper speaks of six degrees of freedom, its own list has none."""
    eyes: int = 12
    """Where the eyes look."""
    jaw: int = 3
    """Of the jaw."""
    lids: int = 2
    """Closure of the left and of the right lid."""
    expression: int = 100
    """Everything else of the face."""

    @property
    def head(self) -> int:
        """Coefficients of the group that moves the head."""
        return self.rotation + self.translation

    @property
    def face(self) -> int:
        """Coefficients of the group that moves the face."""
        return self.eyes + self.jaw + self.lids + self.expression

    @property
    def total(self) -> int:
        """Of a frame."""
        return self.head + self.face

    @property
    def lid_places(self) -> slice:
        """Where the lids lie."""
        first = self.head + self.eyes + self.jaw
        return slice(first, first + self.lids)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sizes of the networks that make tokens of one group of coefficients."""

    hidden: int
    """Width of the hidden layer."""
    count: int
    """Tokens of a frame."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Sizes and sampler of the network that makes coefficients of speech."""

    audio: int = 768
    """Values of a speech feature of a frame: the last layer of wav2vec 2.0."""
    width: int = 512
    """Of a token."""
    heads: int = 8
    """Of each attention."""
    layers: int = 8
    """Of the transformer."""
    feed_forward: int = 2048
    """Width of its hidden layers."""
    window: int = 100
    """Frames that are made at once."""
    past: int = 10
    """Frames before a window that are told."""
    steps: int = 50
    """DDIM steps."""
    train_steps: int = 1000
    """Diffusion steps of training."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of the paper's stages, and what the first of them sees."""

    head: int = 150_000
    """Stage 1, single frames: head motion."""
    expression: int = 150_000
    """Stage 2, single frames: expression."""
    video: int = 50_000
    """Stage 3, windows of frames."""
    moving: float = 0.2
    """Share of the videos that stage 1 sees: those whose head rotation varies most."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    base: Base = field(default_factory=lambda: Base(sampling=Sampling(steps=25, guidance=3.0, motion_frames=4)))
    """What is generated in which steps and windows, and the sizes of reference and denoising network, in the words of
    Hallo's config."""
    told: bool = False
    """Who it is and where the face is are told as Hallo's base tells them: face tokens beside those of the head, in the
    place of a token of the image that the paper's base may have, and a locator."""
    lowest_motion: bool = True
    """Motion modules are also where there is no other attention."""
    layout: Layout = Layout()
    """Of the coefficients."""
    differences: bool = False
    """Coefficients are also told as they differ from the portrait's."""
    head: Tokens = Tokens(hidden=256, count=4)
    """Of the head's group."""
    face: Tokens = Tokens(hidden=512, count=16)
    """Of the face's group."""
    predicts: Literal["noise", "velocity"] = "noise"
    """What the denoiser returns; velocity comes with zero terminal SNR, as of Hallo."""
    front_end: FrontEnd = FrontEnd()
    """Speech to coefficients."""
    schedule: Schedule = Schedule()
    """Of the paper's training."""


PAPER = Config()
"""The published preset as far as it is known; see this module. Its authors published no weights."""
MINI = Config(
    base=replace(HALLO, sampling=replace(HALLO.sampling, steps=2, guidance=1.0)),
    told=True,
    lowest_motion=HALLO.unet.idle,
    layout=Layout(rotation=3, eyes=8, jaw=4, lids=2, expression=39),
    differences=True,
    head=Tokens(hidden=32, count=4),
    face=Tokens(hidden=64, count=8),
    predicts="velocity",
    front_end=FrontEnd(audio=96, width=96, heads=4, layers=3, feed_forward=192, steps=20),
)
"""The small preset for synth-heads, whose training begins with the weights of Hallo's small preset.

Coefficients are the angles of the head and the 53 named expressions, in the paper's groups. Videos take two steps:
what changes of the moved portrait (`base`) is little; what of it a network this small does not know is sampled at
random, and the more steps, the more of it. Clips of the validation split told the number: LSE-C is .61 of real clips'
with 2 steps, .42 with 10, and .25 with 20 and a guidance of 2 (3 people; the last by weights of half the training).
"""
