"""Sizes of the UNet family, the published ones where none are stated. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a UNet over latent video; the defaults are Stable Diffusion 1.5's."""

    latent: int = 4
    """Channels of a latent."""
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    """Of each level; level i works at 1 / 2^i of the latent's height and width."""
    layers: int = 2
    """Resnets in a down block; an up block has one more."""
    heads: int = 8
    """Of each attention."""
    groups: int = 32
    """Of each group norm."""
    tokens: int = 768
    """Values of a token that the spatial transformers attend to."""
    audio: int = 768
    """Values of an audio token, where audio has a transformer of its own."""
    positions: int = 32
    """Most frames that a motion module can tell apart."""
    feed_forward: int = 4
    """Width of the hidden layer of a feed-forward over its own width."""
    idle: bool = True
    """Whether there are modules that the published files hold and the published inference never runs."""


@dataclass(frozen=True, slots=True)
class AudioProjection:
    """Sizes of the network that makes audio tokens of a frame."""

    window: int = 5
    """Frames that are heard for one."""
    layers: int = 12
    """Hidden layers of wav2vec 2.0 that are heard."""
    channels: int = 768
    """Values of a speech feature in each layer."""
    hidden: int = 512
    """Width of the hidden layers."""
    tokens: int = 32
    """Audio tokens of a frame."""


@dataclass(frozen=True, slots=True)
class FaceProjection:
    """Sizes of the network that makes face tokens."""

    embedding: int = 512
    """Values of the face recogniser's embedding."""
    tokens: int = 4
    """Tokens that are made of it."""
