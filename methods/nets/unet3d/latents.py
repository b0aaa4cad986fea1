"""What is denoised of a video: the autoencoder's latents as published, or a compact form of their change.

The small preset's own: squares of cells are one cell with their channels, of which the principal components are kept,
and the portrait's are subtracted, so that what stays as it is in the portrait is zero. Where a head moves, as in
training, the portrait's head is moved along first, so that speech is most of what remains. The same holds for the way
back: what decoded latents change is added to the portrait, so that what stays as it is in it stays as sharp as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from thbench_methods.nets.unet3d.layout import images, packed, unpacked
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from thbench_methods.nets.vae.config import VAEConfig


DECODED = 8
"""Frames that are decoded at once."""


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


class Base(NamedTuple):
    """What changes are of: the portrait, or the portrait with its head moved along in each frame."""

    pictures: Tensor
    """Shape (F, 3, size, size), or 1 in the place of F; range [-1, 1]."""
    latents: Tensor
    """Of the pictures, shape (1, latent, F, side, side), or 1 in the place of F."""

    def first(self, count: int) -> Base:
        """Return those of the first frames."""
        return Base(self.pictures[:count], self.latents[:, :, :count])


def decoded(form: Latents, vae: AutoencoderKL, denoised: Tensor, base: Base) -> Tensor:
    """Return the pictures (F, 3, size, size), range [-1, 1], of what was denoised.

    Args:
        form: In which it was.
        vae: The autoencoder. Of changes, only what it shows differently is taken from it, for what it blurs in hair
            and backdrop is in the base's pictures.
        denoised: Shape (1, latent, F, side, side).
        base: What changes are of; of whole latents it is not looked at.
    """
    pictures = _in_parts(vae.decode, form.restored(images(form.changed(denoised, base.latents))))
    if form.change:
        pictures = base.pictures + pictures - _in_parts(vae.decode, form.restored(images(base.latents)))
    return pictures.clamp(-1, 1)


def _in_parts(decode: Callable[[Tensor], Tensor], latents: Tensor) -> Tensor:
    return torch.cat([decode(part) for part in torch.split(latents, DECODED)])
