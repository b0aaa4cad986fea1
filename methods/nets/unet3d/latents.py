"""What is denoised of a video: the autoencoder's latents as published, or a compact form of their change.

The small preset's own: squares of cells are one cell with their channels, of which the principal components are kept,
and the portrait's are subtracted, so that what stays as it is in the portrait is zero. Where a head moves, as in
training, the portrait's head is moved along first, so that speech is most of what remains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from thbench_methods.nets.unet3d.layout import packed, unpacked
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.nets.vae.config import VAEConfig


class Form(Protocol):
    """What of a method's config says how latents are denoised."""

    @property
    def vae(self) -> VAEConfig:
        """Of the autoencoder."""

    @property
    def packing(self) -> int:
        """Side of the squares of latent cells whose channels are denoised as those of one; 1 as published."""

    @property
    def components(self) -> int:
        """Principal components of packed latents that are kept; 0 keeps all channels, as published."""

    @property
    def change(self) -> float:
        """Factor of the frames' difference from the portrait, which is denoised; 0 denoises latents, as published."""


class Latents(nn.Module):
    """Latents of pictures to the channels that the networks know, and to what is denoised; and the way back."""

    basis: Tensor | None
    """Orthonormal columns (packed channels, components); None where all channels are kept."""

    def __init__(self, config: Form) -> None:
        super().__init__()
        self.packing, self.change = config.packing, config.change
        channels = config.vae.latent * config.packing**2
        self.register_buffer("basis", torch.eye(channels)[:, : config.components] if config.components else None)

    def keep(self, latents: Tensor) -> None:
        """Keep the principal components of packed latents (N, channels, h, w); sizes stay.

        Raises:
            ValueError: All channels are kept, there is nothing to choose.
        """
        if self.basis is None:
            raise ValueError("all channels are kept; state a number of components in the config")
        rows = latents.movedim(1, -1).flatten(0, -2).double()
        # Eigenvalues come in rising order.
        vectors = torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, : self.basis.shape[1]]
        self.basis.copy_(vectors)

    def known(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) of the autoencoder to (N, latent, side, side)."""
        return self.chosen(packed(latents, self.packing))

    def chosen(self, latents: Tensor) -> Tensor:
        """Packed latents (N, channels, h, w) to (N, latent, h, w)."""
        return latents if self.basis is None else torch.einsum("nchw,ck->nkhw", latents, self.basis)

    def restored(self, known: Tensor) -> Tensor:
        """(N, latent, side, side) to latents (N, C, h, w) of the autoencoder."""
        channels = known if self.basis is None else torch.einsum("nkhw,ck->nchw", known, self.basis)
        return unpacked(channels, self.packing)

    def changes(self, known: Tensor, base: Tensor) -> Tensor:
        """Return what is denoised.

        Args:
            known: Of frames, (B, latent, F, h, w).
            base: Of the portrait, moved along with the head, (B, latent, F, h, w), or 1 in the place of F.
        """
        return self.change * (known - base) if self.change else known

    def changed(self, changes: Tensor, base: Tensor) -> Tensor:
        """Return the frames' latents of what was denoised; shapes as in `changes`."""
        return base + changes / self.change if self.change else changes
