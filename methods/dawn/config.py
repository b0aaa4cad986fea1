"""Sizes of DAWN's networks, and the published configurations, as frozen records; importing this imports no torch.

Source: Hanbo-Cheng/DAWN-pytorch, config/*.yaml, DM_3/train_vdm_*.py, PBnet/src/parser; DAWN, section 4 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class HourglassSizes:
    """Sizes of a U-Net of single images."""

    block_expansion: int
    """Half the channels after the first halving."""
    num_blocks: int = 5
    """Halvings."""
    max_features: int = 1024
    """Most channels."""


@dataclass(frozen=True, slots=True)
class LFGSizes:
    """Sizes of the latent flow generator; the defaults are those of the published one."""

    num_regions: int = 10
    """Moving parts beside the background."""
    regions: HourglassSizes = HourglassSizes(32)
    """Of the region predictor."""
    region_scale: float = 0.25
    """Size of the image in which regions are looked for, in units of the portrait's."""
    flow: HourglassSizes = HourglassSizes(64)
    """Of the pixelwise flow predictor, which works at a quarter of the portrait's size."""
    background: HourglassSizes = HourglassSizes(32)
    """Of the background predictor; it has the halvings only."""
    block_expansion: int = 64
    """Channels of the generator at the full size."""
    max_features: int = 512
    """Most channels of the generator."""
    num_bottleneck_blocks: int = 6
    """Residual blocks at a quarter of the size."""
    spread: float | None = None
    """Standard deviation of every region, in coordinates from -1 to 1, where regions are round, all of one size, and so
    move without turning; None takes each region's own shape."""
    centred: bool = False
    """Whether coordinates are those of pixels' centres, so that a flow that moves nothing leaves the image as it is.
    Under the grid of the published networks it grows a little, by one pixel of the motion's maps."""

    @property
    def feature(self) -> int:
        """Channels of the portrait's feature at a quarter of its size."""
        return min(self.max_features, 4 * self.block_expansion)


@dataclass(frozen=True, slots=True)
class UNetSizes:
    """Sizes of the U-Net; the defaults are those of the published one."""

    width: int = 64
    """Channels at the full size."""
    multipliers: tuple[int, ...] = (1, 2, 4, 8)
    """Channels at each size, in units of `width`."""
    motion: int = 3
    """Channels that are denoised: the flow's two, then the occlusion."""
    still: int = 272
    """Channels of the portrait's feature and the face mask's."""
    audio: int = 1024
    """Width of the sound's features."""
    pose: int = 6
    """Numbers of pose."""
    blink: int = 2
    """Numbers of blink."""
    heads: int = 8
    """Of all attentions."""
    head_width: int = 32
    """Of temporal and spatial attention."""
    condition_head_width: int = 8
    """Of the attention to the conditions."""
    groups: int = 8
    """Of group normalisation."""
    buckets: int = 32
    """Distances in time that the relative bias tells apart."""
    max_distance: int = 32
    """Beyond this distance all frames share a bucket."""
    window: int | None = 40
    """Largest distance in time that is attended to; None for all. The paper counts both sides: 80."""


@dataclass(frozen=True, slots=True)
class PBNetSizes:
    """Sizes of PBNet; the defaults are those of the published pose network."""

    state: int = 6
    """Numbers per frame: 6 of pose, or 2 of blink, or both."""
    audio: int = 1024
    """Width of the sound's features."""
    state_latent: int = 64
    """Width of an embedded state, and of the decoder."""
    audio_latent: int = 256
    """Width of embedded sound, and of the latent of each frame."""
    feed_forward: int = 128
    """Width between the two linear layers of a transformer layer."""
    layers: int = 2
    """Transformer layers, in the encoder and in the decoder."""
    heads: int = 4
    """Attention heads."""
    head_width: int = 32
    """Width of each head of the decoder."""
    dropout: float = 0.1
    """While training."""
    buckets: int = 128
    """Distances in time that the relative bias tells apart."""
    max_distance: int = 128
    """Beyond this distance all frames share a bucket."""
    window: int = 200
    """Largest distance attended to when generating."""
    longest: int | None = None
    """Frames that are made at once, of latents as they are in training (`pbnet.LatentPrior`); longer clips are made in
    stretches. None for all, in local attention, of latents that are independent of each other."""
    anchored: bool = False
    """Differences are taken from the first frame's, so that a clip begins in its first state."""
    max_frames: int = 20_000
    """Length of the stored position tables."""

    @property
    def encoder(self) -> int:
        """Width of the encoder."""
        return 2 * self.state_latent + self.audio_latent


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Noise schedule and sampler."""

    steps: int = 20
    """DDIM steps."""
    eta: float = 1.0
    """Fresh noise of each step: 1 for as much as DDPM has, 0 for none."""
    quantile: float | None = 0.9
    """Of dynamic thresholding; None for none."""
    guidance: float = 1.0
    """Scale of classifier-free guidance; 1 is none."""
    train_steps: int = 1000
    """Diffusion times of training; cosine schedule."""
    predicts: Literal["noise", "motion"] = "noise"
    """What the network says of a noisy motion: its noise, as published, or the motion without it."""
    spacing: Literal["published", "trailing"] = "published"
    """`published` begins below the noisiest time, with motion that is noise alone; `trailing` begins at that time."""
    untold: tuple[str, ...] = ("audio", "pose", "blink")
    """What is dropped in training, and what guidance goes away from: the condition without these."""
    signal: Literal["published", "standard"] = "published"
    """`published` steps with the signal power of one time earlier than that of the motion; `standard` is DDIM as in its
    paper."""


@dataclass(frozen=True, slots=True)
class MotionSpace:
    """How flow and occlusion are written as the numbers that are denoised; see `diffusion.flow_of`."""

    residual: bool = False
    """Whether the flow is told as the way from each place to where it is read. The published networks are told where it
    is read; their code has the other option, switched off."""
    gain: float = 1.0
    """Of the flow's two numbers."""
    centred: bool = False
    """As `LFGSizes.centred`."""
    clamped: bool = False
    """Whether occlusion is kept in its range, beyond which the generator was never trained."""
    beyond_head: bool = False
    """Whether only what the flow is beyond `head.head_motion` is denoised; the rest follows from pose and lids."""


PUBLISHED_SPACE = MotionSpace()
"""Of the published networks."""


@dataclass(frozen=True, slots=True)
class PoseRange:
    """Range of the six numbers of pose that PBNet sees as 0 to 1."""

    low: tuple[float, ...] = (-90.0, -90.0, -90.0, 0.0, 0.0, 0.0)
    """Yaw, pitch, roll in degrees, scale, x and y translation."""
    high: tuple[float, ...] = (90.0, 90.0, 90.0, 1.0, 720.0, 1080.0)
    """Of the same numbers."""


PUBLISHED_RANGE = PoseRange()
"""Of the published networks."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    image_size: int = 128
    """Side of the portrait and of the frames; the motion's maps have a quarter of it."""
    lfg: LFGSizes = LFGSizes()
    """Of the latent flow generator."""
    unet: UNetSizes = UNetSizes()
    """Of A2V-FDM."""
    pose: PBNetSizes = PBNetSizes(state=6)
    """Of PBNet for pose."""
    blink: PBNetSizes = PBNetSizes(state=2)
    """Of PBNet for blinks."""
    diffusion: Diffusion = Diffusion()
    """Schedule and sampler."""
    motion: MotionSpace = PUBLISHED_SPACE
    """What the diffusion's numbers mean."""
    pose_range: PoseRange = PUBLISHED_RANGE
    """Of PBNet."""
    pose_units: tuple[float, ...] = (1.0,) * 6
    """Of the differences of pose that A2V-FDM is told, in the units of the pose itself."""
    fps: float = 25.0
    """Frames per second that the networks know; sound features are interpolated to it."""
    window: int = 400
    """Frames that are denoised at once; longer clips are made of windows. The published evaluation has 200 and cuts."""
    overlap: int = 40
    """Frames that neighbouring windows share."""


PAPER = Config()
"""The published preset at 128 px."""
PAPER_256 = Config(image_size=256)
"""The published preset at 256 px; it has weights of its own and the same sizes."""
_MINI_PBNET = PBNetSizes(
    audio=96,
    state_latent=32,
    audio_latent=64,
    feed_forward=96,
    heads=2,
    head_width=16,
    longest=100,
    anchored=True,
    max_frames=200,
)
MINI = Config(
    lfg=LFGSizes(
        regions=HourglassSizes(8, 4, 96),
        region_scale=0.5,
        flow=HourglassSizes(16, 3, 96),
        background=HourglassSizes(8, 5, 64),
        block_expansion=16,
        max_features=64,
        num_bottleneck_blocks=2,
        spread=0.1,
        centred=True,
    ),
    unet=UNetSizes(
        width=16,
        multipliers=(1, 2, 4),
        still=64 + 16,
        audio=96,
        heads=2,
        head_width=16,
        groups=4,
        window=16,
    ),
    pose=_MINI_PBNET,
    blink=replace(_MINI_PBNET, state=2),
    diffusion=Diffusion(
        steps=4,
        eta=0.0,
        quantile=None,
        guidance=1.5,
        predicts="motion",
        spacing="trailing",
        untold=("audio",),
        signal="standard",
    ),
    motion=MotionSpace(residual=True, gain=24.0, centred=True, clamped=True, beyond_head=True),
    pose_range=PoseRange((-20.0, -12.0, -10.0, 0.083, 0.36, 0.43), (20.0, 12.0, 10.0, 0.109, 0.64, 0.58)),
    pose_units=(15.0, 15.0, 15.0, 0.02, 0.1, 0.1),
)
"""The small preset that is trained on synth-heads and shipped. Its scale and translation are those of nose and
eye corners, in units of the picture's side, and its blinks are how far each lid is open, 0 to 1."""
JOINT = PBNetSizes(state=8)
"""Of the published PBNet for pose and blinks at once."""


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """How a network was trained."""

    optimiser: str
    rate: float
    """First learning rate."""
    last_rate: float
    """At the end of a cosine."""
    betas: tuple[float, float]
    gradient_limit: float | None = None
    """Largest norm of the gradient."""


A2V_FDM_TRAINING = OptimiserConfig("Adam", 2e-4, 1e-6, (0.9, 0.99), gradient_limit=2.0)
PBNET_TRAINING = OptimiserConfig("AdamW", 4e-4, 2e-5, (0.9, 0.999))
LFG_TRAINING = OptimiserConfig("Adam", 2e-4, 2e-6, (0.5, 0.999))
"""At 128 px; other rates were used for other data and sizes."""
