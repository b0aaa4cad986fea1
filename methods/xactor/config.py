"""X-Actor's sizes and settings as frozen records. Imports nothing heavy.

What the authors state is the structure: two stages, a compact identity-agnostic motion latent, an autoregressive
diffusion transformer over it with noise levels of its own for each chunk, full attention within a chunk and causal
attention across chunks, frame-aligned audio through windowed cross-attention, and a monotonically decreasing noise
schedule over the history (arXiv 2508.02944, abstract; the pipeline paragraph of byteaigc.github.io/X-Actor). They
publish neither code nor weights. Each record says where its numbers come from:

- motion encoder and renderer of the preset `paper`: the same group's X-NeMo (arXiv 2507.23143), whose motion latent is
  described in the same words; bytedance/x-nemo-inference, src/models/motion_encoder/ and
  configs/inference/inference_xnemo_stage2.yaml. That X-Actor uses just these is a guess;
- sizes, chunks, context, schedule and sampler of the transformer: the project's choice;
- all of the preset `mini`: the project's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thbench_methods.nets.unet3d.config import FaceProjection, Sizes
from thbench_methods.nets.vae.config import MINI as MINI_VAE
from thbench_methods.nets.vae.config import PAPER as PAPER_VAE
from thbench_methods.nets.vae.config import VAEConfig


@dataclass(frozen=True, slots=True)
class Encoder:
    """Sizes of the motion encoder; the defaults are X-NeMo's."""

    side: int = 224
    """Of the square face crop that is read."""
    stem: int = 64
    """Channels at half the side."""
    widths: tuple[int, int] = (128, 256)
    """Channels at a half and at a quarter of the side."""
    hourglass: int = 4
    """How often the hourglass halves its maps."""
    maps: int = 68
    """Maps behind the hourglass, as many as a face alignment network has landmarks."""
    heads: int = 8
    """Of the self-attentions."""
    attention: int = 1024
    """Width of the self-attentions; divisible by 16."""
    feed_forward: int = 4
    """Width of the hidden layer of a feed-forward over its own."""
    groups: int = 32
    """Of the group norms."""
    motion: int = 512
    """Values of the facial motion latent."""
    placed: int = 64
    """Width of the embedded head placement, which is always that of the portrait."""
    tokens: int = 32
    """Tokens that the renderer reads; each has `motion / tokens` values."""
    dropout: float = 0.5
    """On the skips of the hourglass, in training."""

    @property
    def token(self) -> int:
        """Values of a motion token."""
        return self.motion // self.tokens


@dataclass(frozen=True, slots=True)
class Actor:
    """Sizes of the motion-latent diffusion transformer; the project's choice."""

    width: int = 1024
    """Of a token."""
    heads: int = 16
    """Of each attention."""
    blocks: int = 16
    """At least 1."""
    audio_layers: int = 1
    """Layers of the speech encoder that are heard; the last one of wav2vec 2.0 large in the preset `paper`."""
    audio: int = 1024
    """Values of a speech feature in each layer."""
    reach: int = 8
    """Frames of sound that a frame hears to either side."""
    chunk: int = 25
    """Frames of a chunk."""
    context: int = 12
    """Chunks that a chunk sees, itself included."""
    rotary_theta: float = 10_000.0
    """Base of the rotary embedding."""


@dataclass(frozen=True, slots=True)
class Acting:
    """How motion is sampled; the project's choice."""

    steps: int = 20
    """DDIM steps from noise to motion."""
    guidance: float = 2.0
    """Scale of the classifier-free guidance by sound."""
    history: tuple[int, ...] = (60, 40, 20)
    """Noise levels of the chunks before, newest first, falling; older ones are clean. Empty for a clean history."""
    in_flight: int = 1
    """Chunks that are denoised at once: 1 denoises chunk by chunk; more roll through a pyramid of noise levels, the
    oldest the cleanest. A divisor of `steps`."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """Sizes and sampler of the video generator; the defaults are X-NeMo's."""

    unet: Sizes = field(default_factory=Sizes)
    """Of the reference network and of the denoising network."""
    lowest: bool = True
    """Motion attention and temporal attention stand in the lowest level too."""
    face: FaceProjection | None = None
    """Of what makes tokens of the portrait's embedding. None: the embedding, CLIP's of the picture, is the token."""
    locator: tuple[int, ...] = ()
    """Widths of the face locator, which sees the portrait lit where its face is; empty for none, as published."""
    frames: int = 24
    """Frames that are generated at once."""
    overlap: int = 4
    """Frames that two windows share. X-NeMo's windows close into a ring and are averaged at each step, which needs the
    whole video; here they follow each other and fade into each other, in memory that does not grow."""
    steps: int = 35
    """DDIM steps."""
    guidance: float = 2.5
    """Scale of the guidance by the portrait and the driving motion."""
    predicts_velocity: bool = False
    """Velocity with zero terminal SNR in the place of noise."""
    beta_start: float = 0.00085
    """Noise variance of the first step."""
    beta_end: float = 0.02
    """Of the last."""
    blur: tuple[int, float] = (9, 18.0)
    """Kernel and deviation, in cells, of the blur of the portrait's latent that sampling starts from, noised."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What the transformer is trained for; beside a noise level for each chunk, the project's choice."""

    per_frame: bool = False
    """A noise level for each frame, as in the first paper on diffusion forcing, in the place of one for each chunk."""
    forcing: bool = True
    """False trains the rival of the claim: chunks denoised after a clean history (teacher forcing)."""
    sorted_share: float = 0.5
    """Share of the windows whose levels are sorted, so that they fall towards the past as they do in sampling."""
    noise_share: float = 0.1
    """Share of the windows in which everything before a random chunk is pure noise."""
    history_share: float = 0.3
    """Share of the windows in which everything before a random chunk is noised as little as the past is in sampling."""
    history_top: int = 60
    """Highest noise level of these; that of the newest chunk before in sampling."""
    silent_share: float = 0.1
    """Share of the windows without sound, for guidance."""
    snr: tuple[float, float] = (0.2, 5.0)
    """Least and largest weight of a squared error of the clean motion; in between the weight is the signal-to-noise
    ratio (min-SNR, Hang et al. 2023)."""
    velocity: float = 1.0
    """Weight of the error of differences between frames."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    encoder: Encoder = field(default_factory=Encoder)
    """Of the motion encoder."""
    actor: Actor = field(default_factory=Actor)
    """Of the transformer."""
    acting: Acting = field(default_factory=Acting)
    """Its sampler."""
    renderer: Renderer = field(default_factory=Renderer)
    """Of the video generator, and its sampler."""
    fps: float = 25.0
    """Frames per second of motion and video."""
    size: int = 512
    """Side of the picture in pixels."""
    vae: VAEConfig = PAPER_VAE
    """Of the autoencoder."""
    packing: int = 1
    """Side of the squares of latent cells whose channels are denoised as those of one."""
    components: int = 0
    """Principal components of packed latents that are kept; 0 keeps all channels."""
    change: float = 0.0
    """Factor of the frames' difference from the portrait, which is denoised; 0 denoises latents."""

    @property
    def side(self) -> int:
        """Rows and columns of what is denoised."""
        return self.size // (self.vae.factor * self.packing)


PAPER = Config()
"""The size at which the paper's structure is counted; there are no published weights."""
MINI = Config(
    encoder=Encoder(
        side=64,
        stem=16,
        widths=(24, 32),
        hourglass=2,
        maps=16,
        heads=2,
        attention=32,
        feed_forward=2,
        groups=8,
        motion=32,
        placed=16,
        tokens=2,
        dropout=0.1,
    ),
    actor=Actor(width=56, heads=4, blocks=4, audio_layers=4, audio=96, chunk=10, context=5, rotary_theta=256.0),
    renderer=Renderer(
        unet=Sizes(
            latent=20, channels=(40, 40, 24), layers=2, heads=2, groups=8, tokens=32, feed_forward=2, positions=32
        ),
        lowest=False,
        face=FaceProjection(embedding=128, tokens=2),
        locator=(8, 16, 24, 32, 40),
        frames=16,
        steps=4,
        guidance=4.0,
        predicts_velocity=True,
        beta_end=0.012,
    ),
    size=128,
    vae=MINI_VAE,
    packing=2,
    components=20,
    change=2.5,
)
"""The small preset for synth-heads.

Its renderer has the widths, the prediction, the changes and the noise of Hallo's small preset, so that training goes on
from those weights; it sees the portrait through the face locator for the same reason as there. Motion comes in two
tokens of 16 values: an attention has one projection of values for all its tokens, and until it has learnt to tell them
apart it reads their mean, through which no more directions of motion pass than a token has values. A chunk sees 2 s;
the windows of the training, of 9 chunks, fit into its clips of 4 s anywhere, and five of their chunks see as much.
Videos take few steps: much of how pictures change is not known to networks this small, what is sampled in its place
moves lips at random, and the more steps, the more of it. Clips of the validation split told steps and guidance: LSE-C
is .49 of real clips' with 4 steps and a guidance of 4, and .29 with 20 and 1.5 (3 people).
"""
