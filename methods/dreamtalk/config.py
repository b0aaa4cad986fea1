"""DreamTalk's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2312.09767; ali-vilab/dreamtalk, configs/default.py and generators/renderer_conf.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass

LOWER_FACE = (0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 14)
"""Expression coefficients of the Basel face model that move the lower face."""


MINI_LOWER_FACE = (5, *range(22, 49), 51, 52)
"""Those of the mini preset's face: cheeks that puff, jaw, mouth and tongue."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the denoising network."""

    width: int = 256
    """Of a token."""
    heads: int = 8
    """Of each attention."""
    layers: int = 3
    """Of each encoder and decoder."""
    feed_forward: int = 1024
    """Width of the hidden layer after each attention."""
    window: int = 11
    """Speech features around a frame, odd."""
    audio: int = 1024
    """Values of a speech feature."""
    motion: int = 64
    """Expression coefficients."""
    style_length: int = 256
    """Most frames of a style clip."""
    lower_face: tuple[int, ...] = LOWER_FACE
    """Coefficients that the decoder of the lower face makes; that of the upper face makes the others."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Noise schedule and sampler."""

    steps: int = 10
    """DDIM steps."""
    guidance: float = 1.0
    """Scale of the classifier-free guidance of style; beyond 2 lips lose sync (as the paper reports)."""
    train_steps: int = 1000
    """Diffusion steps of training."""
    beta_start: float = 1e-4
    """Noise variance of step 1; from there it rises linearly. Step 0 has none."""
    beta_end: float = 0.02
    """Noise variance of the last step."""
    coherence: float = 0.0
    """Frames over which the noise of a clip is alike (deviation of the Gaussian that it is smoothed with). Frames are
    denoised by themselves, so with noise of its own for each frame, as published, what speech does not decide (lids,
    brows) flickers; noise that changes slowly has the same distribution in every frame."""


@dataclass(frozen=True, slots=True)
class PredictorSizes:
    """Sizes of the style predictor. The paper does not give them: these are ours."""

    width: int = 512
    """Of a token."""
    layers: int = 8
    """Of the transformer."""
    heads: int = 8
    """Of each attention."""
    audio: int = 1024
    """Values of a speech feature."""
    stride: int = 4
    """Speech features of one token."""
    identity: int = 80
    """Identity coefficients of the portrait (the paper's)."""
    style: int = 256
    """Values of a style code; the width of the denoising network."""
    draws: int = 1
    """Style codes that are drawn and averaged. Where a voice tells little of the style, one draw is little better than
    the style of anybody; the mean of many is what the voice tells."""


@dataclass(frozen=True, slots=True)
class ExpertSizes:
    """Sizes of the lip expert. The paper does not give them: these are ours."""

    width: int = 512
    """Of the embeddings."""
    frames: int = 5
    """Of a clip that is judged; it has two speech features a frame."""
    mouth: int = 3 * 500
    """Coordinates of the vertices around the mouth."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    sizes: Sizes = Sizes()
    """Of the denoising network."""
    diffusion: Diffusion = Diffusion()
    """Schedule and sampler."""
    predictor: PredictorSizes = PredictorSizes()
    """Of the style predictor."""
    expert: ExpertSizes = ExpertSizes()
    """Of the lip expert."""
    fps: float = 25.0
    """Frames per second that the denoising network knows."""
    features_per_second: float = 50.0
    """Rate of the speech features (wav2vec 2.0)."""
    render_radius: int = 13
    """Frames of motion on each side of the one that is rendered."""
    portrait_size: int = 256
    """Side of the portrait and of the frames."""
    cell: int = 1
    """Side of the pixel cells on which the renderer computes; 1 as published."""


PAPER = Config()
"""The published preset."""
MINI = Config(
    sizes=Sizes(
        width=96,
        heads=4,
        layers=2,
        feed_forward=192,
        audio=384,
        motion=53,
        style_length=100,
        lower_face=MINI_LOWER_FACE,
    ),
    diffusion=Diffusion(coherence=3.0),
    predictor=PredictorSizes(width=96, layers=2, heads=4, audio=384, identity=60, style=96, draws=16),
    expert=ExpertSizes(width=128, mouth=3 * 44),
    render_radius=6,
    portrait_size=128,
    cell=4,
)
"""The small preset that is trained on synth-heads and shipped."""
