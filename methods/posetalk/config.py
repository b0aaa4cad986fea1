"""PoseTalk's sizes and settings as frozen records. Imports nothing heavy.

The paper (arXiv 2409.02657) gives the blocks and not their sizes. The defaults are those of Motion Latent Diffusion
(ChenFengYe/motion-latent-diffusion) for the pose and of PIRenderer (RenYurui/PIRender) for the video; what is this
project's choice says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TRACK = ("yaw", "pitch", "roll", "x", "y", "scale", "gaze_yaw", "gaze_pitch")
"""Values of a track: angles in radians, translation and scale of the head, direction of the eyes. Choice."""


@dataclass(frozen=True, slots=True)
class PoseSizes:
    """Sizes of Pose Latent Diffusion."""

    track: int = len(TRACK)
    """Values of a frame's pose and gaze."""
    width: int = 256
    """Of a token."""
    track_stride: int = 1
    """Frames of the track that one token of the autoencoder tells."""
    timed: bool = False
    """Whether latents lie in time, each of the frames of one token; else each is of the whole window. Choice: what
    happens at one instant, as a nod on a syllable does, is not found by sound in a code of the whole."""
    latents: int = 4
    """Latent tokens of a window, where they are not timed. Choice: one, as in Motion Latent Diffusion, is too few for
    ten seconds."""
    latent_width: int | None = None
    """Of each latent; None takes `width`."""
    layers: int = 9
    """Of each transformer; odd."""
    heads: int = 4
    """Of each attention."""
    feed_forward: int = 1024
    """Width of the hidden layer after each attention."""
    dropout: float = 0.1
    """While training."""
    window: int = 250
    """Most frames of a track that are made at once. Choice."""
    audio: int = 1024
    """Values of a speech feature (HuBERT-large)."""
    audio_stride: int = 5
    """Frames whose speech one token tells, where latents are not timed. Choice."""
    text: int = 768
    """Values of a prompt's embedding (CLIP)."""

    @property
    def tokens(self) -> int:
        """Tokens of the autoencoder for a whole window."""
        return -(-self.window // self.track_stride)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Latents of a window, and values of each."""
        count = self.tokens if self.timed else self.latents
        return count, self.width if self.latent_width is None else self.latent_width


@dataclass(frozen=True, slots=True)
class PoseDiffusion:
    """Noise schedule, sampler and guidance of the latents."""

    steps: int = 50
    """DDIM steps."""
    train_steps: int = 1000
    """Diffusion times of training."""
    beta_start: float = 8.5e-4
    """Noise variance of the first time; from there its square root rises linearly."""
    beta_end: float = 0.012
    """Noise variance of the last time."""
    predicts: Literal["noise", "clean"] = "noise"
    """What the denoiser returns. A loss of clean latents gives weight to times of much noise, where text decides."""
    audio_guidance: float = 2.0
    """Scale of what sound changes. Choice."""
    text_guidance: float = 5.0
    """Scale of what text changes beyond sound. Choice."""
    null_probability: float = 0.1
    """How often training drops the sound, how often the text, and how often both. Choice."""
    overlap: int = 50
    """Frames that neighbouring windows of a long track share. Choice."""


@dataclass(frozen=True, slots=True)
class VideoSizes:
    """Sizes of CoarseNet, RefineNet and the Portrait Enhancer."""

    track: int = len(TRACK)
    """Values that tell a frame's pose and gaze."""
    audio: int = 1024
    """Values of a speech feature."""
    audio_width: int = 64
    """Values of it that stand beside pose and gaze in the driving track. Choice."""
    radius: int = 13
    """Frames of the driving track on each side of the one that is made."""
    descriptor: int = 256
    """Values that a window of the driving track is mapped to."""
    mapping_layers: int = 3
    """Of the mapping network."""
    coarse_width: int = 32
    """Channels of CoarseNet at the full size."""
    coarse_encoder: int = 5
    """Halvings of CoarseNet."""
    coarse_decoder: int = 3
    """Doublings of CoarseNet; the flow has 2 ** (decoder - encoder) of the image's size."""
    refine_width: int = 32
    """Channels of RefineNet at the full size. Choice."""
    refine_levels: int = 4
    """Resolutions at which RefineNet moves the lips: 32, 64, 128, 256 for an image of 256. Choice."""
    enhance_width: int = 64
    """Channels of the Portrait Enhancer at the full size."""
    enhance_levels: int = 3
    """Halvings of the Portrait Enhancer."""
    widest: int = 256
    """Most channels of any map."""
    kernel: int = 7
    """Side of the first and of the last convolution of each network."""
    shared: int = 128
    """Values between descriptor and norms."""
    places: int = 0
    """Values that tell which point of a mean head each place shows; 0 where no first flow is given. See `CoarseNet`."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    pose: PoseSizes = PoseSizes()
    """Of Pose Latent Diffusion."""
    diffusion: PoseDiffusion = PoseDiffusion()
    """Schedule, sampler, guidance."""
    video: VideoSizes = VideoSizes()
    """Of the three video networks."""
    fps: float = 25.0
    """Frames per second."""
    image_size: int = 256
    """Side of the portrait and of the frames. Choice."""


PAPER = Config()
"""The size of the paper, as far as it is known."""
MINI = Config(
    pose=PoseSizes(
        width=64,
        track_stride=5,
        timed=True,
        latent_width=12,
        layers=5,
        feed_forward=128,
        dropout=0.0,
        window=100,
        audio=96,
        text=48,
    ),
    diffusion=PoseDiffusion(steps=20, predicts="clean", audio_guidance=3.0, text_guidance=3.0, overlap=25),
    video=VideoSizes(
        track=2 * len(TRACK),
        audio=96,
        audio_width=32,
        radius=6,
        descriptor=64,
        mapping_layers=1,
        coarse_width=16,
        coarse_encoder=4,
        coarse_decoder=2,
        refine_width=8,
        refine_levels=4,
        enhance_width=8,
        enhance_levels=2,
        widest=64,
        kernel=3,
        shared=48,
        places=2,
    ),
    image_size=128,
)
"""The small preset that is trained on synth-heads: tracks are told as they are and as differences to the portrait's."""
