"""Sizes of the autoencoder; the defaults are those of Stable Diffusion's. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VAEConfig:
    """Everything that a preset fixes."""

    channels: tuple[int, ...] = (128, 256, 512, 512)
    """Of each level; each but the last halves height and width."""
    layers: int = 2
    """Resnets of a level of the encoder; a level of the decoder has one more."""
    latent: int = 4
    """Channels of a latent."""
    groups: int = 32
    """Of each group norm."""
    scaling: float = 0.18215
    """Factor between the encoder's output and the latents that are denoised."""
    patch: int = 1
    """Pixels along the side of a square that the first convolution reads, and the last one writes, as channels."""

    @property
    def factor(self) -> int:
        """Pixels of a picture along the side of one of its latents."""
        return int(self.patch * 2 ** (len(self.channels) - 1))


PAPER = VAEConfig()
"""`stabilityai/sd-vae-ft-mse`, which all published methods of this family use."""
MINI = VAEConfig(channels=(64, 64), layers=1, latent=8, groups=8, scaling=1.0, patch=4)
"""Trained on synth-heads at 128 px: latents of 8 channels at 16 x 16, whitened by the weights themselves.

Squares of 4 x 4 pixels enter as channels, since convolutions over all pixels would take most of the time.
"""
