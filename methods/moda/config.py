"""MoDA's sizes and settings as frozen records; the defaults are the published values. Imports nothing heavy.

Source: arXiv 2507.03256; lixinyyang/MoDA, configs/audio2motion/ and src/models/dit/.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the transformer."""

    width: int = 768
    """Of a token."""
    heads: int = 12
    """Of each attention."""
    blocks4: int = 3
    """Four-stream blocks: the coarse stage."""
    blocks2: int = 6
    """Two-stream blocks: the intermediate stage."""
    blocks: int = 12
    """Single-stream blocks: the fine stage; at least 1."""
    motion: int = 70
    """Values of a motion vector."""
    audio_layers: int = 12
    """Layers of the speech encoder that are heard."""
    audio: int = 768
    """Values of a speech feature in each layer."""
    identity: int = 63
    """Values of the canonical key-points."""
    emotions: int = 8
    """Emotion classes; the index behind the last one is no emotion."""
    rotary_theta: float = 256.0
    """Base of the rotary embedding."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampler and windows."""

    steps: int = 10
    """Euler steps."""
    guidance: float = 1.2
    """Scale of the classifier-free guidance of speech and emotion."""
    window: int = 80
    """Frames that are generated at once."""
    overlap: int = 16
    """Frames that two windows share."""
    smoothing: int = 3
    """Frames over which head pose, scale and translation are averaged, odd; 1 is none."""
    silence: float = 2.0
    """Seconds of silence that are heard after the speech and cut off again."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a preset fixes."""

    sizes: Sizes = Sizes()
    """Of the transformer."""
    sampling: Sampling = Sampling()
    """Sampler and windows."""
    fps: float = 25.0
    """Frames per second that the transformer knows."""
    portrait_size: int = 256
    """Side of the crop that LivePortrait reads."""
    preemphasis: float = 0.97
    """Share of the previous sample that is taken from the speech before it is encoded; 0 is none."""
    eye_shift: bool = True
    """Whether to add the constant that the published inference adds to the eyes; it belongs to the published
    LivePortrait."""


PAPER = Config()
"""The published preset."""
MINI = Config(
    sizes=Sizes(width=88, heads=4, blocks4=1, blocks2=1, blocks=3, audio_layers=4, audio=96),
    portrait_size=128,
    preemphasis=0.0,
    eye_shift=False,
)
"""The small preset that is trained on synth-heads and shipped."""
EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""Names of the emotion classes, in order."""
